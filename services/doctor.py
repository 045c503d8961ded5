"""Look at everything that email depends on, and say what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..domain.archive import Archive, DeadLetters
from ..domain.check import Check, Rule
from ..domain.errors import ClockUnsureError, SearchTimeoutError, StoreError
from ..domain.inspection import BreakerPanel
from ..domain.ports import Clock, EmailStore, Heartbeats
from . import checkup, rules
from .self_check import SelfCheck

#: Dead letters of this time are worth a warning.
LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Examine the service from outside; nothing is changed.

    What depends on a server that is away is not looked at: it would only take long
    to say the same.
    """

    self_check: SelfCheck
    store: EmailStore
    archive: Archive
    panel: BreakerPanel
    heartbeats: Heartbeats
    clock: Clock
    names: Sequence[str]

    def __call__(self) -> tuple[Check, ...]:
        """Return all checks. Never raises."""
        return tuple(self._checks())

    def _checks(self) -> Iterator[Check]:
        findings = self.self_check.servers()
        yield from findings.checks
        if findings.has_redis:
            ages = self.heartbeats.ages()
            yield from checkup.of_beats(ages) if ages is not None else ()
            yield from self.self_check.queues(ages)
            yield from self._providers()
        if findings.has_store:
            yield from self._emails()

    def _providers(self) -> Iterator[Check]:
        views = {name: self.panel.view(name) for name in self.names}
        if not self.panel.is_shared:
            return  # Redis went away just now: these would only be our own
        for name, view in views.items():
            yield checkup.of_provider(name, view)
        yield from checkup.of_providers(tuple(views.values()))

    def _emails(self) -> Iterator[Check]:
        yield from self._asked(rules.OLDEST_DUE, self._oldest_due)
        yield from self._asked(rules.DEAD_LETTERS, self._dead_letters)
        yield from self._asked(rules.EMAILS, self._counts)

    def _asked(self, rule: Rule, ask: Callable[[], Iterable[Check]]) -> Iterable[Check]:
        try:
            return tuple(ask())
        except SearchTimeoutError:
            found = "too many to look at in a few seconds"
            return (rule.warn(found, "ask the store itself"),)
        except (StoreError, ClockUnsureError) as ex:
            return (rule.fail(str(ex), "look at MongoDB"),)

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
