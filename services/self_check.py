"""The checks that every process makes before it starts, and `router` now and then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ..domain.check import Check, Result, Rule
from ..domain.errors import StartRefusedError
from ..domain.inspection import HURRIED, PATIENT, Premises
from ..domain.ports import Heartbeats
from . import checkup, server_checkup

#: Takes what is doubtful or wrong, for the log.
Tell = Callable[[Check], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of a look at the settings and the two servers.

    Attributes:
        has_store: MongoDB answered; otherwise nothing else was asked of it.
        has_redis: The same for Redis.
    """

    checks: tuple[Check, ...]
    has_store: bool
    has_redis: bool


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Look at the settings, the two servers and the send queues. Never raises."""

    premises: Premises

    def servers(self, *, patience: timedelta = PATIENT) -> Findings:
        """Return all checks of the settings and of both servers."""
        given = self.premises
        store = given.inspector.store(patience=patience)
        redis = given.inspector.redis()
        return Findings(
            checks=(
                *server_checkup.of_settings(given.warnings),
                server_checkup.of_lease(given.policy, production=given.production),
                *server_checkup.of_store(store),
                *server_checkup.of_keys(
                    store,
                    in_settings=given.has_setting_key,
                    production=given.production,
                ),
                *server_checkup.of_redis(redis),
            ),
            has_store=store is not None,
            has_redis=redis is not None,
        )

    def queues(self, ages: Mapping[str, timedelta] | None) -> Iterator[Check]:
        """Give the checks of the send queues; see ``checkup.of_queues``."""
        backlog = self.premises.queues.backlog()
        if backlog is not None:
            providers = self.premises.providers
            yield from checkup.of_queues(backlog, providers=providers, ages=ages)


def start(
    check: SelfCheck,
    tell: Tell,
    *,
    queues: bool = False,
    without: Collection[Rule] = (),
) -> None:
    """Let a process start, unless email would be lost or doubled.

    A server that is away is told and does not keep anybody from starting: processes
    wait for it. What it would have been asked is then not known.

    Args:
        check: What to look at.
        tell: Takes what is doubtful.
        queues: Also look for queues of providers that are gone. Whether a worker
            serves the others cannot be known while all are starting.
        without: Rules that this process is about to satisfy, or that it can do
            without.

    Raises:
        StartRefusedError: It has all the reasons.
    """
    findings = check.servers(patience=HURRIED)
    checks = list(findings.checks)
    if queues and findings.has_redis:
        checks += check.queues(None)
    left_out = {rule.name for rule in without}
    checks = [each for each in checks if each.name not in left_out]
    faults = [each for each in checks if each.result is Result.REFUSE]
    if faults:
        raise StartRefusedError(
            tuple(f"{each.name}: {each.found}; {each.do}" for each in faults)
        )
    for each in checks:
        if each.result is not Result.OK:
            tell(each)


@dataclass(slots=True, kw_only=True)
class Watch:
    """Look again while a process runs, and tell what was not so the last time."""

    check: SelfCheck
    heartbeats: Heartbeats
    tell: Tell
    _last: set[tuple[str, Result]] = field(default_factory=set)

    def __call__(self) -> None:
        """Look once. Never raises."""
        amiss = {
            (each.name, each.result): each
            for each in self._checks()
            if each.result is not Result.OK
        }
        for key, each in amiss.items():
            if key not in self._last:
                self.tell(each)
        self._last = set(amiss)

    def _checks(self) -> Iterator[Check]:
        findings = self.check.servers()
        yield from findings.checks
        if not findings.has_redis:
            return
        ages = self.heartbeats.ages()
        if ages is not None:
            yield from checkup.of_beats(ages)
            yield from self.check.queues(ages)
