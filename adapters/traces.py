"""What a log shows of an exception: where it came from, and words that hold no email.

The words of an exception are made of what it was about: a driver that cannot store a
document quotes it, a codec the text that it cannot write. So they are left out, but for
those of faults that are about a connection, a file or a rule of ours.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from pymongo.errors import ConnectionFailure
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..domain.errors import PostroomError

#: Exceptions whose words are about a machine, a port, a file, or chosen by us.
_PLAIN_SPOKEN = (
    OSError,
    PostroomError,
    ConnectionFailure,
    RedisConnectionError,
    RedisTimeoutError,
)

#: Of a chain of causes; the oldest are left out.
_MOST_CAUSES = 10

_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


def told(ex: BaseException) -> str:
    """Return the frames and the types of an exception and of what led to it."""
    return "".join(reversed(list(_chain(ex))))


def _chain(ex: BaseException) -> Iterator[str]:
    """Give it and its causes, the newest first, each with what leads to the next."""
    for _ in range(_MOST_CAUSES):
        yield _alone(ex)
        if ex.__cause__ is not None:
            yield _CAUSED
            ex = ex.__cause__
        elif ex.__context__ is not None and not ex.__suppress_context__:
            yield _DURING
            ex = ex.__context__
        else:
            return


def _alone(ex: BaseException) -> str:
    frames = "".join(traceback.format_tb(ex.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{_named(ex)}\n"


def _named(ex: BaseException) -> str:
    kind = type(ex)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    name = f"{module}{kind.__qualname__}"
    return f"{name}: {ex}" if isinstance(ex, _PLAIN_SPOKEN) else name
