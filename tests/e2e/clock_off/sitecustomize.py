"""A wall clock that is wrong by `CLOCK_OFF_S` seconds, for processes that load this.

Python imports it at the start of every process that has this folder on its path. The
clocks that only count on (monotonic, boottime) stay right, as they do on a machine
whose date is wrong.
"""

import datetime as dt
import os
import time
from typing import Any

_OFF_S = float(os.environ.get("CLOCK_OFF_S", "0"))

_true_time, _true_time_ns, _true_datetime = time.time, time.time_ns, dt.datetime


class _Kind(type):
    """Lets true instances pass for ours: drivers written in C make such ones."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _true_datetime)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, _true_datetime)


class _Datetime(_true_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return _true_datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return _true_datetime.now(dt.UTC).replace(tzinfo=None) + _OFF

    @classmethod
    def today(cls) -> Any:
        return cls.now()


_OFF = dt.timedelta(seconds=_OFF_S)

if _OFF_S:
    time.time = lambda: _true_time() + _OFF_S
    time.time_ns = lambda: _true_time_ns() + round(_OFF_S * 1e9)
    dt.datetime = _Datetime  # type: ignore[misc]
