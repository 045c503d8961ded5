"""What the providers' modules share in reading an answer."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from postroom.adapters.providers.answers import (
    MAX_MESSAGE_ID,
    Row,
    json_object,
    message_id,
    refusal,
    retry_after,
    scrub,
)
from postroom.adapters.providers.transport import Answer
from postroom.domain.outcome import MAX_DETAIL, RefusalKind, Refused, Unknown

#: 1658088404 seconds since the epoch.
DATE = "Sun, 17 Jul 2022 20:06:44 GMT"

ROW = Row(status=400, kind=RefusalKind.PERMANENT)


def an_answer(
    status: int = 400, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    return Answer(status=status, headers=HTTPHeaderDict(headers), body=body)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        pytest.param("7", 7, id="seconds"),
        pytest.param(" 7 ", 7, id="blanks around"),
        pytest.param("0", 0, id="at once"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("86400", 86400, id="a day"),
        pytest.param("86401", None, id="more than a day"),
        pytest.param("9" * 400, None, id="huge"),
        pytest.param("9999999999", None, id="huge, ten digits"),
        pytest.param("-1", None, id="negative"),
        pytest.param("+5", None, id="a sign"),
        pytest.param("1e3", None, id="an exponent"),
        pytest.param("inf", None, id="infinite"),
        pytest.param("nan", None, id="no number"),
        pytest.param("\u0667", None, id="digits of another script"),
        pytest.param("soon", None, id="a word"),
        pytest.param("", None, id="empty"),
        pytest.param("3, 5", None, id="two values"),
        pytest.param("Sun, 17 Jul 2022 20:07:44 GMT", 60, id="a date"),
        pytest.param("Sun, 17 Jul 2022 20:07:44 -0000", 60, id="a date of no zone"),
        pytest.param("Sunday, 17-Jul-22 20:07:44 GMT", 60, id="an RFC 850 date"),
        pytest.param(DATE, 0, id="now"),
        pytest.param("Sun, 17 Jul 2022 20:06:43 GMT", None, id="a past date"),
        pytest.param("Sun, 17 Jul 2033 20:06:43 GMT", None, id="a far date"),
        pytest.param("Sun, 99 Jul 2022 20:06:43 GMT", None, id="no date"),
        pytest.param("Sun, 17 Jul 99999 20:06:43 GMT", None, id="an impossible year"),
        pytest.param("Sun, " * 9000, None, id="a very long one"),
    ],
)
def test_retry_after_is_believed_when_it_can_be(
    asked: str, seconds: float | None
) -> None:
    found = retry_after({"Date": DATE, "Retry-After": asked})

    assert found == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        pytest.param("1658088434", 30, id="seconds"),
        pytest.param("1658088434500", 30.5, id="milliseconds"),
        pytest.param("1658088403", None, id="past"),
        pytest.param("9999999999", None, id="far"),
        pytest.param("9999999999999", None, id="far, in milliseconds"),
        pytest.param("30", None, id="not since the epoch"),
        pytest.param("-658088434", None, id="negative"),
        pytest.param("tomorrow", None, id="a word"),
    ],
)
def test_the_end_of_a_rate_limit_is_a_wait(reset: str, seconds: float | None) -> None:
    found = retry_after({"Date": DATE, "X-RateLimit-Reset": reset})

    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_a_garbled_retry_after_leaves_the_rate_limit() -> None:
    headers = {"Date": DATE, "Retry-After": "x", "X-RateLimit-Reset": "1658088434"}

    assert retry_after(headers) == timedelta(seconds=30)


def test_retry_after_comes_before_the_rate_limit() -> None:
    headers = {"Date": DATE, "Retry-After": "5", "X-RateLimit-Reset": "1658088434"}

    assert retry_after(headers) == timedelta(seconds=5)


def test_without_a_date_of_the_provider_ours_counts() -> None:
    soon = str(int(datetime.now(UTC).timestamp()) + 600)

    found = retry_after({"X-RateLimit-Reset": soon})

    assert found is not None
    assert timedelta(seconds=300) < found <= timedelta(seconds=600)


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_the_reading(date: str, asked: str, reset: str) -> None:
    found = retry_after(
        {"Date": date, "Retry-After": asked, "X-RateLimit-Reset": reset}
    )

    assert found is None or timedelta(0) <= found <= timedelta(days=1)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("bad ada@example.com here", "bad <address> here"),
        ("'Ada' <ada@example.com>, <b@c>", "'Ada' <address> <address>"),
        ("to=ada%40example.com&x=1", "<address>"),
        ("ada&#64;example.com ada&#X40;example.com", "<address> <address>"),
        ("ada\\u0040example.com ada\uff20example.com", "<address> <address>"),
        ("two\r\nlines\tand\x00nul\x1b[31m", "two lines and nul [31m"),
        ("\u202ereversed\u2066 and\u2028parted\ud800", "reversed and parted"),
        ("key is SG.secret, really", "key is ***, really"),
        ("a  lot   of    blanks ", "a lot of blanks"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("", ""),
    ],
)
def test_words_are_kept_without_addresses_secrets_and_controls(
    said: str, kept: str
) -> None:
    assert scrub(said, hidden=("SG.secret", "")) == kept


def test_words_are_cut_after_addresses_are_gone() -> None:
    local_part = "a" * 40
    said = "x" * (MAX_DETAIL - 10) + f" {local_part}@example.com"

    kept = scrub(said)

    assert len(kept) == MAX_DETAIL - 10 + len(" <address>")
    assert "aa" not in kept


@given(st.text())
def test_no_address_and_no_control_survives(text: str) -> None:
    kept = scrub(text)

    assert "@" not in kept
    assert len(kept) <= MAX_DETAIL
    assert kept.isprintable()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"@" * 65536, id="at signs"),
        pytest.param(b"<" * 65536, id="brackets"),
        pytest.param(b"<a" * 32768, id="open tags"),
        pytest.param(b"a" * 65536, id="one word"),
    ],
)
def test_no_page_takes_long_to_read(body: bytes) -> None:
    """A pattern that looks back would take minutes over these."""
    found = refusal(an_answer(500, body), (ROW,), words=None, provider="box")

    assert isinstance(found, Refused)
    assert len(found.detail) <= MAX_DETAIL


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        ("abc", "abc"),
        (" <a@b> ", "<a@b>"),
        ("a\r\nX: 1\x00", "aX: 1"),
        ("x" * 500, "x" * MAX_MESSAGE_ID),
        ("", None),
        (" \x00", None),
        (None, None),
        (17, None),
        (["a"], None),
    ],
)
def test_a_message_id_is_short_and_plain(given_id: object, kept: str | None) -> None:
    assert message_id(given_id) == kept


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"id":"cut',
        b"[" * 65536,
        b"\xff\xfe",
        b"1" * 65536,
        b"<html></html>",
    ],
)
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert json_object(an_answer(body=body)) is None


@pytest.mark.parametrize("status", [502, 504, 520, 522, 524, 527, 530])
def test_a_gateway_that_lost_the_provider_leaves_it_unknown(status: int) -> None:
    found = refusal(
        an_answer(status, b"<h1>oops</h1>"), (ROW,), words=None, provider="box"
    )

    assert found == Unknown(cause="bad_gateway", detail=f"{status} oops")


@pytest.mark.parametrize("status", [201, 204, 206, 299])
def test_a_success_that_is_not_the_documented_one_is_unknown(status: int) -> None:
    found = refusal(an_answer(status), (ROW,), words=None, provider="box")

    assert isinstance(found, Unknown)
    assert found.cause == "garbage"


def test_an_answer_that_is_not_listed_is_told_to_the_log() -> None:
    with structlog.testing.capture_logs() as logs:
        refusal(
            an_answer(418, b"<b>I am</b> ada@example.com"),
            (ROW,),
            words=None,
            provider="box",
        )
        refusal(an_answer(), (ROW,), words="listed", provider="box")

    assert logs == [
        {
            "event": "provider.answer.unlisted",
            "log_level": "warning",
            "provider": "box",
            "status": "418",
            "detail": "I am <address>",
        }
    ]


@pytest.mark.parametrize("words", [None, "never seen"])
@pytest.mark.parametrize("status", [301, 304, 307, 408, 409, 418, 422, 501, 505, 999])
def test_an_answer_that_is_not_listed_is_transient_and_not_certain(
    status: int, words: str | None
) -> None:
    found = refusal(an_answer(status), (ROW,), words=words, provider="box")

    assert isinstance(found, Refused)
    assert (found.kind, found.certain) == (RefusalKind.TRANSIENT, False)
    assert found.code == str(status)


def test_a_row_of_the_providers_own_words_does_not_match_another_page() -> None:
    assert ROW.matches(400, "words")
    assert not ROW.matches(400, None)
    assert not ROW.matches(401, "words")


def test_the_first_row_that_matches_decides() -> None:
    special = Row(status=400, kind=RefusalKind.SENDER, says=("not yours", "unverified"))

    found = refusal(
        an_answer(), (special, ROW), words="The From is UNVERIFIED", provider="box"
    )
    other = refusal(
        an_answer(), (special, ROW), words="The body is empty", provider="box"
    )

    assert isinstance(found, Refused)
    assert isinstance(other, Refused)
    assert found.kind is RefusalKind.SENDER
    assert other.kind is RefusalKind.PERMANENT
