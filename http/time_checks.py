"""When an email is to go out, as clients write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic_core import PydanticCustomError

from .checks import fault
from .faults import FaultCode

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)

_DELAY = re.compile(
    r"in (\d{1,9}) (second|sec|minute|min|hour|hr|day)s?",
    # Without ASCII a long s is an s, and an Arabic digit a digit.
    re.IGNORECASE | re.ASCII,
)

_UNITS: Mapping[str, timedelta] = {
    "second": timedelta(seconds=1),
    "sec": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "hr": timedelta(hours=1),
    "day": timedelta(days=1),
}


def instant(text: str, *, now: datetime, horizon: timedelta) -> datetime:
    """Read when an email is to go out: an instant, or a delay from now.

    Args:
        text: ISO 8601 with an offset, or ``in 5 minutes``.
        now: The store's time.
        horizon: The furthest that it may lie ahead.
    """
    try:
        when = _read_instant(text.strip(), now)
        late = when - now > horizon
    except PydanticCustomError:
        raise
    except (ValueError, OverflowError) as ex:
        raise fault(FaultCode.INVALID_TIME, "there is no such date or time") from ex
    if late:
        raise fault(
            FaultCode.INVALID_TIME,
            f"must be at most {horizon.days} days ahead",
        )
    return when


def delay(text: str) -> timedelta | None:
    """Read ``in 5 minutes``; ``None`` if it says something else.

    Raises:
        OverflowError: It is longer than any time.
    """
    if found := _DELAY.fullmatch(text.strip()):
        return int(found[1]) * _UNITS[found[2].lower()]
    return None


def _read_instant(text: str, now: datetime) -> datetime:
    if _INSTANT.fullmatch(text):
        # The store keeps UTC; a year 1 or 9999 may fall out of range on the way.
        return datetime.fromisoformat(text.upper()).astimezone(now.tzinfo)
    if (wait := delay(text)) is not None:
        return now + wait
    raise fault(
        FaultCode.INVALID_TIME,
        "must be ISO 8601 with an offset (2030-01-31T09:00:00Z), or a delay such as "
        "`in 5 minutes` (seconds, minutes, hours, days)",
    )
