"""The short way of a log line: what it says is what the careful way says."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.adapters.quick_lines import QuickLines
from postroom.adapters.redaction import LONGEST_TEXT, Redactor
from postroom.adapters.secret import Secret

SECRETS = ("s3cret", 'with "quotes"', "geheim-ü")

REDACTOR = Redactor(map(Secret, SECRETS))


class Careful(logging.Formatter):
    """Stands for the way of everything else."""

    def format(self, record: logging.LogRecord) -> str:
        return "careful"


LINES = QuickLines(Careful(), REDACTOR)


def a_record(msg: object, **changes: Any) -> logging.LogRecord:
    values = {"msg": msg, "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({"name": "postroom.x", **values, **changes})


PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.floats()


@given(st.dictionaries(st.text(), PLAIN, min_size=1))
def test_a_quick_line_is_the_redacted_event(fields: dict[str, Any]) -> None:
    line = LINES.format(a_record(fields))

    if line == "careful":
        return
    said = json.loads(line)
    origin = {"logger", "pid", "level", "timestamp"}
    expected = REDACTOR.value(fields)
    assert isinstance(expected, dict)
    assert {k: v for k, v in said.items() if k not in origin} == {
        k: v for k, v in expected.items() if k not in origin
    }


def test_a_plain_event_takes_the_short_way() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    line = LINES.format(
        a_record({"event": "x", "n": 1, "ms": 1.5}, created=at.timestamp(), process=7)
    )

    assert json.loads(line) == {
        "event": "x",
        "n": 1,
        "ms": 1.5,
        "logger": "postroom.x",
        "pid": 7,
        "level": "warning",
        "timestamp": "2026-01-02T03:04:05.678901Z",
    }


def test_so_does_one_of_standard_logging_with_its_extra() -> None:
    record = a_record("email.attempted", attempt=2, kind=None, message="formatted")

    said = json.loads(LINES.format(record))

    del said["timestamp"], said["pid"]
    assert said == {
        "event": "email.attempted",
        "attempt": 2,
        "kind": None,
        "logger": "postroom.x",
        "level": "warning",
    }


@pytest.mark.parametrize(
    "value",
    [
        "ada@example.com",
        "ada%40example.com",
        "pr_live_0123456789",
        *SECRETS,
        f"before {SECRETS[1]} after",
        "x" * LONGEST_TEXT,
        float("nan"),
        float("inf"),
        ["a list"],
        {"a": "mapping"},
        datetime(2026, 1, 1, tzinfo=UTC),
        object(),
    ],
)
def test_what_needs_care_gets_it(value: object) -> None:
    assert LINES.format(a_record({"event": "x", "field": value})) == "careful"
    assert LINES.format(a_record("x", field=value)) == "careful"


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_in_a_name_needs_care_too(secret: str) -> None:
    assert LINES.format(a_record({"event": "x", secret: 1})) == "careful"


def test_so_do_lines_of_libraries_and_exceptions() -> None:
    told = (ValueError, ValueError("x"), None)

    assert LINES.format(a_record("%s", args=("a",))) == "careful"
    assert LINES.format(a_record("of ada@example.com")) == "careful"
    assert LINES.format(a_record(ValueError("x"))) == "careful"
    assert LINES.format(a_record("x", stack_info="Stack")) == "careful"
    assert LINES.format(a_record({"event": "x", "exc_info": True})) == "careful"
    assert LINES.format(a_record({"event": "x"}, exc_info=told)) == "careful"
