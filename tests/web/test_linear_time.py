"""No rule takes more than linear time: four times the input, about four times the time.

The rules are called without the limits on length that stand before them, on what made
rules of their kind slow elsewhere. A quadratic one would take sixteen times as long.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from postroom.adapters.redaction import Redactor
from postroom.domain.address import ascii_domain, format_address
from postroom.domain.email import Address
from postroom.domain.errors import InvalidAddressError
from postroom.http import body, checks, file_checks, time_checks
from postroom.http.errors import ApiError

#: In characters; the longer ones have four times as many.
SIZE = 30_000

#: Between linear (4) and quadratic (16); the best of some tries, as others use the
#: machine too.
BOUND = 9.0
TRIES = 5

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)

RULES: dict[str, Callable[[str], Any]] = {
    "a line": checks.text_line,
    "a body": checks.text_body,
    "a header's name": checks.header_name,
    "a header's value": checks.header_value,
    "a tag": checks.tag_part,
    "an address": checks.mailbox,
    "a domain": ascii_domain,
    "a name": lambda text: format_address(Address(addr_spec="a@b", display_name=text)),
    "a media type": file_checks.content_type,
    "a content id": file_checks.content_id,
    "a file's size": file_checks.decoded_size,
    "a file": file_checks.file_content,
    "a file's type": file_checks.guessed_type,
    "a time": lambda text: time_checks.instant(
        text, now=NOW, horizon=timedelta(days=1)
    ),
    "JSON": lambda text: body.parse_json(text.encode()),
    "a log's masking": Redactor().text,
}

PATTERNS: dict[str, Callable[[int], str]] = {
    "letters": lambda n: "a" * n,
    "letters and an end": lambda n: "a" * n + "!",
    "spaces": lambda n: " " * n + "x",
    "dots": lambda n: "a@" + "b." * (n // 2),
    "at signs": lambda n: "a@b.cd," * (n // 7),
    "brackets": lambda n: "<" * n,
    "quotes": lambda n: '"' + '\\"' * (n // 2),
    "names": lambda n: "a" * n + " <a@b.cd",
    "parameters": lambda n: "a/b" + "; a=b" * (n // 5) + ";",
    "a quoted parameter": lambda n: 'a/b; a="' + " " * n,
    "padding": lambda n: "AA" + "=" * n,
    "base64": lambda n: "AAAA\n" * (n // 5) + "!",
    "digits": lambda n: "in " + "1" * n + " days!",
    "marks": lambda n: "a" + "\u0301\u0323" * (n // 2) + ".example",
    "signs of percent": lambda n: "a%" * (n // 2) + "@b.cd",
    "nested arrays": lambda n: "[" * n,
    "an open string": lambda n: '{"a": "' + '\\"' * (n // 2),
    "surrogates": lambda n: '"' + "\\ud800" * (n // 6) + '"',
    "keys": lambda n: "SG." + "a.b-" * (n // 4),
}


def seconds(rule: Callable[[str], Any], text: str) -> float:
    began = time.process_time()
    with contextlib.suppress(PydanticCustomError, InvalidAddressError, ApiError):
        rule(text)
    return time.process_time() - began


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=list(PATTERNS))
@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_four_times_the_input_takes_about_four_times_the_time(
    rule: Callable[[str], Any], pattern: Callable[[int], str]
) -> None:
    short, long = pattern(SIZE), pattern(4 * SIZE)
    rests = []
    for _ in range(TRIES):
        taken = seconds(rule, short), seconds(rule, long)
        # What is over in a hundredth of a second for 120,000 characters is not slow.
        if taken[1] < 0.01 or taken[1] < BOUND * taken[0]:
            return
        rests.append(taken)
    pytest.fail(f"it grows faster than its input: {rests}")
