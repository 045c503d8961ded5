"""What Resend's answers mean."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from postroom.adapters.providers.answers import Row
from postroom.adapters.providers.resend import TABLE, ResendProvider, _words
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
    RESEND_KEY,
    an_answer,
    an_email,
    resend_settings,
)
from tests.fake_provider import PAYLOADS, FakeProvider, Mode, Rule, recorded


@pytest.fixture
def provider(fake: FakeProvider) -> Iterator[ResendProvider]:
    found = ResendProvider(resend_settings(fake.url))
    yield found
    found.close()


def send(
    provider: ResendProvider,
    *,
    subject: str = "Hi",
    key: str | None = None,
    timeout: timedelta = PATIENCE,
) -> Outcome:
    built = provider.build(an_email(subject=subject), recipients=(0,), key=key)
    return provider.send(built, timeout=timeout)


def answered(
    fake: FakeProvider, provider: ResendProvider, name: str, folder: str = "resend"
) -> Outcome:
    """Return what a recorded answer comes to."""
    raw = recorded(folder, name).decode("latin-1")
    fake.script(Rule(mode=Mode.RAW, raw=raw))
    return send(provider)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_an_acceptance_has_resends_id(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    outcome = send(provider)

    assert outcome == Accepted(provider_message_id=fake.taken[0].message_id)
    assert fake.taken[0].email_id == EMAIL_ID


@pytest.mark.parametrize(
    "body", ["", "{}", "null", "<html>Welcome</html>", '{"id":7}', '{"id":""}']
)
def test_a_success_without_an_id_is_no_acceptance(
    fake: FakeProvider, provider: ResendProvider, body: str
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=200, body=body))

    outcome = send(provider)

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "garbage"


@pytest.mark.parametrize("status", [201, 202, 204])
def test_another_success_is_no_acceptance(
    fake: FakeProvider, provider: ResendProvider, status: int
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=status, body='{"id":"x"}'))

    assert isinstance(send(provider), Unknown)


PERMANENT, TRANSIENT = RefusalKind.PERMANENT, RefusalKind.TRANSIENT
ACCOUNT, SENDER = RefusalKind.ACCOUNT, RefusalKind.SENDER


@pytest.mark.parametrize(
    ("name", "kind", "certain", "detail"),
    [
        ("bad_request", PERMANENT, True, "validation_error: We found an error"),
        ("invalid_key_400", ACCOUNT, True, "validation_error: API key is invalid"),
        ("invalid_idempotency_key", TRANSIENT, True, "invalid_idempotency_key: The"),
        ("unauthorized", ACCOUNT, True, "missing_api_key: Missing API key"),
        ("restricted_key", ACCOUNT, True, "restricted_api_key: This API key"),
        ("invalid_key", ACCOUNT, True, "invalid_api_key: API key is invalid."),
        ("suspended_key", ACCOUNT, True, "suspended_api_key: "),
        ("no_user_agent", ACCOUNT, True, "error code: 1010"),
        ("domain_not_verified", SENDER, True, "validation_error: The shop.example"),
        ("testing_emails", SENDER, True, "validation_error: You can only send"),
        ("invalid_from_403", SENDER, True, "invalid_from_address: The `from`"),
        ("forbidden_unlisted", TRANSIENT, False, "odd_error: Something that we"),
        ("not_found", ACCOUNT, True, "not_found: The requested endpoint"),
        ("method_not_allowed", ACCOUNT, True, "method_not_allowed: Method is"),
        ("key_in_use", TRANSIENT, True, "concurrent_idempotent_requests: Same"),
        ("too_large", PERMANENT, True, "413 Payload Too Large"),
        ("missing_field", PERMANENT, True, "missing_required_field: Missing `to`"),
        ("invalid_attachment", PERMANENT, True, "invalid_attachment: Attachment"),
        ("invalid_from", PERMANENT, True, "invalid_from_address: Invalid `from`"),
        ("daily_quota", ACCOUNT, True, "daily_quota_exceeded: You have reached"),
        ("monthly_quota", ACCOUNT, True, "monthly_quota_exceeded: You have"),
        ("security", PERMANENT, True, "security_error: We may have found"),
        ("application_error", TRANSIENT, False, "application_error: An unexpected"),
        ("server_error", TRANSIENT, False, "internal_server_error: An unexpected"),
        ("unavailable", TRANSIENT, False, "service_unavailable: "),
    ],
)
def test_a_refusal_is_told_apart_by_what_it_says(
    fake: FakeProvider,
    provider: ResendProvider,
    name: str,
    kind: RefusalKind,
    certain: bool,
    detail: str,
) -> None:
    outcome = answered(fake, provider, name)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (kind, certain)
    assert outcome.detail.startswith(detail)
    assert outcome.code == recorded("resend", name).split()[1].decode()
    assert not outcome.throttled
    assert outcome.retry_after is None


def test_a_rate_limit_says_how_long(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    outcome = answered(fake, provider, "throttled")

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (TRANSIENT, True)
    assert outcome.throttled
    assert outcome.retry_after == timedelta(seconds=1)


def test_a_key_with_another_body_leaves_it_unknown(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    """What came before was processed, and this was not done: nobody knows the end."""
    send(provider, key="k")

    outcome = send(provider, key="k", subject="Another")

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "key_conflict"
    assert outcome.detail.startswith("invalid_idempotent_request: Same")
    assert len(fake.taken) == 1


def test_a_key_in_use_is_a_refusal_of_this_call_alone(
    fake: FakeProvider, provider: ResendProvider
) -> None:
    fake.script(Rule(delay_ms=60_000, times=1))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(send, provider, key="k")
        wait_until(lambda: bool(fake.taken))

        outcome = send(provider, key="k")

        fake.close_idle()
        assert isinstance(slow.result(), Unknown)
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (TRANSIENT, True)


@pytest.mark.parametrize("status", [409, 418])
def test_a_conflict_that_is_not_about_keys_is_unlisted(
    fake: FakeProvider, provider: ResendProvider, status: int
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=status, body='{"message":"no"}'))

    outcome = send(provider)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (TRANSIENT, False)


@pytest.mark.parametrize("body", ["", "<html>no</html>", '{"a": 1}'])
def test_a_refused_account_opens_the_breaker_in_whatever_words(
    fake: FakeProvider, provider: ResendProvider, body: str
) -> None:
    fake.script(Rule(mode=Mode.STATUS, status=401, body=body))

    outcome = send(provider)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (ACCOUNT, True)


@pytest.mark.parametrize(
    "name", ["bad_request", "forbidden", "server_error", "unavailable", "moved"]
)
def test_a_page_of_a_gateway_says_nothing_about_the_email(
    fake: FakeProvider, provider: ResendProvider, name: str
) -> None:
    """It kills no email, opens no breaker at once, and promises nothing."""
    outcome = answered(fake, provider, name, "gateway")

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (TRANSIENT, False)
    assert "<" not in outcome.detail


@pytest.mark.parametrize("name", ["bad_gateway", "gateway_timeout"])
def test_a_gateway_that_lost_resend_leaves_it_unknown(
    fake: FakeProvider, provider: ResendProvider, name: str
) -> None:
    outcome = answered(fake, provider, name, "gateway")

    assert isinstance(outcome, Unknown)
    assert outcome.cause == "bad_gateway"


@pytest.mark.parametrize(
    ("mode", "cause"),
    [(Mode.DROP, "reset"), (Mode.CUT, "truncated"), (Mode.GARBAGE, "garbage")],
)
def test_half_an_answer_is_unknown_and_its_repetition_is_not_sent_twice(
    fake: FakeProvider, provider: ResendProvider, mode: Mode, cause: str
) -> None:
    whole = recorded("resend", "accepted")
    cut_at = whole.index(b"\r\n\r\n") + 6
    fake.script(Rule(mode=mode, cut_at=cut_at, accepts=True, times=1))

    first = send(provider, key="k")
    again = send(provider, key="k")

    assert isinstance(first, Unknown)
    assert first.cause == cause
    assert again == Accepted(provider_message_id=fake.taken[0].message_id)
    assert len(fake.taken) == 1


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_row_decides_a_recorded_answer(row: Row) -> None:
    deciding = [
        next((r for r in TABLE if r.matches(answer.status, _words(answer))), None)
        for answer in map(an_answer, sorted((PAYLOADS / "resend").glob("*.http")))
    ]

    assert row in deciding


@pytest.mark.parametrize("status", [400, 409])
def test_what_resend_echoes_is_kept_without_addresses_and_the_api_key(
    fake: FakeProvider, provider: ResendProvider, status: int
) -> None:
    said = {
        "name": "invalid_idempotent_request",
        "message": f"ada@example.com used {RESEND_KEY}\n",
    }
    fake.script(Rule(mode=Mode.STATUS, status=status, body=json.dumps(said)))

    outcome = send(provider)

    assert isinstance(outcome, Refused | Unknown)
    assert outcome.detail == "invalid_idempotent_request: <address> used ***"
