"""What SendGrid's answers mean."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from postroom.adapters.providers.answers import Row
from postroom.adapters.providers.sendgrid import TABLE, SendgridProvider, _words
from postroom.domain.email import Email
from postroom.domain.outcome import (
    Accepted,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from tests.adapters.providers.parts import (
    EMAIL_ID,
    PATIENCE,
    SENDGRID_KEY,
    an_answer,
    an_email,
    everyone,
    sendgrid_settings,
)
from tests.fake_provider import PAYLOADS, FakeProvider, Mode, Rule, recorded


@pytest.fixture
def provider(fake: FakeProvider) -> Iterator[SendgridProvider]:
    found = SendgridProvider(sendgrid_settings(fake.url))
    yield found
    found.close()


def send(
    provider: SendgridProvider, email: Email, *, timeout: timedelta = PATIENCE
) -> Outcome:
    built = provider.build(email, recipients=everyone(email))
    return provider.send(built, timeout=timeout)


def answered(
    fake: FakeProvider, provider: SendgridProvider, name: str, folder: str = "sendgrid"
) -> Outcome:
    """Return what a recorded answer comes to."""
    raw = recorded(folder, name).decode("latin-1")
    fake.script(Rule(mode=Mode.RAW, raw=raw))
    return send(provider, an_email())


def test_an_acceptance_has_sendgrids_id(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    outcome = send(provider, an_email())

    assert outcome == Accepted(provider_message_id=fake.taken[0].message_id)
    assert fake.taken[0].email_id == EMAIL_ID


def test_an_acceptance_without_an_id_is_one(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=202))

    assert send(provider, an_email()) == Accepted(provider_message_id=None)


def test_a_202_page_of_somebody_else_is_no_acceptance(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=202, body="<html>Welcome</html>"))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "garbage"


@pytest.mark.parametrize("status", [200, 201, 204])
def test_another_success_is_no_acceptance(
    fake: FakeProvider, provider: SendgridProvider, status: int
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=status))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("name", "kind", "certain", "detail"),
    [
        ("bad_request", RefusalKind.PERMANENT, True, "Bad Request"),
        (
            "invalid_email",
            RefusalKind.PERMANENT,
            True,
            "personalizations.0.to.0.email: Does not contain a valid address.",
        ),
        (
            "unauthorized",
            RefusalKind.ACCOUNT,
            True,
            "The provided authorization grant is invalid, expired, or revoked",
        ),
        ("credits_exceeded", RefusalKind.ACCOUNT, True, "Maximum credits exceeded"),
        ("payment_required", RefusalKind.ACCOUNT, True, "Payment required"),
        ("access_forbidden", RefusalKind.ACCOUNT, True, "access forbidden"),
        (
            "temporary_block",
            RefusalKind.ACCOUNT,
            True,
            "Too many bad requests. Temporary block",
        ),
        (
            "sender_identity",
            RefusalKind.SENDER,
            True,
            "from: The from address does not match a verified Sender Identity.",
        ),
        (
            "sender_identity_400",
            RefusalKind.SENDER,
            True,
            "from: The from address does not match a verified Sender Identity.",
        ),
        (
            "forbidden_unlisted",
            RefusalKind.TRANSIENT,
            False,
            "Something that we have not seen",
        ),
        ("not_found", RefusalKind.ACCOUNT, True, "Not Found"),
        ("method_not_allowed", RefusalKind.ACCOUNT, True, "Method not allowed"),
        ("too_large", RefusalKind.PERMANENT, True, "413 Request Entity Too Large"),
        (
            "residency",
            RefusalKind.ACCOUNT,
            True,
            "Unavailable due to data residency restrictions",
        ),
        ("server_error", RefusalKind.TRANSIENT, False, "Internal server error"),
        (
            "unavailable",
            RefusalKind.TRANSIENT,
            False,
            "The SendGrid v3 Web API is not available",
        ),
    ],
)
def test_a_refusal_is_told_apart_by_what_it_says(
    fake: FakeProvider,
    provider: SendgridProvider,
    name: str,
    kind: RefusalKind,
    certain: bool,
    detail: str,
) -> None:
    outcome = answered(fake, provider, name)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (kind, certain)
    assert outcome.detail.startswith(detail)
    assert outcome.code == recorded("sendgrid", name).split()[1].decode()
    assert not outcome.throttled
    assert outcome.retry_after is None


def test_a_rate_limit_says_how_long(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    outcome = answered(fake, provider, "throttled")

    assert outcome == Refused(
        kind=RefusalKind.TRANSIENT,
        certain=True,
        code="429",
        detail="too many requests",
        retry_after=timedelta(seconds=30),
        throttled=True,
    )


@pytest.mark.parametrize("status", [401, 402])
@pytest.mark.parametrize("body", ["", "<html>no</html>", '{"a": 1}'])
def test_a_refused_account_opens_the_breaker_in_whatever_words(
    fake: FakeProvider, provider: SendgridProvider, status: int, body: str
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=status, body=body))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (RefusalKind.ACCOUNT, True)


@pytest.mark.parametrize(
    "name",
    [
        "bad_request",
        "forbidden",
        "server_error",
        "unavailable",
        "moved",
    ],
)
def test_a_page_of_a_gateway_says_nothing_about_the_email(
    fake: FakeProvider, provider: SendgridProvider, name: str
) -> None:
    """It kills no email, opens no breaker at once, and promises nothing."""
    outcome = answered(fake, provider, name, "gateway")

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (RefusalKind.TRANSIENT, False)
    assert "<" not in outcome.detail


@pytest.mark.parametrize("body", ["", "no", '{"odd":"no"}', "null"])
def test_a_bad_request_that_is_no_page_is_meant_for_the_email(
    fake: FakeProvider, provider: SendgridProvider, body: str
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=400, body=body))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (RefusalKind.PERMANENT, True)


@pytest.mark.parametrize("name", ["bad_gateway", "gateway_timeout"])
def test_a_gateway_that_lost_sendgrid_leaves_it_unknown(
    fake: FakeProvider, provider: SendgridProvider, name: str
) -> None:
    outcome = answered(fake, provider, name, "gateway")

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "bad_gateway"


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_row_decides_a_recorded_answer(row: Row) -> None:
    deciding = [
        next((r for r in TABLE if r.matches(answer.status, _words(answer))), None)
        for answer in map(an_answer, sorted((PAYLOADS / "sendgrid").glob("*.http")))
    ]

    assert row in deciding


def test_what_sendgrid_echoes_is_kept_without_addresses_and_the_key(
    fake: FakeProvider, provider: SendgridProvider
) -> None:
    said = {"message": f"ada@example.com used {SENDGRID_KEY}\n", "field": None}
    body = json.dumps({"errors": [said, "odd", None]})
    fake.script(Rule(mode=Mode.STATUS, status=400, body=body))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Refused)
    assert outcome.detail == "<address> used *** ; odd; None"
