"""A variable, and a reading of the environment that gathers every fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .settings_values import Kind

T = TypeVar("T")

#: Most characters of a faulty value that a fault quotes.
LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Generic[T]):
    """One environment variable.

    Attributes:
        default: As it would be written; ``None`` if it may be absent.
        meaning: What it does, for the README.
    """

    name: str
    kind: Kind[T]
    default: str | None = None
    meaning: str


class Reading:
    """One pass over an environment.

    A fault is noted and reading goes on, so that an operator sees all of them at
    once. Blank counts as absent: compose files pass variables on as ``${NAME:-}``.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []
        #: Names that were asked for, and those of them that hold a fault.
        self.known: set[str] = set()
        self.faulty: set[str] = set()

    def text(self, name: str) -> str:
        """Return what stands in a variable, stripped; empty when it is absent."""
        self.known.add(name)
        return self._environ.get(name, "").strip()

    def value(self, variable: Variable[T]) -> T:
        """Return the value, or the default when it is absent or faulty."""
        if variable.default is None:
            raise LookupError(f"{variable.name} has no default: use optional")
        value = self.optional(variable)
        return variable.kind.read(variable.default) if value is None else value

    def optional(self, variable: Variable[T]) -> T | None:
        """Return the value, or ``None`` when it is absent or faulty."""
        text = self.text(variable.name)
        if not text:
            return None
        try:
            return variable.kind.read(text)
        except ValueError as ex:
            self.fault(variable, got=text, why=str(ex))
            return None

    def needed(self, variable: Variable[T], *, because: str) -> T | None:
        """Return the value; absence is a fault too."""
        if not self.text(variable.name):
            self.fault(variable, got="", why=because)
        return self.optional(variable)

    def fault(self, variable: Variable[T], *, got: str, why: str) -> None:
        """Note that a variable, or a part of it, is not as expected.

        Args:
            variable: Which one.
            got: What it holds; not shown if it is a secret.
            why: What exactly is wrong with it, if that can be told, or empty.
        """
        if not got:
            shown = "nothing"
        elif variable.kind.secret:
            shown = "a value that is not shown"
        else:
            shown = repr(got if len(got) <= LONGEST_SHOWN else got[:LONGEST_SHOWN])
        more = f" ({why})" if why else ""
        self.faulty.add(variable.name)
        self.faults.append(
            f"{variable.name}: got {shown}, expected {variable.kind.expected}{more}",
        )

    def unread(self) -> set[str]:
        """Return the names that are set and that nobody asked for."""
        return {
            name
            for name, text in self._environ.items()
            if text.strip() and name not in self.known
        }
