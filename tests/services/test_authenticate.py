"""Whose request it is, by what was asked and what is remembered."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.domain.access import Access, ApiKey, Scope, digest_of
from postroom.domain.errors import ClockUnsureError, StoreUnavailableError
from postroom.services.authenticate import (
    AWAY_S,
    FRESH_S,
    SETTING_ID,
    STALE_S,
    Authenticate,
)
from tests.builders import NOW, a_key, seconds

SECRET = "pr_live_" + "k" * 43
OTHER = "pr_live_" + "o" * 43
SETTING = "the key of the settings"


class CountedRing(MemoryKeyRing):
    """Counts what it is asked, and can be away."""

    def __init__(self, *keys: ApiKey) -> None:
        super().__init__(*keys)
        self.away = False
        self.asked = 0
        self.uses: list[tuple[str, datetime]] = []

    def find(self, digest: bytes) -> ApiKey | None:
        self._ask()
        return super().find(digest)

    def is_empty(self) -> bool:
        self._ask()
        return super().is_empty()

    def used(self, key_id: str, *, at: datetime) -> None:
        self.uses.append((key_id, at))
        super().used(key_id, at=at)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise StoreUnavailableError("away")


class LostClock(FakeClock):
    lost = False

    def now(self) -> datetime:
        if self.lost:
            raise ClockUnsureError("not seen")
        return super().now()


@dataclass
class Door:
    ring: CountedRing = field(default_factory=lambda: CountedRing(a_key(SECRET)))
    clock: LostClock = field(default_factory=lambda: LostClock(NOW))

    def authenticate(self, **given: Any) -> Authenticate:
        return Authenticate(ring=self.ring, clock=self.clock, **given)

    def wait(self, wait_s: float) -> None:
        self.clock.advance(timedelta(seconds=wait_s))


@pytest.fixture
def door() -> Door:
    return Door()


# Keys


def test_a_key_gives_its_holder_its_access(door: Door) -> None:
    assert door.authenticate()(SECRET) == a_key(SECRET).access


@pytest.mark.parametrize("secret", [None, "", OTHER, SECRET[:-1], SECRET + "k"])
def test_anything_else_gives_nothing(door: Door, secret: str | None) -> None:
    assert door.authenticate()(secret) is None


def test_what_cannot_be_a_key_costs_no_trip(door: Door) -> None:
    door.authenticate()("a guess")

    assert door.ring.asked == 0


def test_the_key_of_the_settings_is_for_everything_and_asks_nobody(door: Door) -> None:
    authenticate = door.authenticate(setting=digest_of(SETTING))
    door.ring.away = True

    access = authenticate(SETTING)

    assert access == Access(key_id=SETTING_ID)
    assert access is not None
    assert access.may(Scope.ADMIN)
    assert door.ring.asked == 0


def test_stored_keys_stand_beside_the_one_of_the_settings(door: Door) -> None:
    authenticate = door.authenticate(setting=digest_of(SETTING))

    assert authenticate(SECRET) == a_key(SECRET).access
    assert authenticate(None) is None


def test_a_known_key_is_asked_for_once_in_a_while(door: Door) -> None:
    authenticate = door.authenticate()

    for _ in range(10):
        authenticate(SECRET)
    assert door.ring.asked == 1

    door.wait(FRESH_S + 1)
    for _ in range(10):
        authenticate(SECRET)
    assert door.ring.asked == 2


def test_a_revoked_key_opens_nothing_after_a_few_seconds(door: Door) -> None:
    authenticate = door.authenticate()
    authenticate(SECRET)

    door.ring.revoke("key_1", now=NOW)
    door.wait(FRESH_S + 0.1)

    assert authenticate(SECRET) is None
    assert door.authenticate()(SECRET) is None


def test_a_key_that_is_gone_from_the_store_opens_nothing(door: Door) -> None:
    authenticate = door.authenticate()
    authenticate(SECRET)

    door.ring._keys.clear()
    door.wait(FRESH_S + 0.1)

    assert authenticate(SECRET) is None
    assert authenticate(SECRET) is None


# While the store is away


def test_known_keys_work_on_while_the_store_is_away(door: Door) -> None:
    authenticate = door.authenticate()
    authenticate(SECRET)

    door.ring.away = True
    for _ in range(int(STALE_S / 10) - 1):
        door.wait(10)
        assert authenticate(SECRET) is not None

    door.ring.away = False
    door.ring.revoke("key_1", now=NOW)
    door.wait(FRESH_S + 0.1)
    assert authenticate(SECRET) is None


def test_a_known_key_is_not_trusted_for_ever(door: Door) -> None:
    authenticate = door.authenticate()
    authenticate(SECRET)
    door.ring.away = True

    door.wait(STALE_S + 1)

    with pytest.raises(StoreUnavailableError):
        authenticate(SECRET)


def test_whether_an_unknown_key_is_valid_cannot_be_said(door: Door) -> None:
    door.ring.away = True

    with pytest.raises(StoreUnavailableError):
        door.authenticate()(OTHER)


def test_a_store_that_is_away_is_asked_once_a_second(door: Door) -> None:
    authenticate = door.authenticate()
    door.ring.away = True

    for _ in range(10):
        with pytest.raises(StoreUnavailableError):
            authenticate(SECRET)
    assert door.ring.asked == 1

    door.ring.away = False
    door.wait(AWAY_S + 0.1)
    assert authenticate(SECRET) is not None


# Without any key


def test_everything_is_open_until_there_is_a_key(door: Door) -> None:
    door.ring._keys.clear()
    authenticate = door.authenticate(required=False)

    assert authenticate(None) == Access()
    assert authenticate("re_whatever") == Access()
    assert authenticate(None) == Access()
    assert door.ring.asked == 1

    door.ring.add(a_key(SECRET))
    door.wait(FRESH_S + 0.1)

    assert authenticate(None) is None
    assert authenticate(SECRET) == a_key(SECRET).access


def test_a_revoked_key_does_not_open_the_door_again(door: Door) -> None:
    authenticate = door.authenticate(required=False)
    door.ring.revoke("key_1", now=NOW)

    assert authenticate(None) is None
    assert authenticate(SECRET) is None


def test_where_a_key_is_required_nothing_is_open(door: Door) -> None:
    door.ring._keys.clear()

    assert door.authenticate()(None) is None
    assert door.ring.asked == 0


def test_nothing_is_open_while_nobody_knows_whether_there_is_a_key(door: Door) -> None:
    door.ring.away = True
    authenticate = door.authenticate(required=False)

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            authenticate(None)


def test_what_was_open_stays_open_while_the_store_is_away(door: Door) -> None:
    door.ring._keys.clear()
    authenticate = door.authenticate(required=False)
    authenticate(None)

    door.ring.away = True
    door.wait(FRESH_S + 1)

    assert authenticate(None) == Access()
    assert authenticate(None) == Access()
    assert door.ring.asked == 2


# The last use


def test_a_use_is_noted_once_a_minute(door: Door) -> None:
    authenticate = door.authenticate()

    for _ in range(13):
        authenticate(SECRET)
        door.wait(10)

    assert door.ring.uses == [("key_1", NOW + seconds(60 * n)) for n in range(3)]


def test_a_use_that_another_process_noted_is_not_noted_again(door: Door) -> None:
    door.authenticate()(SECRET)

    door.wait(10)
    door.authenticate()(SECRET)

    assert door.ring.uses == [("key_1", NOW)]


def test_a_use_whose_time_nobody_knows_fails_nothing(door: Door) -> None:
    door.clock.lost = True

    assert door.authenticate()(SECRET) is not None
    assert door.ring.uses == []


def test_a_refused_key_was_not_used(door: Door) -> None:
    door.ring.revoke("key_1", now=NOW)

    door.authenticate()(SECRET)

    assert door.ring.uses == []
