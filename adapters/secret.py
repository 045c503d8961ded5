"""A value that no log, traceback or print shows."""

from __future__ import annotations

import hmac
from typing import NoReturn, Self, final

#: What stands in the place of a secret.
HIDDEN = "***"


@final
class Secret:
    """A password, a key, or a URI that may hold one.

    Only `reveal` gives it out, so that each place that uses one can be found.

    Examples:
        >>> f"{Secret('hunter2')}"
        '***'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, to be passed on and never kept or shown."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (
            secret.reveal().encode("utf-8", "surrogatepass") for secret in (self, other)
        )
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash(self._value)

    def __deepcopy__(self, memo: object) -> Self:
        """Let `dataclasses.asdict` keep it hidden."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the bytes would show it."""
        raise TypeError("a Secret cannot be pickled or copied elsewhere")
