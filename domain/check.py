"""One thing that was looked at, how it came out, and the rule that it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Result(StrEnum):
    """How a check came out, from the best to the worst.

    ``refuse`` is what would lose email or send it twice: no process starts on it.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    REFUSE = "refuse"

    def is_worse_than(self, other: Result) -> bool:
        """Return whether more is amiss.

        Examples:
            >>> Result.REFUSE.is_worse_than(Result.FAIL)
            True
        """
        order = list(Result)
        return order.index(self) > order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: One word, or two with a dot; scripts may rely on it.
        found: What is so.
        do: What to do about it; empty if all is well.
    """

    name: str
    result: Result
    found: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a check looks at and how bad it can come out: a row of the table.

    Attributes:
        name: Of its checks; ``queue.*`` stands for one check for each queue.
        looks_at: In the operators' words.
        worst: No check of this rule comes out worse.
        at_start: A starting process makes it too, and not only `postroom doctor`.
    """

    name: str
    looks_at: str
    worst: Result
    at_start: bool = False

    def of(self, which: str) -> Self:
        """Return the rule for one of several that it is for.

        Examples:
            >>> rule = Rule(name="queue.*", looks_at="each", worst=Result.WARN)
            >>> rule.of("send.ses").name
            'queue.send.ses'
        """
        return replace(self, name=self.name.replace("*", which))

    def ok(self, found: str) -> Check:
        """Return a check that came out well."""
        return self._check(Result.OK, found, "")

    def warn(self, found: str, do: str) -> Check:
        """Return one that somebody should look into."""
        return self._check(Result.WARN, found, do)

    def fail(self, found: str, do: str) -> Check:
        """Return one that holds email up."""
        return self._check(Result.FAIL, found, do)

    def refuse(self, found: str, do: str) -> Check:
        """Return one on which nothing may start: email would be lost or doubled."""
        return self._check(Result.REFUSE, found, do)

    def _check(self, result: Result, found: str, do: str) -> Check:
        if result.is_worse_than(self.worst):
            raise ValueError(f"{self.name}: {result}, expected {self.worst} at worst")
        return Check(name=self.name, result=result, found=found, do=do)
