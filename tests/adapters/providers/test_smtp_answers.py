"""What relays say, and what that means: the table, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.adapters.providers.smtp_answers import (
    TABLE,
    Reply,
    Stage,
    meaning,
    refused,
)
from postroom.domain.outcome import MAX_DETAIL, RefusalKind

PERMANENT, TRANSIENT = RefusalKind.PERMANENT, RefusalKind.TRANSIENT
ACCOUNT, SENDER = RefusalKind.ACCOUNT, RefusalKind.SENDER

NEGATIVE = st.integers(400, 599)


def a_reply(text: str) -> Reply:
    code, _, said = text.partition(" ")
    return Reply.of(int(code), said.encode())


#: Where, what, and whom it is for. Words are quoted from relays or their documents.
TOLD = [
    # Anybody, by the first digit.
    (Stage.RCPT, "550 5.1.1 User unknown in virtual mailbox table", PERMANENT),
    (Stage.RCPT, "550 No such user here", PERMANENT),
    (Stage.RCPT, "450 4.2.0 Greylisted", TRANSIENT),
    (Stage.RCPT, "452 4.2.2 over quota", TRANSIENT),
    (Stage.RCPT, "450 4.2.1 receiving mail too quickly", TRANSIENT),
    (Stage.RCPT, "552 5.2.2 mailbox full", PERMANENT),
    (Stage.RCPT, "552 too many recipients", TRANSIENT),
    (Stage.DATA, "554 5.5.1 no valid recipients", PERMANENT),
    (Stage.END, "554 5.7.1 looks like spam", PERMANENT),
    (Stage.END, "552 5.3.4 Message size exceeds fixed limit", PERMANENT),
    (Stage.END, "451 4.3.0 queue file write error", TRANSIENT),
    # Before any email.
    (Stage.GREETING, "421 4.3.2 too busy", TRANSIENT),
    (Stage.GREETING, "554 5.7.1 your address is on a list", ACCOUNT),
    (Stage.EHLO, "501 5.5.4 invalid name", ACCOUNT),
    (Stage.AUTH, "535 5.7.8 Username and Password not accepted", ACCOUNT),
    (Stage.AUTH, "534 5.7.9 Application-specific password required", ACCOUNT),
    (Stage.AUTH, "454 4.7.0 Temporary authentication failure", TRANSIENT),
    # At MAIL, the sender is what is spoken of.
    (Stage.MAIL, "550 5.7.1 not yours", SENDER),
    (Stage.MAIL, "553 5.1.8 Domain of sender does not exist", SENDER),
    (Stage.MAIL, "501 5.1.7 Bad sender address syntax", SENDER),
    (Stage.MAIL, "530 5.7.0 Authentication required", ACCOUNT),
    (Stage.MAIL, "530 Must issue a STARTTLS command first", ACCOUNT),
    (Stage.MAIL, "503 5.5.1 Error: send AUTH first", ACCOUNT),
    (Stage.MAIL, "555 5.5.4 Unsupported option", ACCOUNT),
    (Stage.MAIL, "552 Message size exceeds maximum value", PERMANENT),
    (Stage.MAIL, "550 5.2.3 Message too large", PERMANENT),
    (Stage.MAIL, "451 4.1.8 Domain of sender does not resolve", TRANSIENT),
    # Postfix, which keeps most of it for RCPT.
    (
        Stage.RCPT,
        "553 5.7.1 <a@b.cd>: Sender address rejected: not owned by user x",
        SENDER,
    ),
    (
        Stage.RCPT,
        "450 4.1.8 <a@b.cd>: Sender address rejected: Domain not found",
        TRANSIENT,
    ),
    (Stage.RCPT, "554 5.7.1 <a@b.cd>: Relay access denied", TRANSIENT),
    (Stage.RCPT, "554 5.7.1 <x[10.0.0.1]>: Client host rejected: no", TRANSIENT),
    # Exchange.
    (
        Stage.END,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        SENDER,
    ),
    (
        Stage.END,
        "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.Mapi",
        SENDER,
    ),
    (Stage.END, "554 5.2.252 SendAsDenied", SENDER),
    (Stage.RCPT, "550 5.7.54 SMTP; Unable to relay recipient in non-acc", TRANSIENT),
    # Gmail.
    (Stage.END, "550 5.4.5 Daily user sending limit exceeded.", ACCOUNT),
    (Stage.RCPT, "550 5.7.1 Mail relay denied [10.0.0.1].", TRANSIENT),
    # SES.
    (
        Stage.END,
        "554 Message rejected: Email address is not verified. The following",
        SENDER,
    ),
    (
        Stage.END,
        "554 Access denied: User `arn` is not authorized to perform `ses:SendRawEmail`",
        SENDER,
    ),
    # SendGrid, which says 403.
    (
        Stage.END,
        "550 The from address does not match a verified Sender Identity.",
        SENDER,
    ),
    (Stage.END, "403 You are not authorized to send from that email address", SENDER),
    (Stage.AUTH, "451 Authentication failed: Maximum credits exceeded", ACCOUNT),
    # Codes of the registry.
    (Stage.RCPT, "550 5.7.27 Sender address has null MX", SENDER),
    (Stage.MAIL, "550 5.7.13 User account disabled", ACCOUNT),
]

THROTTLED = [
    (Stage.END, "454 Throttling failure: Maximum sending rate exceeded"),
    (Stage.END, "454 Throttling failure: Daily message quota exceeded"),
    (Stage.GREETING, "421 Too many concurrent SMTP connections"),
    (Stage.MAIL, "432 4.3.2 Concurrent connections limit exceeded."),
    (Stage.END, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
    (Stage.AUTH, "454 4.7.0 Too many login attempts, please try again later."),
    (Stage.RCPT, "450 4.2.1 Peak SMTP relay limit exceeded for customer."),
    (Stage.END, "421 4.7.28 unusual rate of email"),
    (Stage.GREETING, "421 4.7.0 fake Error: too many connections from 10.0.0.1"),
    (Stage.RCPT, "450 4.7.1 Error: too much mail from 10.0.0.1"),
]


@pytest.mark.parametrize(("stage", "text", "kind"), TOLD)
def test_whom_a_refusal_is_for(stage: Stage, text: str, kind: RefusalKind) -> None:
    found = refused(stage, a_reply(text))

    assert (found.kind, found.certain, found.throttled) == (kind, True, False)


@pytest.mark.parametrize(("stage", "text"), THROTTLED)
def test_limits_on_this_account_say_nothing_of_the_relays_health(
    stage: Stage, text: str
) -> None:
    found = refused(stage, a_reply(text))

    assert (found.kind, found.throttled) == (TRANSIENT, True)


def test_every_row_and_all_of_its_words_decide_something() -> None:
    said = [*((stage, text) for stage, text, _ in TOLD), *THROTTLED]
    deciding = [meaning(stage, a_reply(text)) for stage, text in said]

    assert set(TABLE) == set(deciding)


@pytest.mark.parametrize(
    ("text", "is_about"),
    [
        ("550 5.1.1 no such user", True),
        ("451 4.7.1 greylisted", True),
        ("554 5.7.1 Relay access denied", False),
        ("450 4.7.1 too much mail from you", False),
        ("553 5.7.1 Sender address rejected: not owned", False),
        ("530 5.7.0 Authentication required", False),
    ],
)
def test_not_all_that_is_said_at_rcpt_is_about_the_recipient(
    text: str, is_about: bool
) -> None:
    assert meaning(Stage.RCPT, a_reply(text)).is_about_recipient is is_about


@pytest.mark.parametrize(
    ("code", "said", "text", "words"),
    [
        (550, b"5.1.1 no", "550 5.1.1", "no"),
        (550, b"5.1.1 a\n5.1.1 b", "550 5.1.1", "a\nb"),
        (550, b"5.1.1", "550 5.1.1", ""),
        (550, b"no 5.1.1", "550", "no 5.1.1"),
        (550, b"4.1.1 no", "550", "4.1.1 no"),
        (550, b"5.1.1.2 no", "550", "5.1.1.2 no"),
        (550, b"5.1.1234 no", "550", "5.1.1234 no"),
        (550, b"", "550", ""),
        (250, b"2.0.0 Ok", "250 2.0.0", "Ok"),
    ],
)
def test_the_enhanced_code_counts_where_it_fits(
    code: int, said: bytes, text: str, words: str
) -> None:
    found = Reply.of(code, said)

    assert (found.text, found.words) == (text, words)


@given(stage=st.sampled_from(Stage), code=NEGATIVE, said=st.binary(max_size=300))
def test_every_negative_reply_means_something(
    stage: Stage, code: int, said: bytes
) -> None:
    found = refused(stage, Reply.of(code, said))

    assert found.certain
    assert found.code.startswith(str(code))
    assert found.detail.isprintable()
    assert len(found.detail) <= MAX_DETAIL


@given(code=NEGATIVE)
def test_without_words_only_what_is_for_good_ends_an_email(code: int) -> None:
    kinds = {stage: refused(stage, Reply(code=code)).kind for stage in Stage}

    if code < 500:
        assert PERMANENT not in kinds.values()
    for stage in (Stage.GREETING, Stage.EHLO, Stage.AUTH):
        assert kinds[stage] is not PERMANENT
