"""What no process of the Procfile does often, or at all, as a command of its own.

Each errand is run by the service that does it, made of the parts of a real process.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import dramatiq

from postroom.actors import worker
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import Parts, build
from postroom.domain.access import Access, Rate
from postroom.domain.archive import Archive, DeadLetters, Found
from postroom.domain.hint import SWEEP_ACTOR
from postroom.services.authenticate import Authenticate
from postroom.services.cancel import Cancel
from postroom.services.erase import Erase
from postroom.services.redrive import Redrive
from postroom.services.replay import MOST, Replay
from postroom.services.reschedule import Reschedule
from postroom.services.throttle import Throttle


def main() -> None:
    """Run one errand: its name and what it needs are the arguments."""
    name, *given = sys.argv[1:]
    errand: Callable[..., None] = ERRANDS[name]
    errand(*given)


def tick() -> None:
    """Do what the scheduler does each minute."""
    worker.schedule()
    dramatiq.get_broker().actors[SWEEP_ACTOR].send()


def retain() -> None:
    """Do what a router does every five minutes."""
    with _parts() as parts:
        parts.failpoints.fit(worker._retain(parts))()


def watch() -> None:
    """Do what a router does some time after its start."""
    with _parts() as parts:
        parts.failpoints.fit(worker._watch(parts))()


def cancel(email_id: str) -> None:
    """Take an email back."""
    with _parts() as parts:
        service = Cancel(store=parts.store, clock=parts.clock)
        parts.failpoints.fit(service)(email_id)


def reschedule(email_id: str, wait_s: str) -> None:
    """Move an email to so many seconds from now."""
    with _parts() as parts:
        service = Reschedule(
            store=parts.store,
            hints=parts.hints,
            clock=parts.clock,
            policy=parts.settings.policy,
        )
        to = parts.clock.now() + timedelta(seconds=float(wait_s))
        parts.failpoints.fit(service)(email_id, to=to)


def knock(*secrets: str) -> None:
    """Do what the API does with a request: with a key, or while none is asked for."""
    with _parts() as parts:
        service = Authenticate(ring=parts.keys, clock=parts.clock, required=False)
        authenticate = parts.failpoints.fit(service)
        for secret in secrets or (None,):
            authenticate(secret)


def throttle() -> None:
    """Count a request of a key."""
    with _parts() as parts:
        service = Throttle(limit=parts.rates, rate=Rate.of(1000))
        parts.failpoints.fit(service)(Access(key_id="key_1"))


def erase(email_id: str) -> None:
    """Erase what an email said."""
    with _parts() as parts:
        service = Erase(
            store=parts.store,
            erasure=parts.erasure,
            clock=parts.clock,
            policy=parts.settings.policy,
        )
        parts.failpoints.fit(service)(email_id)


def replay(email_id: str) -> None:
    """Redrive one dead letter as one of many: others have their own end to come to."""
    with _parts() as parts:
        redrive = Redrive(
            store=parts.store,
            hints=parts.hints,
            clock=parts.clock,
            policy=parts.settings.policy,
        )
        archive: Any = _ArchiveOfOne(parts.archive, email_id)
        service = Replay(archive=archive, hints=parts.hints, redrive=redrive)
        parts.failpoints.fit(service)(DeadLetters(), limit=MOST)


class _ArchiveOfOne:
    def __init__(self, archive: Archive, email_id: str) -> None:
        self._archive = archive
        self._email_id = email_id

    def dead_letters(self, query: DeadLetters, **given: Any) -> Found:
        found = self._archive.dead_letters(query, **given)
        emails = tuple(e for e in found.emails if e.email_id == self._email_id)
        return Found(emails=emails, has_more=False)


@contextlib.contextmanager
def _parts() -> Iterator[Parts]:
    with contextlib.closing(build(Settings.from_env(os.environ))) as parts:
        yield parts


ERRANDS: Mapping[str, Callable[..., None]] = {
    "tick": tick,
    "retain": retain,
    "watch": watch,
    "cancel": cancel,
    "reschedule": reschedule,
    "knock": knock,
    "throttle": throttle,
    "erase": erase,
    "replay": replay,
}
