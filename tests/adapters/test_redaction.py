"""The last net: what must not be in a log, and what must stay readable."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.adapters.mint import SystemMint
from postroom.adapters.redaction import LONGEST_TEXT, Redactor
from postroom.adapters.secret import Secret
from postroom.domain.email import State


@pytest.mark.parametrize(
    "text",
    [
        "to canary@example.com now",
        "<canary@example.com>",
        '{"to":["canary@example.com"]}',
        "canary%40example.com",
        "https://h/unsubscribe?e=canary@example.com&x=1",
        "bounce+canary=example.com@mail.example",
        "o'canary@example.com",
        "canary@localhost",
        "canary@[127.0.0.1]",
        "zoë.canary@example.com",
        '"canary x"@example.com',
        "a@example.com, canary@example.com;canary@example.net",
        "mongodb://user:canary@h/db",
    ],
)
def test_nothing_that_looks_like_an_address_is_left(text: str) -> None:
    redacted = Redactor().text(text)

    assert "canary" not in redacted
    assert "[address]" in redacted


@pytest.mark.parametrize(
    "text",
    ["email.attempt.failed", "65f0c0ffee00000000000000", "100% @ once", "a = b", ""],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


def test_secrets_are_taken_out_the_longest_first() -> None:
    redactor = Redactor([Secret("s3cret"), Secret("redis://:s3cret@h"), Secret("ab")])

    text = redactor.text("redis://:s3cret@h, s3cret.*, ab")

    assert text == "***, ***.*, ab"


def test_values_of_any_type_become_plain_and_clean() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    redactor = Redactor([Secret("s3cret")])

    assert redactor.value(
        {
            "a@b.cd": ["x", ("s3cret",), {"k": b"[a@b.cd]"}],
            "n": [1, 1.5, True, None, float("nan")],
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "took": timedelta(seconds=1.5),
            "state": State.SENT,
            "error": ValueError("a@b.cd"),
            "broken": Broken(),
            7: {1},
        }
    ) == {
        "[address]": ["x", ["***"], {"k": "b'[[address]]'"}],
        "n": [1, 1.5, True, None, "nan"],
        "at": "2026-01-02T00:00:00+00:00",
        "took": 1.5,
        "state": "sent",
        "error": "ValueError('[address]')",
        "broken": "<Broken: RuntimeError in its repr>",
        "7": [1],
    }


def test_endless_values_are_cut() -> None:
    loop: list[object] = []
    loop.append(loop)

    assert Redactor().value(loop) == [[[["[[...]]"]]]]
    assert len(Redactor().text("x" * (LONGEST_TEXT + 5))) < LONGEST_TEXT + 50


@pytest.mark.parametrize("unit", ["a", "@", "'", '"', "a@", "%40", "%", ".", '"a'])
def test_the_worst_text_costs_no_more_than_its_length(unit: str) -> None:
    text = unit * (2_000_000 // len(unit)) + "@"
    started = time.monotonic()

    Redactor().text(text)

    assert time.monotonic() - started < 20


@given(st.emails(), st.text(max_size=20), st.text(max_size=20))
@example("'@example.com", "", "")
def test_a_whole_address_is_left_in_no_text(
    email: str, before: str, after: str
) -> None:
    assert email not in Redactor().text(f"{before} {email} {after}")


@pytest.mark.parametrize("kind", ["live", "test"])
@pytest.mark.parametrize("around", ["{}", "Bearer {}", "key='{}',", "/x?key={}&y=1"])
def test_a_clients_key_is_hidden_though_nobody_named_it(kind: str, around: str) -> None:
    secret = SystemMint().secret(is_test=kind == "test")

    text = Redactor().text(around.format(secret))

    assert text == around.format(f"pr_{kind}_***")
    assert secret[10:20] not in text


def test_what_is_cut_off_of_a_key_is_hidden_too() -> None:
    assert Redactor().text("got pr_live_AbCdEfGhIjKl...") == "got pr_live_***..."


def test_the_words_about_keys_stay() -> None:
    told = "send Authorization: Bearer pr_live_..., or pr_test_..."

    assert Redactor().text(told) == told
