"""What is told of an exception: its way and its type, and no words with an email in."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, WriteError

from postroom.adapters import traces
from postroom.domain.errors import NotStoredError


def caught(*raised: BaseException) -> BaseException:
    """Raise one after the other, each from the one before."""
    before: BaseException | None = None
    for ex in raised:
        try:
            raise ex from before
        except type(ex) as again:
            before = again
    assert before is not None
    return before


@pytest.mark.parametrize(
    "ex",
    [
        ValueError("canary"),
        KeyError("canary"),
        RuntimeError("canary"),
        WriteError("canary"),
        UnicodeEncodeError("utf-8", "canary\ud800", 6, 7, "canary"),
        BaseExceptionGroup("canary", [ValueError("canary")]),
    ],
    ids=lambda ex: type(ex).__name__,
)
def test_words_that_may_quote_an_email_are_left_out(ex: BaseException) -> None:
    told = traces.told(caught(ex))

    assert type(ex).__name__ in told
    assert "in caught" in told
    assert "canary" not in told


@pytest.mark.parametrize(
    "ex",
    [
        ConnectionRefusedError(111, "Connection refused"),
        AutoReconnect("127.0.0.1:27017: connection closed"),
        NotStoredError("the store has not been seen lately"),
    ],
    ids=lambda ex: type(ex).__name__,
)
def test_words_about_connections_and_our_own_are_shown(ex: BaseException) -> None:
    assert str(ex) in traces.told(caught(ex))


def test_causes_are_told_the_oldest_first() -> None:
    told = traces.told(caught(KeyError("canary"), OSError("disk"), ValueError("x")))

    assert told.index("KeyError") < told.index("OSError: disk")
    assert told.index("OSError") < told.index("ValueError")
    assert told.count("direct cause") == 2
    assert told.endswith("ValueError\n")


def test_what_is_raised_on_the_way_out_is_told_too() -> None:
    try:
        try:
            int("canary")
        except ValueError:
            raise OSError("disk")  # noqa: B904 - on the way out, not from it
    except OSError as ex:
        told = traces.told(ex)

    assert "During handling" in told
    assert "ValueError" in told


def test_a_suppressed_context_is_not_told() -> None:
    try:
        try:
            int("canary")
        except ValueError:
            raise OSError("disk") from None
    except OSError as ex:
        told = traces.told(ex)

    assert "ValueError" not in told


def test_a_ring_of_causes_comes_to_an_end() -> None:
    first, second = ValueError(), OSError("disk")
    first.__cause__, second.__cause__ = second, first

    assert traces.told(first).count("ValueError") < 20
