"""How a provider fails: each way before the email was taken, and after."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.chaos.wishes import REFUSED_ADDRESS
from tests.fake_provider import AsProcess, Mode, Rule

#: What the provider takes for an email when all is well, in ms.
USUAL_MS = 30

#: The share of the calls that each rule hits.
SHARE = 0.12

#: More than the adapters read of an answer, in bytes.
HUGE = 4 * 1024 * 1024

#: A page of somebody in front, instead of the provider's answer.
PAGE = "<html><body>It works!</body></html>"

#: No provider takes such an address, and each says so with this status.
NO_SUCH_ADDRESS = '{"message": "Does not contain a valid address."}'


def _both(mode: Mode, **fields: object) -> list[Rule]:
    """Return the rule for before and for after the email was taken."""
    return [
        Rule(mode=mode, accepts=accepts, chance=SHARE, **fields)  # type: ignore[arg-type]
        for accepts in (False, True)
    ]


def _status(status: int) -> Callable[[], list[Rule]]:
    body = '{"message": "scripted"}'
    return lambda: _both(Mode.STATUS, status=status, body=body)


def _throttled() -> list[Rule]:
    """Return 429s with what providers and gateways have put into Retry-After."""
    soon = datetime.now(UTC) + timedelta(seconds=2)
    odd = [format_datetime(soon, usegmt=True), "999999999", "-5", "soon", "1"]
    return [
        Rule(
            mode=Mode.STATUS,
            status=429,
            body='{"message": "Too many requests"}',
            headers={"Retry-After": value},
            chance=0.03,
        )
        for value in odd
    ]


#: By kind: what to script. Called when it is, for what holds the time of day.
MIXTURES: Mapping[str, Callable[[], list[Rule]]] = {
    "timeout": lambda: _both(Mode.HANG),
    "reset": lambda: _both(Mode.DROP),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "429": _throttled,
    "slow_loris": lambda: [
        Rule(mode=Mode.SLOW, pause_ms=200, chance=SHARE),
        # Never a success that is none: that would be a lie, and no fault.
        Rule(mode=Mode.SLOW, pause_ms=200, chance=SHARE, status=503, body=PAGE),
    ],
    "garbage": lambda: [
        *_both(Mode.STATUS, status=200, body=PAGE),
        *_both(Mode.STATUS, status=202, body=PAGE),
    ],
    "cut": lambda: _both(Mode.CUT),
    "huge": lambda: _both(Mode.STATUS, status=200, body="{", fill_bytes=HUGE),
}


class Rules:
    """What the fake provider does now: the refused address, a fault, or all is well."""

    def __init__(self, fake: AsProcess, *, delay_ms: int = USUAL_MS) -> None:
        self._fake = fake
        self._faults: tuple[Rule, ...] = ()
        self._delay_ms = delay_ms
        self._lock = threading.Lock()
        self._say()

    @contextlib.contextmanager
    def added(self, *rules: Rule) -> Iterator[None]:
        self._change(faults=rules)
        try:
            yield
        finally:
            self._change(faults=())

    @contextlib.contextmanager
    def slower(self, delay_ms: int) -> Iterator[None]:
        self._change(delay_ms=delay_ms)
        try:
            yield
        finally:
            self._change(delay_ms=USUAL_MS)

    def _change(
        self, *, faults: tuple[Rule, ...] | None = None, delay_ms: int | None = None
    ) -> None:
        with self._lock:
            self._faults = self._faults if faults is None else faults
            self._delay_ms = self._delay_ms if delay_ms is None else delay_ms
            self._say()

    def _say(self) -> None:
        refusal = Rule(
            recipient=REFUSED_ADDRESS,
            mode=Mode.STATUS,
            status=400,
            body=NO_SUCH_ADDRESS,
        )
        self._fake.script(refusal, *self._faults, Rule(delay_ms=self._delay_ms))
