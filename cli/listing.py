"""Emails in a list: what is worth a column, and no address unless asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from ..domain.email import Email
from .exits import say
from .output import exact_instant, instant, put_json, put_table

#: What a list shows of an email: neither what was said, nor to whom.
_LISTED = (
    "object",
    "id",
    "created_at",
    "state",
    "reason",
    "waiting_for",
    "not_before",
    "due_at",
    "sent_at",
    "delivery",
    "priority",
    "provider",
    "last_event",
    "possible_duplicate",
)

#: And of an attempt; a provider's own words may name a recipient.
_LISTED_ATTEMPT = (
    "no",
    "provider",
    "started_at",
    "ended_at",
    "outcome",
    "kind",
    "certain",
    "code",
    "latency_ms",
)


def put_list(
    emails: Iterable[Email],
    *,
    has_more: bool,
    when: Literal["created_at", "dead_at"] = "created_at",
    describe: Callable[[Email], dict[str, Any]],
    recipients: bool,
    as_json: bool,
) -> None:
    """Print a page of emails.

    Args:
        emails: Without their content.
        has_more: Whether there are more of them.
        when: The time to show.
        describe: Returns an email as the API shows it.
        recipients: Show them too, shortened.
        as_json: As one document with the words of the API.
    """
    if as_json:
        data = [_listed(e, describe(e), recipients=recipients) for e in emails]
        put_json({"object": "list", "has_more": has_more, "data": data})
        return
    rows = [
        (
            email.email_id,
            instant(getattr(email, when)),
            email.state,
            why(email),
            len(email.attempts),
            _provider(email),
            *(_shortened(email) if recipients else ()),
        )
        for email in emails
    ]
    columns = ("id", when, "state", "why", "attempts", "provider", "recipients")
    put_table(columns if recipients else columns[:-1], rows)
    if has_more:
        say("there are more")


def _listed(
    email: Email, document: Mapping[str, Any], *, recipients: bool
) -> dict[str, Any]:
    listed = {name: document[name] for name in _LISTED}
    listed["dead_at"] = exact_instant(email.dead_at)
    listed["attempts"] = [
        {name: attempt[name] for name in _LISTED_ATTEMPT}
        for attempt in document["attempts"]
    ]
    if recipients:
        listed["recipients"] = [shortened(r.addr_spec) for r in email.recipients]
    return listed


def _provider(email: Email) -> str | None:
    return email.attempts[-1].provider if email.attempts else email.provider


def _shortened(email: Email) -> tuple[str]:
    return (", ".join(shortened(each.addr_spec) for each in email.recipients),)


def why(email: Email) -> str:
    """Return why an email is as it is, in a few words."""
    if email.reason is not None:
        return email.reason
    if email.waiting_for is not None:
        whom = f" {', '.join(email.parked_for)}" if email.parked_for else ""
        return f"waits for {email.waiting_for}{whom}"
    return "recipients refused" if email.dead_at else ""


def shortened(addr_spec: str) -> str:
    """Return an address that its owner would know, and a stranger would not.

    Examples:
        >>> shortened("ada.lovelace@example.com")
        'a***@example.com'
    """
    local_part, _, domain = addr_spec.rpartition("@")
    return f"{local_part[:1]}***@{domain}"
