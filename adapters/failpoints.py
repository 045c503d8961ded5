"""Failpoints: a process ends exactly where a test wants it to.

For tests only. They stand before and after every call that leaves the process: around
the ports that a service is given, so that no service knows of them. Without a folder
(``POSTROOM_FAILPOINTS_DIR``, which production refuses) everything is handed on as it
is, and costs nothing. Why so: docs/adr/0031-failpoints.md.

A point is named ``<service>.<port>.<method>.before`` or ``.after``. A file of that name
in the folder arms it. Of all processes that share the folder, the first that reaches
the point removes the file and is killed (SIGKILL). The file may say more, in words::

    kill            the same as an empty file
    stop            be stopped instead (SIGSTOP), until somebody sends SIGCONT
    kill TEXT       only in a call whose arguments, or whose result, show this text; or
                    TEXT is the id of the email that its thread had in hand last
"""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from ..domain.archive import is_email_id
from .failpoint_table import CALLS

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Around(Protocol):
    """Puts something before and after each call of a function."""

    def __call__(self, name: str, call: Callable[P, R], /) -> Callable[P, R]:
        """Return what to call instead."""
        ...


def nothing_around(name: str, call: Callable[P, R], /) -> Callable[P, R]:
    """Return the function itself: what stands where no failpoints are."""
    del name
    return call


class Failpoints:
    """The failpoints of one process: all of them, or without a folder none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._thread = threading.local()

    def fit(self, service: T) -> T:
        """Return a service whose ports have failpoints around what it calls.

        Args:
            service: A dataclass; its fields are named after the ports.

        Raises:
            LookupError: ``CALLS`` does not know it.
        """
        if self._folder is None:
            return service
        owner = name_of(type(service))
        ports = {call.partition(".")[0] for call in CALLS[owner]}
        fields = {port: getattr(service, port) for port in ports}
        fitted = {port: self._fit(owner, port, fields[port]) for port in ports}
        return cast("T", dataclasses.replace(cast("Any", service), **fitted))

    def guard(self, owner: str, port: str, target: T) -> T:
        """Return a port with failpoints around what ``owner`` calls of it."""
        if self._folder is None:
            return target
        calls = [call for call in CALLS[owner] if call.startswith(f"{port}.")]
        methods = (call.removeprefix(f"{port}.") for call in calls)
        guarded = {
            method: self.around(f"{owner}.{port}.{method}", getattr(target, method))
            for method in methods
        }
        return cast("T", _Guarded(target, guarded))

    def fit_broker(self, owner: str, broker: T) -> T:
        """Put failpoints around what Dramatiq asks of Redis; return the broker.

        All of it goes through one function that finds the script's command.
        """
        if self._folder is None:
            return broker
        its: Any = broker
        dispatch: Callable[[str], Callable[..., Any]] = its._dispatch  # noqa: SLF001

        def guarded(command: str) -> Callable[..., Any]:
            call = f"broker.{command}"
            asked = dispatch(command)
            return self.around(f"{owner}.{call}", asked) if _has(owner, call) else asked

        its._dispatch = guarded  # noqa: SLF001
        return broker

    @property
    def around(self) -> Around:
        """What a provider puts around the sending of a request."""
        return nothing_around if self._folder is None else self._around

    def reach(self, point: str, *shown: object) -> None:
        """Do what the point's file says, if there is one.

        Args:
            point: Its full name.
            shown: The arguments of the call, and its result.
        """
        if self._folder is None:
            return
        armed = self._folder / point
        try:
            order, _, wanted = armed.read_text().strip().partition(" ")
            if wanted and not self._is_about(wanted, shown):
                return
            armed.unlink()  # of all that get here one succeeds
        except FileNotFoundError:
            return
        self.end(point, order)

    def end(self, point: str, order: str) -> None:
        """Kill or stop this process, here."""
        del point
        # To this very thread: one that was asked through its process goes on a little.
        deadly = signal.SIGSTOP if order == "stop" else signal.SIGKILL
        signal.pthread_kill(threading.get_ident(), deadly)

    def _around(self, name: str, call: Callable[P, R], /) -> Callable[P, R]:
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            self._thread.email_id = _email_id(args) or self._email_id
            self.reach(f"{name}.before", args, kwargs)
            result = call(*args, **kwargs)
            self.reach(f"{name}.after", args, kwargs, result)
            return result

        return guarded

    @property
    def _email_id(self) -> str | None:
        """The email that this thread had in hand last."""
        return getattr(self._thread, "email_id", None)

    def _is_about(self, wanted: str, shown: tuple[object, ...]) -> bool:
        return wanted == self._email_id or wanted in repr(shown)

    def _fit(self, owner: str, port: str, target: Any) -> Any:
        """Return a port, or a mapping of several, with failpoints."""
        if isinstance(target, Mapping):
            return {name: self.guard(owner, port, one) for name, one in target.items()}
        return self.guard(owner, port, target)


class _Guarded:
    """A port of which some methods are replaced."""

    def __init__(self, target: object, guarded: Mapping[str, object]) -> None:
        self._target = target
        vars(self).update(guarded)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def _email_id(args: tuple[object, ...]) -> str | None:
    """Return which email a call is for, if an argument tells."""
    told = (getattr(given, "email_id", given) for given in args)
    ids = (each for each in told if isinstance(each, str) and is_email_id(each))
    return next(ids, None)


def name_of(service: type) -> str:
    """Return what a service is called in the names of its points.

    Examples:
        >>> class MarkSent: ...
        >>> name_of(MarkSent)
        'mark_sent'
    """
    return "".join(_words(service.__name__))


def _words(name: str) -> Iterator[str]:
    for index, letter in enumerate(name):
        yield f"_{letter.lower()}" if letter.isupper() and index else letter.lower()


def _has(owner: str, call: str) -> bool:
    return call in CALLS[owner]
