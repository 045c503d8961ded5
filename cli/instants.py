"""Times as operators type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..domain.ports import Clock
from .errors import InputError

_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

#: What the options say that take a time.
HOW = "ISO 8601 with an offset, or how long ago: 90s, 15m, 2h, 3d."


def read_instant(option: str, text: str | None, *, clock: Clock) -> datetime | None:
    """Read a time that has passed, or ``None`` if none was given.

    Args:
        option: Its name, for the message.
        text: ``2026-11-24T03:00:00Z``, or ``2h`` for two hours ago.
        clock: Asked only for how long ago.

    Raises:
        InputError: It is neither.
        ClockUnsureError: The store did not tell its time.
    """
    if text is None:
        return None
    try:
        if found := _AGO.fullmatch(text.strip()):
            return clock.now() - timedelta(**{_UNITS[found[2]]: int(found[1])})
        when = datetime.fromisoformat(text.strip())
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{option}: got {text!r}, expected {HOW}")
