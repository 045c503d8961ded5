"""Connections to a relay: kept, replaced, and shared by nobody."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from postroom.adapters.providers.smtp import MAX_SENT, SmtpProvider
from postroom.domain.outcome import Accepted, Refused
from tests.adapters.providers.parts import an_email, smtp_settings, to
from tests.adapters.providers.smtp_parts import BOB, UNKNOWN_USER, send
from tests.adapters.providers.wire import in_threads, wait_until
from tests.fake_smtp import At, FakeSmtp, Mode, Rule


@pytest.fixture
def provider(relay: FakeSmtp) -> Iterator[SmtpProvider]:
    found = SmtpProvider(smtp_settings(relay.url))
    yield found
    found.close()


def test_one_connection_serves_many_emails(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    outcomes = [send(provider, an_email()) for _ in range(5)]

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(relay.taken) == 5
    assert relay.connections == 1


@pytest.mark.parametrize(
    "rule",
    [
        Rule(reply=UNKNOWN_USER),
        Rule(at=At.MAIL, reply="550 5.7.1 no"),
        Rule(at=At.DATA, reply="554 5.5.1 no"),
        Rule(at=At.END, reply="554 5.6.0 no"),
    ],
    ids=lambda rule: rule.at.value,
)
def test_a_refusal_leaves_the_connection_fit_for_the_next_email(
    relay: FakeSmtp, provider: SmtpProvider, rule: Rule
) -> None:
    relay.script(rule)
    send(provider, an_email())
    relay.script()

    outcome = send(provider, an_email(recipients=[to(BOB)]))

    assert isinstance(outcome, Accepted)
    assert [taken.recipients for taken in relay.taken] == [(BOB,)]
    assert relay.connections == 1


def test_a_connection_that_cannot_be_reset_is_not_used_again(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    relay.script(
        Rule(reply=UNKNOWN_USER, times=1), Rule(at=At.RSET, reply="421 4.3.2 bye")
    )

    first, second = send(provider, an_email()), send(provider, an_email())

    assert isinstance(first, Refused)
    assert isinstance(second, Accepted)
    assert relay.connections == 2


@pytest.mark.parametrize("last_words", [b"", b"421 4.4.2 timeout, closing\r\n"])
def test_a_connection_that_the_relay_closed_is_not_used_again(
    relay: FakeSmtp, provider: SmtpProvider, last_words: bytes
) -> None:
    send(provider, an_email())
    relay.close_idle(last_words)

    outcome = send(provider, an_email())

    assert isinstance(outcome, Accepted)
    assert len(relay.taken) == 2
    assert relay.connections == 2


@pytest.mark.parametrize(
    "rule",
    [
        Rule(at=At.MAIL, mode=Mode.DROP, times=1),
        Rule(at=At.MAIL, reply="421 4.4.2 timeout exceeded", times=1),
        Rule(at=At.MAIL, reply="503 5.5.1 nested MAIL command", times=1),
    ],
    ids=["drop", "421", "503"],
)
def test_a_kept_connection_that_ends_at_mail_is_replaced_at_once(
    relay: FakeSmtp, provider: SmtpProvider, rule: Rule
) -> None:
    send(provider, an_email())
    relay.script(rule)

    outcome = send(provider, an_email())

    assert isinstance(outcome, Accepted)
    assert len(relay.taken) == 2
    assert relay.connections == 2


def test_a_kept_connection_that_leads_nowhere_leaves_time_for_a_new_one(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    send(provider, an_email())
    relay.script(Rule(at=At.MAIL, mode=Mode.HANG, times=1))

    outcome = send(provider, an_email(), timeout=timedelta(seconds=3))

    assert isinstance(outcome, Accepted)
    assert len(relay.taken) == 2


def test_a_connection_that_grew_old_is_not_used_again(relay: FakeSmtp) -> None:
    provider = SmtpProvider(smtp_settings(relay.url), max_idle_s=0.0)

    send(provider, an_email())
    send(provider, an_email())

    provider.close()
    assert relay.connections == 2
    wait_until(lambda: relay.commands.count("QUIT") == 2)


def test_a_connection_carries_so_many_emails_and_no_more(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    for _ in range(MAX_SENT + 1):
        assert isinstance(send(provider, an_email()), Accepted)

    assert relay.connections == 2


def test_threads_share_a_provider_and_no_connection(
    relay: FakeSmtp, provider: SmtpProvider
) -> None:
    emails = [
        an_email(email_id=f"{number:024x}", recipients=[to(f"r{number}@example.com")])
        for number in range(60)
    ]

    outcomes = in_threads(
        12,
        lambda thread: [
            (email.email_id, send(provider, email)) for email in emails[thread::12]
        ],
    )

    for email_id, outcome in (pair for pairs in outcomes for pair in pairs):
        expected = f"{email_id}@shop.example"
        assert outcome == Accepted(provider_message_id=expected)
    assert sorted(
        (taken.message["X-Postroom-Email-Id"], taken.recipients)
        for taken in relay.taken
    ) == sorted((e.email_id, (e.recipients[0].addr_spec,)) for e in emails)
    assert relay.connections <= 12


def test_an_interrupt_leaves_no_connection_behind(
    relay: FakeSmtp, provider: SmtpProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupt(BaseException):
        """What a worker is stopped with."""

    def interrupted(*_: object) -> None:
        raise Interrupt

    session = "postroom.adapters.providers.smtp_session.Session"
    with monkeypatch.context() as patched:
        patched.setattr(f"{session}.content", interrupted)
        with pytest.raises(Interrupt):
            send(provider, an_email())

    assert isinstance(send(provider, an_email(recipients=[to(BOB)])), Accepted)
    assert [taken.recipients for taken in relay.taken] == [(BOB,)]
    assert relay.connections == 2
