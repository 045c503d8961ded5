"""What Mailgun's answers mean."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from postroom.adapters.providers.answers import Row
from postroom.adapters.providers.mailgun import TABLE, MailgunProvider, _words
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
    MAILGUN_KEY,
    PATIENCE,
    an_answer,
    an_email,
    everyone,
    mailgun_settings,
)
from tests.fake_provider import PAYLOADS, FakeProvider, Mode, Rule, recorded

#: What leaves as `Authorization: Basic`.
PASSWORD = base64.b64encode(f"api:{MAILGUN_KEY}".encode()).decode()


@pytest.fixture
def provider(fake: FakeProvider) -> Iterator[MailgunProvider]:
    found = MailgunProvider(mailgun_settings(fake.url))
    yield found
    found.close()


def send(
    provider: MailgunProvider, email: Email, *, timeout: timedelta = PATIENCE
) -> Outcome:
    built = provider.build(email, recipients=everyone(email))
    return provider.send(built, timeout=timeout)


def answered(
    fake: FakeProvider, provider: MailgunProvider, name: str, folder: str = "mailgun"
) -> Outcome:
    """Return what a recorded answer comes to."""
    raw = recorded(folder, name).decode("latin-1")
    fake.script(Rule(mode=Mode.RAW, raw=raw))
    return send(provider, an_email())


def test_an_acceptance_has_mailguns_id_without_brackets(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    outcome = send(provider, an_email())

    name = f"20220717200644.{fake.taken[0].message_id}@mg.example.com"
    assert outcome == Accepted(provider_message_id=name)
    assert fake.taken[0].email_id == EMAIL_ID


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("Mailgun Magnificent API", id="a wrong path"),
        pytest.param("<html>Welcome</html>", id="a page"),
        pytest.param('{"message":"Queued. Thank you."}', id="no id"),
        pytest.param('{"id":17}', id="an id that is none"),
        pytest.param('{"id":"<cut', id="cut JSON"),
        pytest.param("[" * 10_000, id="deep JSON"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_200_without_an_id_is_no_acceptance(
    fake: FakeProvider, provider: MailgunProvider, body: str
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=200, body=body))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "garbage"


def test_a_path_that_mailgun_does_not_know_is_no_acceptance(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    outcome = answered(fake, provider, "magnificent")

    assert outcome == Unknown(cause="garbage", detail="Mailgun Magnificent API")


@pytest.mark.parametrize(
    ("name", "kind", "certain", "detail"),
    [
        (
            "bad_request",
            RefusalKind.PERMANENT,
            True,
            "to parameter is not a valid address.",
        ),
        ("sandbox_recipient", RefusalKind.SENDER, True, "Sandbox subdomains are"),
        ("inactive_400", RefusalKind.ACCOUNT, True, "Domain mg.example.com is not"),
        ("unauthorized", RefusalKind.ACCOUNT, True, "Forbidden"),
        ("invalid_key", RefusalKind.ACCOUNT, True, "Invalid private key"),
        ("sandbox_401", RefusalKind.SENDER, True, "Free accounts are for test"),
        ("payment_required", RefusalKind.ACCOUNT, True, "Payment required"),
        ("forbidden", RefusalKind.ACCOUNT, True, "Forbidden"),
        (
            "not_allowed_from",
            RefusalKind.SENDER,
            True,
            "Domain mg.example.com is not allowed to send from shop.example.org",
        ),
        ("sandbox_domain", RefusalKind.SENDER, True, "Domain sandbox0123456789abcdef"),
        (
            "inactive_account",
            RefusalKind.ACCOUNT,
            True,
            "Domain mg.example.com is not allowed to send: Please activate",
        ),
        ("domain_not_found", RefusalKind.ACCOUNT, True, "Domain not found: mg."),
        ("not_found_json", RefusalKind.TRANSIENT, True, "Not found"),
        ("not_found_page", RefusalKind.TRANSIENT, False, "404 Not Found Not Found"),
        ("too_large", RefusalKind.PERMANENT, True, "413 Request Entity Too Large"),
        ("server_error", RefusalKind.TRANSIENT, False, "Internal Server Error"),
        ("unavailable", RefusalKind.TRANSIENT, False, "Service Unavailable"),
    ],
)
def test_a_refusal_is_told_apart_by_what_it_says(
    fake: FakeProvider,
    provider: MailgunProvider,
    name: str,
    kind: RefusalKind,
    certain: bool,
    detail: str,
) -> None:
    outcome = answered(fake, provider, name)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (kind, certain)
    assert outcome.detail.startswith(detail)
    assert outcome.code == recorded("mailgun", name).split()[1].decode()
    assert not outcome.throttled
    assert outcome.retry_after is None


def test_a_rate_limit_says_how_long(
    fake: FakeProvider, provider: MailgunProvider
) -> None:
    outcome = answered(fake, provider, "throttled")

    assert outcome == Refused(
        kind=RefusalKind.TRANSIENT,
        certain=True,
        code="429",
        detail="Too many requests",
        retry_after=timedelta(seconds=7),
        throttled=True,
    )


@pytest.mark.parametrize("status", [401, 402])
@pytest.mark.parametrize("body", ["", "<html>no</html>", '{"a": 1}'])
def test_a_refused_account_opens_the_breaker_in_whatever_words(
    fake: FakeProvider, provider: MailgunProvider, status: int, body: str
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
    fake: FakeProvider, provider: MailgunProvider, name: str
) -> None:
    """It kills no email, opens no breaker at once, and promises nothing."""
    outcome = answered(fake, provider, name, "gateway")

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (RefusalKind.TRANSIENT, False)
    assert "<" not in outcome.detail


@pytest.mark.parametrize("body", ["", "no", '{"odd":"no"}', "null"])
def test_a_bad_request_that_is_no_page_is_meant_for_the_email(
    fake: FakeProvider, provider: MailgunProvider, body: str
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=400, body=body))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (RefusalKind.PERMANENT, True)


@pytest.mark.parametrize("name", ["bad_gateway", "gateway_timeout"])
def test_a_gateway_that_lost_mailgun_leaves_it_unknown(
    fake: FakeProvider, provider: MailgunProvider, name: str
) -> None:
    outcome = answered(fake, provider, name, "gateway")

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "bad_gateway"


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_row_decides_a_recorded_answer(row: Row) -> None:
    deciding = [
        next((r for r in TABLE if r.matches(answer.status, _words(answer))), None)
        for answer in map(an_answer, sorted((PAYLOADS / "mailgun").glob("*.http")))
    ]

    assert row in deciding


@pytest.mark.parametrize("secret", [MAILGUN_KEY, PASSWORD])
def test_what_mailgun_echoes_is_kept_without_addresses_and_the_key(
    fake: FakeProvider, provider: MailgunProvider, secret: str
) -> None:
    body = json.dumps({"message": f"ada@example.com used {secret}\n"})
    fake.script(Rule(mode=Mode.STATUS, status=400, body=body))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Refused)
    assert outcome.detail == "<address> used ***"
