"""The short way of most events to their line: JSON at once, if nothing is to be hidden.

Redacting each field by itself costs more than everything else about a line. Nearly all
lines hold no address and no secret, which one look at the finished line can tell;
where it cannot, the careful way is taken instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .redaction import Redactor

#: What JSON writes as the careful way does. Anything else has a form of its own there.
_PLAIN = (str, int, float, type(None))

#: What every record has, and what another handler's formatter may leave on it.
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_encode = json.JSONEncoder(allow_nan=False).encode


class QuickLines(logging.Formatter):
    """Formats our own plain events itself, and hands on what needs more care.

    Args:
        careful: Formats the others, and looks the same for these.
        redactor: Says what is harmless.
    """

    def __init__(self, careful: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._careful = careful
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of an event."""
        line = _line(record)
        if line is not None and self._redactor.is_harmless(line):
            return line
        return self._careful.format(record)


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return what an event says, by structlog or as standard logging's extra."""
    if isinstance(record.msg, dict):
        return record.msg
    if record.args or record.stack_info or not isinstance(record.msg, str):
        return {}
    extra = {name: said for name, said in vars(record).items() if name not in _KNOWN}
    return {"event": record.msg, **extra}


def _line(record: logging.LogRecord) -> str | None:
    """Return the event as it is, or ``None`` if not all of it is plain."""
    fields = _fields(record)
    if not fields or "exc_info" in fields or record.exc_info:
        return None
    if not all(isinstance(value, _PLAIN) for value in fields.values()):
        return None
    at = datetime.fromtimestamp(record.created, UTC).isoformat()
    origin = {
        "logger": record.name,
        "pid": record.process,
        "level": record.levelname.lower(),
        "timestamp": at.replace("+00:00", "Z"),
    }
    try:
        return _encode({**fields, **origin})
    except ValueError:  # not a number, which JSON has no word for
        return None
