"""What is fine, doubtful or wrong with the settings and the two servers."""

from dataclasses import replace

import pytest

from postroom.domain.inspection import RedisFacts, StoreFacts
from postroom.domain.policy import Policy
from postroom.services import server_checkup
from tests.builders import seconds
from tests.services.findings import MONGODB, REDIS, not_fine, results


def test_a_sound_mongodb_is_fine() -> None:
    assert not_fine(server_checkup.of_store(MONGODB)) == {}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, {"mongodb": "fail"}),
        (replace(MONGODB, writable=False), {"mongodb": "fail"}),
        (replace(MONGODB, version="5.0.1"), {"mongodb.version": "warn"}),
        (replace(MONGODB, version="strange"), {"mongodb.version": "warn"}),
        (replace(MONGODB, replica_set=None), {"mongodb.replica_set": "warn"}),
        (replace(MONGODB, durable=False), {"mongodb.write_concern": "refuse"}),
        (replace(MONGODB, transactions=False), {"mongodb.transactions": "warn"}),
        (replace(MONGODB, missing_indexes=("due",)), {"mongodb.indexes": "fail"}),
        (replace(MONGODB, offset=seconds(5)), {}),
        (replace(MONGODB, offset=seconds(5.1)), {"clock": "warn"}),
        (replace(MONGODB, offset=seconds(-120)), {"clock": "warn"}),
    ],
)
def test_a_mongodb_that_is_not(
    facts: StoreFacts | None, expected: dict[str, str]
) -> None:
    assert not_fine(server_checkup.of_store(facts)) == expected


@pytest.mark.parametrize(
    ("offset", "told"), [(120, "120 s ahead of"), (-120, "120 s behind")]
)
def test_a_wrong_clock_says_which_way(offset: float, told: str) -> None:
    facts = replace(MONGODB, offset=seconds(offset))

    (clock,) = (c for c in server_checkup.of_store(facts) if c.name == "clock")

    assert told in clock.found


def test_a_sound_redis_is_fine() -> None:
    assert not_fine(server_checkup.of_redis(REDIS)) == {}
    assert not_fine(server_checkup.of_redis(replace(REDIS, memory_used=0.7))) == {}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, {"redis": "fail"}),
        (replace(REDIS, is_replica=True), {"redis": "fail"}),
        (replace(REDIS, version="6.2.0"), {"redis.version": "warn"}),
        (replace(REDIS, eviction_policy="allkeys-lru"), {"redis.eviction": "refuse"}),
        (replace(REDIS, eviction_policy=None), {"redis.eviction": "warn"}),
        (replace(REDIS, memory_used=0.71), {"redis.memory": "warn"}),
    ],
)
def test_a_redis_that_is_not(
    facts: RedisFacts | None, expected: dict[str, str]
) -> None:
    assert not_fine(server_checkup.of_redis(facts)) == expected


@pytest.mark.parametrize("append_only", [False, None])
def test_a_redis_without_persistence_gets_a_hint_and_no_warning(
    append_only: bool | None,
) -> None:
    checks = list(server_checkup.of_redis(replace(REDIS, append_only=append_only)))

    assert not_fine(checks) == {}
    (found,) = (c.found for c in checks if c.name == "redis.persistence")
    assert "`appendonly yes` helps" in found


@pytest.mark.parametrize(
    ("usable", "revoked", "in_settings", "production", "expected"),
    [
        (1, 0, False, True, "ok"),
        (0, 0, True, True, "ok"),
        (0, 0, False, True, "refuse"),
        (0, 1, False, True, "refuse"),
        (0, 0, False, False, "warn"),
        (0, 1, False, False, "warn"),
        (1, 1, False, False, "ok"),
    ],
)
def test_production_wants_a_key_wherever_it_is(
    usable: int, revoked: int, in_settings: bool, production: bool, expected: str
) -> None:
    facts = replace(MONGODB, usable_keys=usable, revoked_keys=revoked)

    (check,) = server_checkup.of_keys(
        facts, in_settings=in_settings, production=production
    )

    assert (check.name, check.result.value) == ("keys", expected)


@pytest.mark.parametrize(("revoked", "who"), [(0, "whoever"), (1, "nobody")])
def test_without_a_usable_key_all_or_nobody_can_call(revoked: int, who: str) -> None:
    facts = replace(MONGODB, usable_keys=0, revoked_keys=revoked)

    (check,) = server_checkup.of_keys(facts, in_settings=False, production=False)

    assert who in check.found


def test_what_a_store_that_is_away_holds_is_not_known() -> None:
    def words(*, in_settings: bool) -> list[str]:
        checks = server_checkup.of_keys(None, in_settings=in_settings, production=True)
        return [check.result.value for check in checks]

    assert words(in_settings=False) == []
    assert words(in_settings=True) == ["ok"]


def test_warnings_of_the_settings_are_passed_on() -> None:
    assert results(server_checkup.of_settings([])) == {"settings": "ok"}
    assert [c.found for c in server_checkup.of_settings(["a", "b"])] == ["a", "b"]


@pytest.mark.parametrize(
    ("lease_s", "production", "expected"),
    [
        (40, True, "ok"),
        (39.9, True, "refuse"),
        (39.9, False, "warn"),
        (16, True, "refuse"),
    ],
)
def test_a_lease_that_a_slow_call_outlives_is_for_development_only(
    lease_s: float, production: bool, expected: str
) -> None:
    policy = Policy(lease=seconds(lease_s), timeout=seconds(15))

    check = server_checkup.of_lease(policy, production=production)

    assert check.result.value == expected
    assert "40" in check.found
