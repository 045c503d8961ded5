"""Keys as operators make, list and revoke them."""

from datetime import timedelta
from typing import Any

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.adapters.mint import SystemMint
from postroom.domain.access import Rate, Scope, digest_of, has_shape
from postroom.domain.errors import InvalidValueError, KeyNotFoundError
from postroom.services.keys import CreateKey, KeyOrder, ListKeys, RevokeKey
from tests.builders import NOW, a_key


@pytest.fixture
def ring() -> MemoryKeyRing:
    return MemoryKeyRing()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def create(ring: MemoryKeyRing, clock: FakeClock) -> CreateKey:
    return CreateKey(ring=ring, clock=clock, mint=SystemMint())


def an_order(**given: Any) -> KeyOrder:
    return KeyOrder(**({"name": "the shop", "scopes": ["send"]} | given))


def test_a_key_is_stored_without_its_secret(
    ring: MemoryKeyRing, create: CreateKey
) -> None:
    key, secret = create(an_order(owner="acme", domains=["Acme.example"], rate=10))

    (stored,) = ring.all()
    assert stored == key
    assert ring.find(digest_of(secret)) == key
    assert secret not in repr(key)
    assert secret.startswith("pr_live_")
    assert (key.owner, key.scopes) == ("acme", {Scope.SEND})
    assert (key.from_domains, key.rate) == ({"acme.example"}, Rate.of(10))
    assert key.created_at == NOW


def test_a_test_key_says_so_in_its_secret(create: CreateKey) -> None:
    key, secret = create(an_order(is_test=True))

    assert secret.startswith("pr_test_")
    assert key.is_test


def test_no_two_keys_are_alike_and_each_has_the_shape_of_one(create: CreateKey) -> None:
    made = [create(an_order()) for _ in range(100)]

    assert len({secret for _, secret in made}) == 100
    assert len({key.key_id for key, _ in made}) == 100
    assert all(has_shape(secret) for _, secret in made)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, None),
        ({"rate": 10.0}, Rate(per_s=10, burst=20)),
        ({"rate": 10.0, "burst": 5}, Rate(per_s=10, burst=5)),
        ({"burst": 5}, Rate(per_s=2.5, burst=5)),
    ],
)
def test_a_rate_may_be_told_in_part(
    create: CreateKey, given: dict[str, Any], rate: Rate | None
) -> None:
    assert create(an_order(**given))[0].rate == rate


@pytest.mark.parametrize(
    "given",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"domains": ["no domain"]},
        {"owner": "a/b"},
        {"rate": 0.0},
        {"is_test": True, "scopes": ["admin"]},
    ],
    ids=str,
)
def test_an_order_that_is_wrong_makes_no_key(
    ring: MemoryKeyRing, create: CreateKey, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidValueError):
        create(an_order(**given))

    assert ring.is_empty()


def test_keys_are_listed_in_their_order(
    ring: MemoryKeyRing, create: CreateKey, clock: FakeClock
) -> None:
    made = []
    for _ in range(3):
        made.append(create(an_order())[0])
        clock.advance(timedelta(seconds=1))

    assert list(ListKeys(ring=ring)()) == made


def test_a_revoked_key_is_still_listed(ring: MemoryKeyRing, clock: FakeClock) -> None:
    ring.add(a_key())

    key = RevokeKey(ring=ring, clock=clock)("key_1")

    assert key.revoked_at == NOW
    assert list(ring.all()) == [key]


def test_a_key_that_is_not_there_cannot_be_revoked(
    ring: MemoryKeyRing, clock: FakeClock
) -> None:
    with pytest.raises(KeyNotFoundError, match="no key 'key_9'"):
        RevokeKey(ring=ring, clock=clock)("key_9")
