"""An email to three over SMTP, and what relays say to it."""

from collections.abc import Sequence
from datetime import timedelta

from postroom.adapters.providers.smtp import SmtpProvider
from postroom.domain.email import Email
from postroom.domain.outcome import Outcome
from tests.adapters.providers.parts import (
    EMAIL_ID,
    PATIENCE,
    an_email,
    bcc,
    cc,
    everyone,
    to,
)

MESSAGE_ID = f"{EMAIL_ID}@shop.example"

ADA, BOB, CIA = "ada@example.com", "bob@example.com", "cia@example.com"

THREE = an_email(recipients=[to(ADA), cc(BOB), bcc(CIA)])

UNKNOWN_USER = "550 5.1.1 no such user"
GREYLISTED = "451 4.7.1 greylisted, come back later"


def send(
    provider: SmtpProvider,
    email: Email,
    *,
    recipients: Sequence[int] | None = None,
    timeout: timedelta = PATIENCE,
) -> Outcome:
    chosen = everyone(email) if recipients is None else recipients
    return provider.send(provider.build(email, recipients=chosen), timeout=timeout)
