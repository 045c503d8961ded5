"""One contract for the keys: in MongoDB, and the in-memory twin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.adapters.mongo_keys import MongoKeyRing
from postroom.adapters.mongo_store import MongoStore, connect, database_of
from postroom.domain.access import Rate, Scope, digest_of
from postroom.domain.errors import StoreUnavailableError
from tests.adapters.breakers.parts import at_once
from tests.builders import a_key, at
from tests.ports import a_port

SECRET = "pr_live_" + "k" * 43
OTHER = "pr_test_" + "o" * 43


@dataclass(frozen=True)
class Stand:
    """A ring; what it has noted is written when ``write`` returns."""

    ring: MemoryKeyRing | MongoKeyRing
    write: Callable[[], bool]


@pytest.fixture(params=["memory", "mongo"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    if request.param == "memory":
        twin = MemoryKeyRing()
        yield Stand(twin, twin.write)
        return
    database = request.getfixturevalue("mongo_database")
    MongoStore(database).ensure_indexes()
    ring = MongoKeyRing(database)
    yield Stand(ring, ring.write)
    ring.close()


def test_a_key_comes_back_as_it_was_stored(stand: Stand) -> None:
    plain = a_key(SECRET)
    full = a_key(
        OTHER,
        key_id="key_2",
        owner="acme",
        name="Bücher",
        scopes=frozenset({Scope.SEND, Scope.READ}),
        from_domains=frozenset({"a.example", "b.example"}),
        is_test=True,
        rate=Rate(per_s=2.5, burst=7),
        created_at=at(1),
        last_used_at=at(2),
        revoked_at=at(3),
    )

    stand.ring.add(plain)
    stand.ring.add(full)

    assert stand.ring.find(digest_of(SECRET)) == plain
    assert stand.ring.find(digest_of(OTHER)) == full
    assert list(stand.ring.all()) == [plain, full]


def test_a_secret_of_no_key_finds_none(stand: Stand) -> None:
    stand.ring.add(a_key(SECRET))

    assert stand.ring.find(digest_of(OTHER)) is None
    assert stand.ring.find(b"") is None


def test_keys_come_in_the_order_in_which_they_were_made(stand: Stand) -> None:
    keys = [
        a_key(f"s{n}", key_id=f"key_{n}", created_at=at(second))
        for n, second in enumerate([5, 1, 3, 1])
    ]
    for key in keys:
        stand.ring.add(key)

    listed = [key.key_id for key in stand.ring.all()]

    assert listed == ["key_1", "key_3", "key_2", "key_0"]


def test_a_ring_is_empty_until_there_was_a_key(stand: Stand) -> None:
    assert stand.ring.is_empty()

    stand.ring.add(a_key(SECRET))
    assert not stand.ring.is_empty()

    stand.ring.revoke("key_1", now=at(1))
    assert not stand.ring.is_empty()


def test_a_revoked_key_says_since_when(stand: Stand) -> None:
    stand.ring.add(a_key(SECRET))

    revoked = stand.ring.revoke("key_1", now=at(1))

    assert revoked == a_key(SECRET, revoked_at=at(1))
    assert stand.ring.find(digest_of(SECRET)) == revoked


def test_to_revoke_a_key_again_changes_nothing(stand: Stand) -> None:
    stand.ring.add(a_key(SECRET))
    first = stand.ring.revoke("key_1", now=at(1))

    assert stand.ring.revoke("key_1", now=at(2)) == first


def test_a_key_that_is_not_there_is_not_revoked(stand: Stand) -> None:
    assert stand.ring.revoke("key_9", now=at(1)) is None
    assert stand.ring.is_empty()


def test_of_many_who_revoke_all_see_one_time(stand: Stand) -> None:
    stand.ring.add(a_key(SECRET))

    revoke = partial(stand.ring.revoke, "key_1")
    seen = at_once(*(partial(revoke, now=at(n)) for n in range(4)))

    assert len({key.revoked_at for key in seen if key}) == 1


def test_a_use_is_noted_and_only_moves_on(stand: Stand) -> None:
    stand.ring.add(a_key(SECRET))

    for second in (5, 3):
        stand.ring.used("key_1", at=at(second))
        assert stand.write()

    assert stand.ring.all()[0].last_used_at == at(5)


def test_the_use_of_a_key_that_is_gone_makes_none(stand: Stand) -> None:
    stand.ring.used("key_9", at=at(1))

    assert stand.write()
    assert stand.ring.is_empty()


# MongoDB alone


def test_no_secret_stands_in_the_store(
    mongo_database: Database[dict[str, Any]],
) -> None:
    MongoKeyRing(mongo_database).add(a_key(SECRET))

    (document,) = mongo_database["api_keys"].find()

    assert SECRET not in repr(document)
    assert document["digest"] == digest_of(SECRET)


def test_no_two_keys_have_one_digest(mongo_database: Database[dict[str, Any]]) -> None:
    MongoStore(mongo_database).ensure_indexes()
    ring = MongoKeyRing(mongo_database)
    ring.add(a_key(SECRET))

    with pytest.raises(StoreUnavailableError) as caught:
        ring.add(a_key(SECRET, key_id="key_2"))

    assert isinstance(caught.value.__cause__, DuplicateKeyError)
    assert len(ring.all()) == 1


def test_a_key_that_the_driver_stored_twice_is_stored(
    mongo_database: Database[dict[str, Any]],
) -> None:
    MongoStore(mongo_database).ensure_indexes()
    ring = MongoKeyRing(mongo_database)

    ring.add(a_key(SECRET))
    ring.add(a_key(SECRET))

    assert len(ring.all()) == 1


def test_a_thread_of_its_own_writes_uses_down(
    mongo_database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.adapters.mongo_keys.WRITE_EVERY_S", 0.01)
    ring = MongoKeyRing(mongo_database)
    ring.add(a_key(SECRET))

    ring.used("key_1", at=at(7))
    assert ring._thread is not None
    ring.close()
    ring._thread.join(30)

    assert not ring._thread.is_alive()
    assert ring.all()[0].last_used_at == at(7)


def test_a_store_that_is_away_says_so_and_a_use_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for bound in ("FIND_S", "OPERATION_S"):
        monkeypatch.setattr(f"postroom.adapters.mongo_keys.{bound}", 0.2)
    with connect(f"mongodb://127.0.0.1:{a_port()}/none") as client:
        ring = MongoKeyRing(database_of(client))

        for ask in (
            lambda: ring.add(a_key()),
            lambda: ring.find(b"x"),
            ring.is_empty,
            ring.all,
            lambda: ring.revoke("key_1", now=at(0)),
        ):
            with pytest.raises(StoreUnavailableError):
                ask()
        ring.used("key_1", at=at(0))
        assert not ring.write(bound_s=0.2)
        ring.close()
