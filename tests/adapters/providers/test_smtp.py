"""Emails over SMTP to a relay that takes them, refuses some, or refuses all."""

from collections.abc import Iterator

import pytest

from postroom.adapters.providers.smtp import SmtpProvider
from postroom.domain.errors import UnbuildableError
from postroom.domain.outcome import (
    Accepted,
    NotSent,
    RecipientRefusal,
    RefusalKind,
    Refused,
    Unknown,
)
from tests.adapters.providers.parts import (
    EMAIL_ID,
    PATIENCE,
    SHORT,
    an_email,
    bcc,
    cc,
    smtp_settings,
    to,
)
from tests.adapters.providers.smtp_parts import (
    ADA,
    BOB,
    CIA,
    GREYLISTED,
    MESSAGE_ID,
    THREE,
    UNKNOWN_USER,
    send,
)
from tests.fake_smtp import At, FakeSmtp, Mode, Rule


@pytest.fixture
def provider(relay: FakeSmtp) -> Iterator[SmtpProvider]:
    found = SmtpProvider(smtp_settings(relay.url))
    yield found
    found.close()


def told(index: int, kind: RefusalKind, code: str, detail: str) -> RecipientRefusal:
    return RecipientRefusal(index=index, kind=kind, code=code, detail=detail)


GONE = told(1, RefusalKind.PERMANENT, "550 5.1.1", "no such user")
LATER = told(2, RefusalKind.TRANSIENT, "451 4.7.1", "greylisted, come back later")


def test_an_accepted_email_is_known_by_our_own_message_id(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    outcome = send(provider, THREE)

    assert outcome == Accepted(provider_message_id=MESSAGE_ID)
    (taken,) = relay.taken
    assert taken.sender == "post@shop.example"
    assert taken.recipients == (ADA, BOB, CIA)
    assert taken.message["Message-ID"] == f"<{MESSAGE_ID}>"
    assert taken.message["X-Postroom-Email-Id"] == EMAIL_ID
    assert taken.message.get_content().splitlines() == ["Hello"]


def test_the_profile_says_that_recipients_can_be_split(
    provider: SmtpProvider,
) -> None:
    assert provider.profile.splits_recipients
    assert provider.profile.kind == "smtp"
    assert provider.profile.max_recipients >= 50


def test_one_refused_recipient_does_not_keep_the_others_from_it(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    relay.script(
        Rule(recipient=BOB, reply=UNKNOWN_USER),
        Rule(recipient=CIA, reply=GREYLISTED),
    )

    outcome = send(provider, THREE)

    assert outcome == Accepted(provider_message_id=MESSAGE_ID, refused=(GONE, LATER))
    assert [taken.recipients for taken in relay.taken] == [(ADA,)]


def test_a_part_has_its_own_envelope_and_the_same_bytes(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    relay.script(Rule(recipient=CIA, reply=GREYLISTED, times=1))

    first = send(provider, THREE)
    second = send(provider, THREE, recipients=(2,))

    assert first == Accepted(provider_message_id=MESSAGE_ID, refused=(LATER,))
    assert second == Accepted(provider_message_id=MESSAGE_ID)
    assert [taken.recipients for taken in relay.taken] == [(ADA, BOB), (CIA,)]
    assert relay.taken[0].data == relay.taken[1].data


def test_an_address_that_stands_twice_is_named_once_and_answered_twice(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    email = an_email(recipients=[to(ADA), cc(BOB), bcc("Bob@Example.com")])
    relay.script(Rule(recipient=BOB, reply=UNKNOWN_USER))

    outcome = send(provider, email)

    assert isinstance(outcome, Accepted)
    assert [refusal.index for refusal in outcome.refused] == [1, 2]
    assert relay.envelopes == [("post@shop.example", (ADA, BOB))]


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        pytest.param(
            (UNKNOWN_USER, "553 5.1.3 bad address"),
            RefusalKind.PERMANENT,
            "550 5.1.1",
            id="for good",
        ),
        pytest.param(
            (GREYLISTED, GREYLISTED), RefusalKind.TRANSIENT, "451 4.7.1", id="for now"
        ),
        pytest.param(
            (UNKNOWN_USER, GREYLISTED), RefusalKind.TRANSIENT, "451 4.7.1", id="mixed"
        ),
    ],
)
def test_all_recipients_refused_is_a_refusal(
    relay: FakeSmtp,
    provider: SmtpProvider,
    replies: tuple[str, str],
    kind: RefusalKind,
    code: str,
) -> None:
    email = an_email(recipients=[to(ADA), to(BOB)])
    relay.script(
        Rule(recipient=ADA, reply=replies[0]), Rule(recipient=BOB, reply=replies[1])
    )

    outcome = send(provider, email)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain, outcome.code) == (kind, True, code)
    assert [refusal.index for refusal in outcome.refused] == [0, 1]
    assert {refusal.code for refusal in outcome.refused} == {
        " ".join(reply.split(" ", 2)[:2]) for reply in replies
    }
    assert relay.taken == []


@pytest.mark.parametrize(
    ("reply", "kind", "throttled"),
    [
        pytest.param(
            "553 5.7.1 <post@shop.example>: Sender address rejected: not owned by u",
            RefusalKind.SENDER,
            False,
            id="sender",
        ),
        pytest.param(
            "530 5.7.0 Authentication required", RefusalKind.ACCOUNT, False, id="login"
        ),
        pytest.param(
            "450 4.7.1 Error: too much mail from 10.0.0.1",
            RefusalKind.TRANSIENT,
            True,
            id="rate",
        ),
        pytest.param(
            "554 5.7.1 <ada@example.com>: Relay access denied",
            RefusalKind.TRANSIENT,
            False,
            id="relay",
        ),
    ],
)
def test_what_is_said_at_rcpt_of_more_than_the_recipient_is_the_outcome(
    relay: FakeSmtp,
    provider: SmtpProvider,
    reply: str,
    kind: RefusalKind,
    throttled: bool,
) -> None:
    relay.script(
        Rule(recipient=BOB, reply=UNKNOWN_USER),
        Rule(reply=reply),
    )

    outcome = send(provider, THREE)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.throttled) == (kind, throttled)
    assert outcome.refused == (GONE,)


def test_what_is_not_about_a_recipient_leaves_it_pending(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    relay.script(
        Rule(recipient=BOB, reply="553 5.7.1 Sender address rejected: not owned by u")
    )

    outcome = send(provider, THREE)

    assert isinstance(outcome, Accepted)
    (refusal,) = outcome.refused
    assert (refusal.index, refusal.kind) == (1, RefusalKind.TRANSIENT)


@pytest.mark.parametrize(
    ("at", "reply", "kind"),
    [
        (At.MAIL, "451 4.3.0 try later", RefusalKind.TRANSIENT),
        (At.MAIL, "421 4.3.2 shutting down", RefusalKind.TRANSIENT),
        (At.MAIL, "550 5.7.1 not your address", RefusalKind.SENDER),
        (At.MAIL, "552 5.3.4 too large", RefusalKind.PERMANENT),
        (At.RCPT, "421 4.3.2 shutting down", RefusalKind.TRANSIENT),
        (At.DATA, "451 4.3.0 try later", RefusalKind.TRANSIENT),
        (At.DATA, "554 5.5.1 no", RefusalKind.PERMANENT),
        (At.END, "452 4.3.1 disk full", RefusalKind.TRANSIENT),
        (At.END, "421 4.3.2 shutting down", RefusalKind.TRANSIENT),
        (At.END, "554 5.6.0 malformed", RefusalKind.PERMANENT),
        (At.END, "550 5.7.60 Client does not have permissions", RefusalKind.SENDER),
        (At.EHLO, "421 4.7.0 try later", RefusalKind.TRANSIENT),
        (At.EHLO, "550 5.7.1 not you", RefusalKind.ACCOUNT),
    ],
)
def test_a_negative_reply_is_a_certain_refusal(
    relay: FakeSmtp, provider: SmtpProvider, at: At, reply: str, kind: RefusalKind
) -> None:
    relay.script(Rule(at=at, reply=reply))

    outcome = send(provider, an_email())

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.certain) == (kind, True)
    assert f"{outcome.code} {outcome.detail}" == reply
    assert relay.taken == []


def test_a_refusal_of_the_email_goes_with_those_of_recipients(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    relay.script(
        Rule(recipient=BOB, reply=UNKNOWN_USER),
        Rule(at=At.END, reply="451 4.3.0 queue file write error"),
    )

    outcome = send(provider, THREE)

    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.refused) == (RefusalKind.TRANSIENT, (GONE,))


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize(
    ("mode", "cause"), [(Mode.DROP, "reset"), (Mode.HANG, "timeout")]
)
def test_no_answer_to_the_final_dot_is_unknown(
    relay: FakeSmtp, provider: SmtpProvider, mode: Mode, cause: str, accepts: bool
) -> None:
    relay.script(
        Rule(recipient=BOB, reply=UNKNOWN_USER),
        Rule(at=At.END, mode=mode, accepts=accepts),
    )
    timeout = SHORT if mode is Mode.HANG else PATIENCE

    outcome = send(provider, THREE, timeout=timeout)

    assert isinstance(outcome, Unknown)
    assert (outcome.cause, outcome.refused) == (cause, (GONE,))
    assert len(relay.taken) == accepts


@pytest.mark.parametrize("at", [At.EHLO, At.MAIL, At.RCPT, At.DATA])
@pytest.mark.parametrize(
    ("mode", "cause"), [(Mode.DROP, "reset"), (Mode.HANG, "timeout")]
)
def test_no_answer_before_the_final_dot_is_not_sent(
    relay: FakeSmtp, provider: SmtpProvider, at: At, mode: Mode, cause: str
) -> None:
    relay.script(Rule(at=at, mode=mode))
    timeout = SHORT if mode is Mode.HANG else PATIENCE

    outcome = send(provider, an_email(), timeout=timeout)

    assert isinstance(outcome, NotSent)
    assert outcome.cause == cause
    assert relay.taken == []


def test_too_large_an_email_is_not_begun_and_then_not_built() -> None:
    large = an_email(text="x" * 20_000)
    with FakeSmtp(size=10_000) as relay:
        provider = SmtpProvider(smtp_settings(relay.url))

        first = send(provider, large)

        assert isinstance(first, NotSent)
        assert first.cause == "too_large"
        assert relay.envelopes == []
        with pytest.raises(UnbuildableError):
            provider.build(large, recipients=(0,))
        assert isinstance(send(provider, an_email()), Accepted)
        provider.close()


def test_the_size_is_announced_to_a_relay_that_wants_it() -> None:
    with FakeSmtp(size=100_000) as relay:
        provider = SmtpProvider(smtp_settings(relay.url))

        send(provider, an_email())

        provider.close()
        (taken,) = relay.taken
        assert relay.options == [[f"SIZE={len(taken.data)}"]]


def test_neither_addresses_nor_secrets_are_kept_of_what_a_relay_says(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    relay.script(Rule(recipient=BOB, reply=f"550 5.1.1 <{BOB}>: who is {BOB}?"))

    outcome = send(provider, THREE)

    assert isinstance(outcome, Accepted)
    assert "@" not in outcome.refused[0].detail
    assert BOB not in repr(provider.build(THREE, recipients=(1,)))
