"""Processes that die, stall or lose an answer at any call that leaves them.

A process does one piece of work. Whatever goes through a port may be the last that it
does, so that no service needs a hook for it. A fault waits for the first process that
makes the call which it is for.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from postroom.domain.errors import (
    ClockUnsureError,
    HintError,
    NotStoredError,
    StorageUnsureError,
    StoreUnavailableError,
)
from tests.simulation import Crash

#: Only a deadlock reaches it, in seconds.
PATIENCE_S = 60.0


class Kind(StrEnum):
    """What befalls a process."""

    #: It is gone, with all that it knew.
    CRASH = "crash"
    #: It stands still until somebody lets it go on.
    STALL = "stall"
    #: The other side does not answer.
    AWAY = "away"
    #: A patient write is repeated, since the first answer got lost.
    REPEAT = "repeat"


#: Where a fault may hit: calls that leave a process. A claim and what is recorded are
#: the same call, told apart by what they write; all hints are one.
CALLS = (
    "load",
    "permit",
    "claim",
    "send",
    "report",
    "record",
    "hint",
    "insert",
    "due",
    "parked",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What befalls the next process that makes a call.

    Attributes:
        call: One of ``CALLS``.
        after: Whether the other side has done what it was asked for.
    """

    kind: Kind
    call: str
    after: bool = True


class Process:
    """One piece of work, done by services behind `Port`s.

    Args:
        label: What it is, for the history of the store.
        work: Is done once.
        faults: What is to befall it; what has is taken out.
        is_away: Says of a port whether its other side is away just now.
        may_stall: Whether anybody could let it go on.
    """

    def __init__(
        self,
        label: str,
        work: Callable[[], Any],
        faults: list[Fault],
        *,
        is_away: Callable[[str], bool],
        may_stall: bool = True,
    ) -> None:
        self.label = label
        self.is_dead = False
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None
        #: The last attempt that it claimed.
        self.attempt_id: str | None = None
        self._work = work
        self._faults = faults
        self._is_away = is_away
        self._may_stall = may_stall
        self._moved = threading.Event()
        self._may_go = threading.Event()

    def run(self) -> None:
        """Do the work up to its end, or to where it stalls."""
        if any(fault.kind is Kind.STALL for fault in self._faults):
            threading.Thread(target=self._run_apart, daemon=True).start()
            assert self._moved.wait(PATIENCE_S), "neither done nor stalled"
        else:
            self.work()

    def resume(self, *, dies: bool = False) -> None:
        """Go on after a stall, or die there."""
        self.is_dead = self.is_dead or dies
        self._moved.clear()
        self._may_go.set()
        assert self._moved.wait(PATIENCE_S), "neither done nor stalled"

    def work(self) -> None:
        """Do the work in this thread."""
        before = getattr(_HERE, "process", None)
        _HERE.process = self
        try:
            self.result = self._work()
        except BaseException as ex:  # noqa: BLE001 - the main thread looks at it
            self.error = ex
        finally:
            _HERE.process = before
            self.is_done = True

    def call(
        self, port: str, name: str, function: Callable[[], Any], *, is_patient: bool
    ) -> Any:
        """Make one call, with what befalls the process before and after it."""
        if self.is_dead:
            raise Crash  # what a dead process would do in its `finally`, it does not
        fault = self._next_fault(port, name, is_patient=is_patient)
        if self._is_away(port) and name != "monotonic":
            raise _absence(port, name, done=False)
        if fault is not None and not fault.after:
            self._suffer(fault, port, name)
        result = function()
        if fault is not None and fault.after:
            if fault.kind is Kind.REPEAT:
                return function()
            self._suffer(fault, port, name)
        return result

    def _run_apart(self) -> None:
        try:
            self.work()
        finally:
            self._moved.set()

    def _next_fault(self, port: str, name: str, *, is_patient: bool) -> Fault | None:
        call = "hint" if port == "hints" else name
        for fault in self._faults:
            if fault.call == call and self._may_suffer(fault, port, is_patient):
                with contextlib.suppress(ValueError):  # another has just had it
                    self._faults.remove(fault)
                    return fault
        return None

    def _may_suffer(self, fault: Fault, port: str, is_patient: bool) -> bool:
        match fault.kind:
            case Kind.CRASH:
                return True
            case Kind.STALL:
                return self._may_stall
            case Kind.AWAY:
                return port in ABSENT
            case Kind.REPEAT:
                return is_patient

    def _suffer(self, fault: Fault, port: str, name: str) -> None:
        match fault.kind:
            case Kind.CRASH:
                self.is_dead = True
                raise Crash
            case Kind.STALL:
                self._stall()
            case Kind.AWAY:
                raise _absence(port, name, done=fault.after)

    def _stall(self) -> None:
        self._may_go.clear()
        self._moved.set()
        assert self._may_go.wait(PATIENCE_S), "nobody let it go on"
        if self.is_dead:
            raise Crash


#: The process whose work a thread does.
_HERE = threading.local()

#: Whose absence a caller is told of: a board never raises, and a provider's silence is
#: an outcome.
ABSENT = {"store", "hints", "clock"}


def current() -> Process | None:
    """Return the process whose work this thread does, if any."""
    return getattr(_HERE, "process", None)


def _absence(port: str, name: str, *, done: bool) -> Exception:
    match port, name:
        case "hints", _:
            return HintError("away")
        case "clock", _:
            return ClockUnsureError("away")
        case "store", "insert" if not done:
            return NotStoredError("away")
        case "store", "insert":
            return StorageUnsureError("away", email_id="")
        case _:
            return StoreUnavailableError("away")


class Port:
    """Stands between the services and one port."""

    def __init__(self, name: str, port: Any) -> None:
        self._name = name
        self._port = port

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            process = current()
            if process is None:
                return found(*args, **kwargs)
            return process.call(
                self._name,
                _named(name, *args),
                lambda: found(*args, **kwargs),
                is_patient=bool(kwargs.get("patience")),
            )

        return call


def _named(name: str, *args: Any) -> str:
    """Tell a claim from whatever else is written."""
    if name == "insert_together":
        return "insert"
    if name != "apply":
        return name
    change = args[0]
    is_claim = len(change.after.attempts) > len(change.before.attempts)
    return "claim" if is_claim else "record"
