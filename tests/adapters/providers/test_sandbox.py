"""The provider that sends nothing."""

import time
from datetime import timedelta

import pytest

from postroom.adapters.providers.sandbox import (
    SLOW_MS,
    Inbox,
    SandboxProvider,
)
from postroom.adapters.sandbox_inbox import MemoryInbox
from postroom.adapters.settings import SandboxMode, SandboxSettings
from postroom.domain.email import Address, Attachment, Email
from postroom.domain.errors import StoreUnavailableError, UnbuildableError
from postroom.domain.outcome import Accepted, Outcome, RefusalKind, Refused, Unknown
from tests.adapters.providers.parts import (
    EMAIL_ID,
    NOW,
    PATIENCE,
    StoppedClock,
    an_email,
    bcc,
    cc,
    everyone,
    to,
)

#: For a sandbox that is meant to run into the bound.
SHORT = timedelta(milliseconds=30)


def a_sandbox(
    inbox: Inbox,
    *,
    mode: SandboxMode = SandboxMode.ACCEPT,
    delay_ms: int = 0,
    keys: bool = False,
) -> SandboxProvider:
    settings = SandboxSettings(name="box", mode=mode, delay_ms=delay_ms, keys=keys)
    return SandboxProvider(settings, inbox, clock=StoppedClock())


def send(
    sandbox: SandboxProvider, email: Email, *, timeout: timedelta = PATIENCE
) -> Outcome:
    built = sandbox.build(email, recipients=everyone(email))
    return sandbox.send(built, timeout=timeout)


def test_what_is_accepted_is_kept_to_be_looked_at() -> None:
    inbox = MemoryInbox()
    email = an_email(
        recipients=[
            to("ada@example.com", "Ada, L."),
            cc("bob@example.com"),
            bcc("c@d.e"),
        ],
        sender_name="Shop",
        html="<p>Hello</p>",
        reply_to=[Address(addr_spec="help@shop.example")],
        headers={"X-A": "1"},
        attachments=[Attachment(filename="a.txt", content=b"abc", content_type="a/b")],
    )

    outcome = send(a_sandbox(inbox), email)

    assert isinstance(outcome, Accepted)
    assert (outcome.provider_message_id or "").startswith("sandbox-")
    assert inbox.latest(10) == [
        {
            "email_id": EMAIL_ID,
            "from": "Shop <post@shop.example>",
            "recipients": ['"Ada, L." <ada@example.com>', "bob@example.com", "c@d.e"],
            "reply_to": ["help@shop.example"],
            "subject": "Hi",
            "text": "Hello",
            "html": "<p>Hello</p>",
            "headers": {"X-A": "1"},
            "attachments": [{"filename": "a.txt", "size_bytes": 3}],
            "provider": "box",
            "at": NOW,
        }
    ]


@pytest.mark.parametrize(
    ("mode", "kind", "code"),
    [
        (SandboxMode.REFUSE, RefusalKind.PERMANENT, "550"),
        (SandboxMode.FAIL, RefusalKind.TRANSIENT, "503"),
    ],
)
def test_it_refuses_as_it_is_told(
    mode: SandboxMode, kind: RefusalKind, code: str
) -> None:
    inbox = MemoryInbox()

    outcome = send(a_sandbox(inbox, mode=mode), an_email())

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.code, outcome.certain) == (kind, code, True)
    assert inbox.latest(1) == []


@pytest.mark.parametrize(
    ("mode", "delay_ms"),
    [
        pytest.param(SandboxMode.HANG, 0, id="hang"),
        pytest.param(SandboxMode.SLOW, SLOW_MS, id="slow"),
        pytest.param(SandboxMode.SLOW, 0, id="slow by itself"),
        pytest.param(SandboxMode.REFUSE, 60_000, id="a long delay"),
    ],
)
def test_no_answer_in_time_is_unknown_and_not_kept(
    mode: SandboxMode, delay_ms: int
) -> None:
    inbox = MemoryInbox()
    sandbox = a_sandbox(inbox, mode=mode, delay_ms=delay_ms)
    began = time.monotonic()

    outcome = send(sandbox, an_email(), timeout=SHORT)

    assert time.monotonic() - began < PATIENCE.total_seconds()
    assert isinstance(outcome, Unknown)
    assert outcome.cause == "timeout"
    assert inbox.latest(1) == []


def test_a_slow_one_accepts_in_the_end() -> None:
    inbox = MemoryInbox()
    sandbox = a_sandbox(inbox, mode=SandboxMode.SLOW, delay_ms=20)

    assert isinstance(send(sandbox, an_email()), Accepted)


def test_an_inbox_that_is_away_leaves_the_outcome_unknown() -> None:
    class Away:
        def keep(self, document: dict[str, object], *, key: str | None = None) -> None:
            raise StoreUnavailableError("away")

    outcome = send(a_sandbox(Away()), an_email())

    assert outcome == Unknown(cause="inbox", detail="StoreUnavailableError")


def test_it_carries_no_more_than_a_real_provider_would() -> None:
    sandbox = a_sandbox(MemoryInbox())

    with pytest.raises(UnbuildableError):
        sandbox.build(an_email(headers={"Bcc": "x@y.example"}), recipients=(0,))
    with pytest.raises(UnbuildableError):
        sandbox.build(an_email(text=None), recipients=(0,))


def test_the_switch_for_keys_is_in_the_profile() -> None:
    assert a_sandbox(MemoryInbox(), keys=True).profile.key_ttl_s == 24 * 60 * 60
    assert a_sandbox(MemoryInbox()).profile.key_ttl_s == 0


def test_with_keys_a_repetition_is_kept_once_and_has_the_same_answer() -> None:
    inbox = MemoryInbox()
    sandbox = a_sandbox(inbox, keys=True)
    built = sandbox.build(an_email(), recipients=(0,), key="k-1")
    other = sandbox.build(an_email(), recipients=(0,), key="k-2")

    answers = [sandbox.send(each, timeout=PATIENCE) for each in (built, built, other)]

    assert answers[0] == answers[1] != answers[2]
    assert len(inbox.latest(9)) == 2


def test_without_keys_a_repetition_is_kept_twice() -> None:
    inbox = MemoryInbox()
    sandbox = a_sandbox(inbox)
    built = sandbox.build(an_email(), recipients=(0,), key="k-1")

    answers = [sandbox.send(built, timeout=PATIENCE) for _ in range(2)]

    assert answers[0] != answers[1]
    assert len(inbox.latest(9)) == 2


def test_two_sandboxes_do_not_share_their_keys() -> None:
    inbox = MemoryInbox()
    for name in ("one", "two"):
        settings = SandboxSettings(name=name, keys=True)
        sandbox = SandboxProvider(settings, inbox, clock=StoppedClock())
        built = sandbox.build(an_email(), recipients=(0,), key="k")
        sandbox.send(built, timeout=PATIENCE)

    assert len(inbox.latest(9)) == 2
