"""A breaker's state in Redis: one hash, and one script for each decision.

Redis's clock is the only one, and each decision is one trip. Constructing anything
here never asks Redis.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script

from ..domain.policy import SENDER_MEMORY
from ..domain.ports import Clock, Permit, Report
from ..domain.routing import BreakerState
from .breaker_facts import (
    MOST_REFUSED_SENDERS,
    Admission,
    Facts,
    Order,
    Rules,
    Verdict,
)
from .breaker_latency import class_of
from .breakers import LeasedStorage
from .shared_script import SharedScript

#: How old what this process knows may be for a call to pass without a trip, in s.
FRESH_S = 0.25

#: While one thread asks, the others go on with what is at most this old, in s.
STALE_S = 1.0

_MS = timedelta(milliseconds=1)
_FOLDER = Path(__file__).parent


def read_lua(name: str) -> str:
    """Return the text of a script beside this file."""
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


class BreakerScripts:
    """The scripts, each with the clock and the shared functions before it.

    Args:
        client: Nothing is asked of it until a script runs.
        clock_lua: What gives ``now_us``; tests pass a clock that they can move.
    """

    def __init__(self, client: redis.Redis, *, clock_lua: str | None = None) -> None:
        start = (clock_lua or read_lua("breaker_clock")) + read_lua("breaker")

        def script(name: str) -> Script:
            return client.register_script(start + read_lua(f"breaker_{name}"))

        self.admit = script("admit")
        #: One for each email that is sent.
        self.report = SharedScript(client, script("report"))
        self.elect = script("elect")
        self.release = script("release")
        self.tell = script("tell")
        self.peek = script("peek")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Facts and when they came, by the monotonic clock."""

    facts: Facts
    at_s: float


class LeasedRedisStorage(LeasedStorage):
    """One provider's breaker, shared by all processes.

    Methods that ask raise ``redis.RedisError`` when Redis does not answer.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        *,
        scripts: BreakerScripts,
        clock: Clock,
    ) -> None:
        super().__init__(name, rules)
        key = f"postroom:breaker:{name}"
        self.keys = (key, f"{key}:refused")
        self._scripts = scripts
        self._clock = clock
        self._noting = threading.Lock()
        self._asking = threading.Lock()
        self._seen: Seen | None = None
        self._refused_until_s: Mapping[str, float] = {}

    @property
    def facts(self) -> Facts:
        """What this process saw last; closed if it has seen nothing."""
        seen = self._seen
        return seen.facts if seen else Facts()

    @property
    def seen(self) -> Seen | None:
        """What this process saw last, and when; without refused From domains."""
        return self._seen

    def known(self) -> Seen | None:
        """Return all that this process saw last, refused From domains too."""
        seen, now = self._seen, self._clock.monotonic()
        if seen is None:
            return None
        refuses = {
            domain: int((until_s - seen.at_s) * 1000)
            for domain, until_s in self._refused_until_s.items()
            if until_s > now
        }
        return replace(seen, facts=replace(seen.facts, refuses=refuses))

    def note(self, facts: Facts) -> None:
        """Keep facts unless newer ones came meanwhile from another thread.

        By Redis's clock, which may be set back: so that this cannot stop us from
        seeing, what is no longer fresh gives way to anything.
        """
        now = self._clock.monotonic()
        with self._noting:
            seen = self._seen
            if (
                seen is None
                or facts.at_us >= seen.facts.at_us
                or now - seen.at_s > FRESH_S
            ):
                self._seen = Seen(facts=facts, at_s=now)

    def note_refused(self, refuses: Mapping[str, int]) -> None:
        """Keep the refused From domains, each with what is left of it in ms."""
        now = self._clock.monotonic()
        self._refused_until_s = {
            domain: now + left_ms / 1000 for domain, left_ms in refuses.items()
        }

    def admit(self, token: str, *, probe: bool) -> Admission:
        """Let a call pass, make it the probe under ``token``, or deny it.

        Local while what was seen is fresh and lets all pass. When it is not fresh any
        more one thread asks, and the others go on with the old for that moment.
        """
        seen = self._seen
        if seen is None or not self._lets_all_pass(seen, STALE_S):
            return self._ask_admit(token, probe=probe)
        if not self._lets_all_pass(seen, FRESH_S) and self._asking.acquire(
            blocking=False
        ):
            try:
                return self._ask_admit(token, probe=probe)
            finally:
                self._asking.release()
        return Admission(verdict=Verdict.PASS, facts=seen.facts)

    def settle(self, permit: Permit, report: Report) -> Facts:
        """Take the result of a call that was admitted."""
        success = {True: "1", False: "0", None: ""}[report.success]
        slow = report.latency > self.rules.slow
        return self._ask(
            self._scripts.report,
            permit.token,
            permit.epoch,
            success,
            int(report.trip),
            int(slow),
            class_of(report.latency),
        )[1]

    def elect(self, email_id: str) -> bool:
        """Return whether this email is the next probe."""
        return self._ask(self._scripts.elect, email_id)[0] == "won"

    def may_release(self, every: timedelta) -> bool:
        """Return whether this call is the one of all in ``every``."""
        return self._ask(self._scripts.release, every // _MS)[0] == "won"

    def pause(self, wait: timedelta) -> Facts:
        """Deny all calls for ``wait``, or for longer if that was said before."""
        return self._ask(self._scripts.tell, "pause", max(wait // _MS, 0))[1]

    def refuse(self, from_domain: str) -> Facts:
        """Remember that the provider refused this From domain."""
        memory_ms = SENDER_MEMORY // _MS
        words = ("refuse", from_domain, memory_ms, MOST_REFUSED_SENDERS)
        facts = self._ask(self._scripts.tell, *words)[1]
        until_s = self._clock.monotonic() + SENDER_MEMORY.total_seconds()
        self._refused_until_s = {**self._refused_until_s, from_domain: until_s}
        return facts

    def order(self, order: Order) -> Facts:
        """Do what an operator says."""
        return self._ask(self._scripts.tell, order.value)[1]

    def _lets_all_pass(self, seen: Seen, longest_s: float) -> bool:
        age_s = self._clock.monotonic() - seen.at_s
        return age_s <= longest_s and seen.facts.lets_all_pass

    def _ask_admit(self, token: str, *, probe: bool) -> Admission:
        word, facts = self._ask(self._scripts.admit, token, int(probe))
        return Admission(verdict=Verdict(word), facts=facts)

    def _ask(
        self, script: Script | SharedScript, *words: str | int
    ) -> tuple[str, Facts]:
        args = (*rule_words(self.rules), *words)
        reply = json.loads(script(keys=self.keys, args=args))
        facts = facts_of(reply)
        self.note(facts)
        return reply["verdict"], facts


def peek(
    scripts: BreakerScripts,
    storages: Sequence[LeasedRedisStorage],
) -> Mapping[str, Facts]:
    """Read all breakers in one trip, refused From domains too, and note them.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    keys = [key for storage in storages for key in storage.keys]
    args = rule_words(storages[0].rules)
    replies = json.loads(scripts.peek(keys=keys, args=args))
    found = {}
    for storage, reply in zip(storages, replies, strict=True):
        facts = facts_of(reply)
        storage.note(replace(facts, refuses={}))
        storage.note_refused(facts.refuses)
        found[storage.name] = facts
    return found


def rule_words(rules: Rules) -> tuple[int, ...]:
    """Return the numbers that every script takes first."""
    return (
        rules.fail_max,
        rules.reset_ms,
        rules.window_ms,
        rules.lease_ms,
        rules.longest_pause_ms,
    )


def facts_of(reply: Mapping[str, Any]) -> Facts:
    """Read a script's reply."""
    return Facts(
        state=BreakerState(reply["state"]),
        epoch=int(reply["epoch"]),
        wait_ms=int(reply["wait_ms"]),
        pause_ms=int(reply["pause_ms"]),
        drained=reply["drained"],
        calls=int(reply["calls"]),
        failures=int(reply["failures"]),
        rate_per_s=round(float(reply["rate_per_s"]), 3),
        at_us=int(reply["at_us"]),
        latencies=tuple(int(number) for number in reply.get("latencies", ())),
        refuses={
            domain: int(left_ms) for domain, left_ms in reply.get("refuses", {}).items()
        },
    )
