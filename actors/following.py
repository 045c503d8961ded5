"""From a service's next step to what Dramatiq understands."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from dramatiq import Retry
from dramatiq.middleware import CurrentMessage

from ..services.next_step import Again, Dead, Done, NextStep

#: How often an unexpected exception is tried again before the message is given up.
#: The email is not: the sweep has it.
MOST_UNEXPECTED = 3


def follow(step: NextStep) -> None:
    """Do what a service asks for with the message in hand.

    Call it outside any ``except``: Dramatiq stores the traceback of a ``Retry`` in
    Redis, and a chained exception could carry an address there.

    Raises:
        Retry: The same message is to come back after a delay.
    """
    match step:
        case Done():
            return
        case Again():
            raise Retry(delay=max(1, ms(step.delay)))
        case Dead():
            message = CurrentMessage.get_current_message()
            if message is not None:
                message.fail()  # type: ignore[attr-defined]  # it is a MessageProxy
        case _:
            assert_never(step)


def may_retry(retries: int, exception: BaseException) -> bool:
    """Return whether a message comes back: always for our own ``Retry``.

    The middleware counts our waits and unexpected exceptions in one number, so the
    latter are counted apart, in the message.

    Args:
        retries: The middleware's own count, which is of no use here.
        exception: What the actor raised.
    """
    del retries
    message = CurrentMessage.get_current_message()
    if message is None:
        return isinstance(exception, Retry)
    # The middleware has just put the whole traceback there, which goes to Redis: the
    # words of an exception may hold an address. The log has it all, redacted.
    message.options["traceback"] = type(exception).__name__
    if isinstance(exception, Retry):
        return True
    unexpected = int(message.options.get("unexpected", 0)) + 1
    message.options["unexpected"] = unexpected
    return unexpected <= MOST_UNEXPECTED


def ms(duration: timedelta) -> int:
    """Return a duration as Dramatiq counts it."""
    return round(duration / timedelta(milliseconds=1))
