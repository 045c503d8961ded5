"""An email as one SMTP transaction: who it is from and to, and the bytes of DATA.

The structure of MIME, its encodings and the names of files are the standard library's
`email.message.EmailMessage`; the head is ours (smtp_headers.py). All of it is 7-bit,
with lines of 76 characters, so that every relay can carry it unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage, Message, MIMEPart
from email.policy import SMTP

from ...domain.email import Attachment, Content, Email
from ...domain.errors import UnbuildableError
from .contents import content_of, one_line
from .smtp_headers import LONGEST_LINE, head_of, message_id_of, path_of

#: For building parts: lines of quoted-printable may have 76 characters (RFC 2045
#: section 6.7, rule (5)).
_PARTS = SMTP.clone(cte_type="7bit", max_line_length=76)

#: For writing them down: a file's name is not torn into pieces (RFC 2231 section 3)
#: that some readers do not join, as long as it fits into a line.
_WIRE = _PARTS.clone(max_line_length=LONGEST_LINE)

#: A text with more than one byte in this many outside ASCII is shorter in base64.
_DENSE = 6

#: Kinds of files that MIME does not let be encoded (RFC 2046 sections 5.1 and 5.2.1):
#: they travel as bytes under their name.
_UNENCODABLE = frozenset({"multipart", "message"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One RCPT TO.

    Attributes:
        path: The address, without angle brackets.
        positions: Whose of the email's recipients it is: one address may stand twice.
    """

    path: str
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What one attempt says to a relay.

    Attributes:
        sender: MAIL FROM, without angle brackets.
        mailboxes: Each RCPT TO.
        message_id: Without its angle brackets.
        data: With its dots doubled, up to the line end before the final dot.
    """

    sender: str = field(repr=False)
    mailboxes: tuple[Mailbox, ...] = field(repr=False)
    message_id: str
    data: bytes = field(repr=False)


def transaction_of(email: Email, recipients: Sequence[int]) -> Transaction:
    """Return the transaction that carries an email to some of its recipients.

    The same email makes the same bytes, whichever of its recipients they are for.

    Raises:
        UnbuildableError: SMTP cannot carry it as it is meant.
    """
    content = content_of(email)
    whole = head_of(email, content) + _body(email.email_id, content)
    # A line of one dot would end the email: RFC 5321 section 4.5.2.
    data = whole.replace(b"\r\n.", b"\r\n..")
    return Transaction(
        sender=path_of(content.sender, field="from"),
        mailboxes=_mailboxes(email, recipients),
        message_id=message_id_of(email, content).strip("<>"),
        data=data,
    )


def _mailboxes(email: Email, recipients: Sequence[int]) -> tuple[Mailbox, ...]:
    places: dict[str, list[int]] = {}
    paths: dict[str, str] = {}
    for position in recipients:
        recipient = email.recipients[position]
        path = path_of(recipient, field=recipient.kind.value)
        places.setdefault(path.lower(), []).append(position)
        paths.setdefault(path.lower(), path)
    if not places:
        raise UnbuildableError("there is no recipient", field="to")
    return tuple(
        Mailbox(path=paths[key], positions=tuple(where))
        for key, where in places.items()
    )


def _body(email_id: str, content: Content) -> bytes:
    """Return the MIME headers, the empty line and all parts."""
    try:
        message = _texts(content)
    except UnicodeEncodeError as ex:
        raise UnbuildableError("the text is not Unicode", field="text") from ex
    page = message.get_body(("html",))
    inline = [one for one in content.attachments if page and one.content_id]
    for attached in inline:
        _attach(page or message, attached, multipart="related")
    for attached in content.attachments:
        if attached not in inline:
            _attach(message, attached, multipart="mixed")
    for number, part in enumerate(message.walk()):
        _finish(part, number=number, email_id=email_id)
    return message.as_bytes(policy=_WIRE)


def _finish(part: Message, *, number: int, email_id: str) -> None:
    if number:
        del part["MIME-Version"]  # it is for the whole
    if part.get_content_subtype() == "related":
        part.set_param("type", "text/html")  # RFC 2387 section 3.1
    if part.is_multipart():
        # In no encoded line: RFC 2045 section 6.7, note (2). And not by chance, so
        # that an email always makes the same bytes.
        part.set_boundary(f"=_{email_id}_{number}")


def _texts(content: Content) -> EmailMessage:
    message = EmailMessage(policy=_PARTS)
    if content.text:
        message.set_content(content.text, cte=_encoding(content.text))
    if content.html and content.text:
        cte = _encoding(content.html)
        message.add_alternative(content.html, subtype="html", cte=cte)
    elif content.html:
        cte = _encoding(content.html)
        message.set_content(content.html, subtype="html", cte=cte)
    return message


def _encoding(text: str) -> str:
    dense = (len(text.encode()) - len(text)) * _DENSE > len(text)
    return "base64" if dense else "quoted-printable"


def _attach(message: MIMEPart, attached: Attachment, *, multipart: str) -> None:
    content_type = one_line(attached.content_type, field="attachments")
    kind = EmailMessage(policy=_PARTS)
    kind["Content-Type"] = content_type
    media_type, params = kind.get_content_type(), dict(kind["Content-Type"].params)
    if kind.get_content_maintype() in _UNENCODABLE:
        media_type, params = "application/octet-stream", {}
    maintype, _, subtype = media_type.partition("/")
    content_id = attached.content_id and one_line(
        attached.content_id, field="attachments"
    )
    add = message.add_related if multipart == "related" else message.add_attachment
    add(
        attached.content,
        maintype=maintype,
        subtype=subtype,
        params=params,
        filename=one_line(attached.filename, field="attachments"),
        disposition="inline" if content_id else "attachment",
        cid=f"<{content_id}>" if content_id else None,
    )
