"""What a relay's answers mean, as data.

The first digit of a reply decides (RFC 5321 section 4.2.1): 4yz may work later, 5yz
will not. Whom it is meant for is told by where in the conversation it comes, by the
enhanced code (RFC 3463, RFC 5248 and the registry that it made) and, where relays
document them, by words:

- Postfix: https://www.postfix.org/postconf.5.html (reject_sender_login_mismatch,
  reject_unauth_destination, smtpd_delay_reject, smtpd_client_connection_count_limit)
- Exchange: https://learn.microsoft.com/troubleshoot/exchange/email-delivery/ndr/
  non-delivery-reports-in-exchange-online; its limits for submission:
  https://techcommunity.microsoft.com/t5/exchange-team-blog/ba-p/607825
- Gmail and Google Workspace: https://support.google.com/a/answer/3726730
- Amazon SES: https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html and
  manage-sending-quotas-errors.html
- SendGrid: https://www.twilio.com/docs/sendgrid/for-developers/sending-email/
  smtp-errors-and-troubleshooting

Every complete negative reply is certain: the relay has not taken the email.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ...domain.outcome import RefusalKind, Refused
from .answers import scrub


class Stage(StrEnum):
    """Where in the conversation an answer comes."""

    DNS = "dns"
    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    #: The email itself.
    CONTENT = "content"
    #: The final dot: whatever is said after it is about the email.
    END = "end of data"
    RSET = "RSET"


#: Before a transaction: what is said then is for every email.
SESSION = frozenset({Stage.GREETING, Stage.EHLO, Stage.AUTH})

_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![^\s])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One complete answer.

    Attributes:
        code: Three digits, from 200 to 599.
        enhanced: Such as ``5.1.1``, if the relay gives one that fits.
        words: All lines, as they came, without the enhanced code.
    """

    code: int
    enhanced: str = ""
    words: str = ""

    @classmethod
    def of(cls, code: int, said: bytes) -> Self:
        """Read a reply, whatever its text is made of."""
        words = said.decode("utf-8", errors="replace")
        found = _ENHANCED.match(words)
        fits = found is not None and found[1][0] == str(code)[0]
        if found is None or not fits:
            return cls(code=code, words=words)
        bare = "\n".join(
            line.removeprefix(found[1]).strip() for line in words.split("\n")
        )
        return cls(code=code, enhanced=found[1], words=bare)

    @property
    def is_positive(self) -> bool:
        """Whether it says that what was asked for is done."""
        return self.code < 300

    @property
    def is_negative(self) -> bool:
        """Whether it says no, for now or for good."""
        return self.code >= 400

    @property
    def is_last(self) -> bool:
        """Whether the relay closes the connection after it (RFC 5321 section 3.8)."""
        return self.code == 421

    @property
    def text(self) -> str:
        """The code as it is kept: ``550 5.1.1`` or ``550``."""
        return f"{self.code} {self.enhanced}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; what is not given holds for all.

    Attributes:
        at: Where in the conversation.
        digit: The first digit of the code, 4 or 5; 0 for either.
        codes: The codes meant.
        enhanced: The enhanced codes meant.
        says: Words, in lower case, of which the answer holds one.
        throttled: The relay is limiting our rate.
        whole: It is not about the recipient, where it comes for one.
    """

    kind: RefusalKind
    at: frozenset[Stage] = frozenset()
    digit: int = 0
    codes: frozenset[int] = frozenset()
    enhanced: frozenset[str] = frozenset()
    says: tuple[str, ...] = ()
    throttled: bool = False
    whole: bool = False

    @property
    def is_about_recipient(self) -> bool:
        """Whether it says something of the recipient, where it comes for one."""
        own = self.kind in {RefusalKind.PERMANENT, RefusalKind.TRANSIENT}
        return own and not self.throttled and not self.whole

    def matches(self, stage: Stage, reply: Reply) -> bool:
        """Return whether this answer is meant."""
        said = " ".join(reply.words.lower().split())
        return (
            (not self.at or stage in self.at)
            and self.digit in {0, reply.code // 100}
            and (not self.codes or reply.code in self.codes)
            and (not self.enhanced or reply.enhanced in self.enhanced)
            and (not self.says or any(phrase in said for phrase in self.says))
        )


#: The first row that matches decides; the last ones match every negative reply.
TABLE = (
    # Limits on how much or how fast this account may send.
    Row(
        kind=RefusalKind.TRANSIENT,
        throttled=True,
        digit=4,
        says=(
            "maximum sending rate exceeded",  # SES, 454
            "daily message quota exceeded",  # SES, 454
            "too many concurrent smtp connections",  # SES, 421
            "concurrent connections limit exceeded",  # Exchange, 432 4.3.2
            "concurrent connection limit exceeded",
            "sender thread limit exceeded",
            "too many login attempts",  # Gmail, 454 4.7.0
            "peak smtp relay limit exceeded",  # Gmail, 450 4.2.1
            "too many connections from",  # Postfix, 421 4.7.0
            "too much mail from",  # Postfix, 450 4.7.1
        ),
    ),
    # "Mail flood detected" in the registry of enhanced codes; Gmail's unusual rate.
    Row(kind=RefusalKind.TRANSIENT, throttled=True, enhanced=frozenset({"4.7.28"})),
    # The account. RFC 4954 section 6 and RFC 3207 section 4: 530, authentication or
    # STARTTLS required. X.7.13: user account disabled.
    Row(kind=RefusalKind.ACCOUNT, codes=frozenset({530})),
    Row(kind=RefusalKind.ACCOUNT, enhanced=frozenset({"5.7.13"})),
    Row(
        kind=RefusalKind.ACCOUNT,
        says=("maximum credits exceeded",),  # SendGrid, 451
    ),
    Row(
        kind=RefusalKind.ACCOUNT,
        digit=5,
        says=(
            "user sending limit exceeded",  # Gmail, 550 5.4.5
            "relay sending limit exceeded",
        ),
    ),
    Row(kind=RefusalKind.ACCOUNT, at=SESSION, digit=5),
    # The sender. By words and at each stage: Postfix keeps what it has against a sender
    # for RCPT, Exchange and SES say it at the end.
    Row(
        kind=RefusalKind.SENDER,
        digit=5,
        says=(
            "sender address rejected",  # Postfix, 553 5.7.1: not owned by user ...
            "sendasdenied",  # Exchange, 554 5.2.0 and 5.2.252
            "to send as this sender",  # Exchange, 550 5.7.60
            "email address is not verified",  # SES, 554
            "is not authorized to perform `ses:send",  # SES, 554: this identity
        ),
    ),
    Row(
        kind=RefusalKind.SENDER,
        says=(
            "does not match a verified sender identity",  # SendGrid, 550
            "not authorized to send from",  # SendGrid, 403
        ),
    ),
    # X.1.7 and X.1.8: bad sender's mailbox or system address (RFC 3463 section 3.2);
    # X.7.27: the sender's domain takes no mail (RFC 7505 section 4.2).
    Row(
        kind=RefusalKind.SENDER,
        enhanced=frozenset({"5.1.7", "5.1.8", "5.2.252", "5.7.27", "5.7.60"}),
    ),
    # RFC 5321 section 4.2.4: commands that are not known or not in order. What we say
    # is the same for every email.
    Row(
        kind=RefusalKind.ACCOUNT,
        at=frozenset({Stage.MAIL}),
        codes=frozenset({500, 502, 503, 504, 555}),
    ),
    # RFC 1870 section 6.1: the size that we announce.
    Row(kind=RefusalKind.PERMANENT, at=frozenset({Stage.MAIL}), codes=frozenset({552})),
    Row(
        kind=RefusalKind.PERMANENT,
        at=frozenset({Stage.MAIL}),
        enhanced=frozenset({"5.2.3", "5.3.4"}),
    ),
    # RFC 5321 section 3.3: "If the mailbox specification is not acceptable for some
    # reason, the server MUST return a reply". At MAIL, that mailbox is the sender's.
    Row(kind=RefusalKind.SENDER, at=frozenset({Stage.MAIL}), digit=5),
    # It does not relay for us, or not to there. Nothing is wrong with the recipient, so
    # another provider may have it. If that is so for every email, the breaker will
    # open; a relay that is for some domains only must not have it opened by others.
    Row(
        kind=RefusalKind.TRANSIENT,
        whole=True,
        digit=5,
        says=(
            "relay access denied",  # Postfix, 554 5.7.1
            "client host rejected",
            "helo command rejected",
            "relaying denied",  # Sendmail, 550 5.7.1
            "relay not permitted",  # Exim, 550
            "unable to relay",  # Exchange, 550 5.7.54
            "mail relay denied",  # Gmail, 550 5.7.1
        ),
    ),
    # RFC 5321 section 4.5.3.1.10: "Clients SHOULD treat a 552 code in this case as a
    # temporary, rather than permanent, failure".
    Row(
        kind=RefusalKind.TRANSIENT,
        at=frozenset({Stage.RCPT}),
        codes=frozenset({552}),
        says=("too many recipients",),
    ),
    Row(kind=RefusalKind.TRANSIENT, digit=4),
    Row(kind=RefusalKind.PERMANENT, digit=5),
)


def meaning(stage: Stage, reply: Reply) -> Row:
    """Return the row that says what a negative reply means."""
    return next(row for row in TABLE if row.matches(stage, reply))


def refused(stage: Stage, reply: Reply, *, hidden: Iterable[str] = ()) -> Refused:
    """Return the refusal that a negative reply is."""
    row = meaning(stage, reply)
    return Refused(
        kind=row.kind,
        certain=True,
        code=reply.text,
        detail=scrub(reply.words, hidden=hidden),
        throttled=row.throttled,
    )
