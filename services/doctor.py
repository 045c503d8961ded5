"""Look at everything that email depends on, and say what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..domain.archive import Archive, DeadLetters
from ..domain.errors import ClockUnsureError, SearchTimeoutError, StoreError
from ..domain.inspection import BreakerPanel, Inspector
from ..domain.ports import Clock, EmailStore, Heartbeats
from . import checkup
from .checkup import Check

#: Dead letters of this time are worth a warning.
LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Examine the service from outside; nothing is changed.

    What depends on a server that is away is not looked at: it would only take long
    to say the same.

    Attributes:
        warnings: What the settings warn of.
    """

    inspector: Inspector
    store: EmailStore
    archive: Archive
    panel: BreakerPanel
    heartbeats: Heartbeats
    clock: Clock
    names: Sequence[str]
    warnings: Sequence[str] = ()

    def __call__(self) -> tuple[Check, ...]:
        """Return all checks. Never raises."""
        return tuple(self._checks())

    def _checks(self) -> Iterator[Check]:
        yield from checkup.of_settings(self.warnings)
        store = self.inspector.store()
        yield from checkup.of_store(store)
        redis = self.inspector.redis()
        yield from checkup.of_redis(redis)
        if redis is not None:
            ages = self.heartbeats.ages()
            yield from checkup.of_beats(ages) if ages is not None else ()
            yield from self._providers()
        if store is not None:
            yield from self._emails()

    def _providers(self) -> Iterator[Check]:
        views = {name: self.panel.view(name) for name in self.names}
        if not self.panel.is_shared:
            return  # Redis went away just now: these would only be our own
        for name, view in views.items():
            yield checkup.of_provider(name, view)
        yield from checkup.of_providers(tuple(views.values()))

    def _emails(self) -> Iterator[Check]:
        yield from self._asked("oldest_due", self._oldest_due)
        yield from self._asked("dead_letters", self._dead_letters)
        yield from self._asked("emails", self._counts)

    def _asked(self, name: str, ask: Callable[[], Iterable[Check]]) -> Iterable[Check]:
        try:
            return tuple(ask())
        except SearchTimeoutError:
            found = "too many to look at in a few seconds"
            return (checkup.warn(name, found, "ask the store itself"),)
        except (StoreError, ClockUnsureError) as ex:
            return (checkup.fail(name, str(ex), "look at MongoDB"),)

    def _oldest_due(self) -> Iterable[Check]:
        now = self.clock.now()
        oldest = next(iter(self.store.due(now, limit=1)), None)
        yield checkup.of_oldest_due(oldest, now=now)

    def _dead_letters(self) -> Iterable[Check]:
        lately = DeadLetters(since=self.clock.now() - LATELY)
        yield checkup.of_dead_letters(
            all_of_them=self.archive.dead_count(DeadLetters()),
            lately=self.archive.dead_count(lately),
        )

    def _counts(self) -> Iterable[Check]:
        return checkup.of_counts(self.archive.counts())
