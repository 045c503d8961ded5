"""Emails as people look for them: what may be asked, and what comes back.

The protocol of sending never reads by any of this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .email import Email, RecipientState, State
from .errors import InvalidValueError

#: Most emails of one page.
LARGEST_PAGE = 100

#: The filters of one owner's list, of which a query has one at most: each has an index
#: whose order is that of the list, and two would need one for each pair.
ONE_AT_A_TIME = ("state", "to", "tag", "attempted")

_EMAIL_ID = re.compile(r"[0-9a-f]{24}")


def is_email_id(text: str) -> bool:
    """Return whether a text could be the id of an email.

    Examples:
        >>> is_email_id("65f000000000000000000001"), is_email_id("65F0")
        (True, False)
    """
    return _EMAIL_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which emails to look for: those that fit everything that is given.

    Attributes:
        owner: Whose emails; ``None`` for an operator, who sees those of all.
        to: The ``addr_spec`` of a recipient of any kind, in upper or lower case.
        tag: The name of a tag.
        tag_value: What that tag says; ``None`` for anything.
        attempted: It had an attempt at this provider.
        provider: It had an attempt there, is pinned to it, or is parked for it.
        created_after: Accepted then or later.
        created_before: Accepted earlier than that.
    """

    owner: str | None = None
    state: State | None = None
    to: str | None = None
    tag: str | None = None
    tag_value: str | None = None
    attempted: str | None = None
    provider: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def admits(self, email: Email) -> bool:
        """Return whether an email, with its content, fits."""
        return (
            (self.owner is None or email.owner == self.owner)
            and (self.state is None or email.state is self.state)
            and self._fits_time(email)
            and self._fits_recipient(email)
            and self._fits_tag(email)
            and self._fits_provider(email)
        )

    def _fits_time(self, email: Email) -> bool:
        after, before = self.created_after, self.created_before
        return (after is None or email.created_at >= after) and (
            before is None or email.created_at < before
        )

    def _fits_recipient(self, email: Email) -> bool:
        wanted = None if self.to is None else self.to.lower()
        return wanted is None or any(
            recipient.addr_spec.lower() == wanted for recipient in email.recipients
        )

    def _fits_tag(self, email: Email) -> bool:
        tags = email.content.tags if email.content else ()
        return self.tag is None or any(
            tag.name == self.tag and self.tag_value in {None, tag.value} for tag in tags
        )

    def _fits_provider(self, email: Email) -> bool:
        return (self.attempted is None or self.attempted in _attempted(email)) and (
            self.provider is None or self.provider in _providers(email)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Which dead letters to look for: those that fit everything that is given.

    Attributes:
        owner: Whose; ``None`` for an operator, who sees those of all.
        reason: The email's, or the code of a refused recipient.
        provider: As in ``Query``.
        since: A dead letter since then or later.
    """

    owner: str | None = None
    reason: str | None = None
    provider: str | None = None
    since: datetime | None = None

    def admits(self, email: Email) -> bool:
        """Return whether an email is such a dead letter."""
        return (
            email.dead_at is not None
            and (self.owner is None or email.owner == self.owner)
            and (self.since is None or email.dead_at >= self.since)
            and (self.reason is None or self.reason in _reasons(email))
            and (self.provider is None or self.provider in _providers(email))
        )


def _reasons(email: Email) -> set[str | None]:
    refused = (r for r in email.recipients if r.state is RecipientState.REFUSED)
    return {email.reason, *(recipient.code for recipient in refused)}


def _providers(email: Email) -> set[str | None]:
    return {email.provider, *email.parked_for, *_attempted(email)}


def _attempted(email: Email) -> set[str]:
    return {attempt.provider for attempt in email.attempts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list to give; a list begins with the newest email.

    Attributes:
        limit: How many emails, 1 to ``LARGEST_PAGE``.
        after: Go on after the email of this id: older ones.
        before: Go back before the email of this id: the nearest newer ones.
    """

    limit: int = 20
    after: str | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no page.

        Raises:
            InvalidValueError: The limit is out of range, a cursor is no id, or both
                cursors are given.
        """
        if not 1 <= self.limit <= LARGEST_PAGE:
            raise InvalidValueError(
                f"limit must be 1 to {LARGEST_PAGE}, got {self.limit}"
            )
        if self.after is not None and self.before is not None:
            raise InvalidValueError("after and before exclude each other")
        for name, cursor in (("after", self.after), ("before", self.before)):
            if cursor is not None and not is_email_id(cursor):
                raise InvalidValueError(
                    f"{name} must be the id of an email, got {cursor!r}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of emails, without bodies and attachments.

    Attributes:
        has_more: Whether more of them lie in the direction of the page.
    """

    emails: tuple[Email, ...]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many emails there are.

    Attributes:
        by_state: Only states that occur.
        held: How many of the unknown ones wait for an operator.
    """

    by_state: Mapping[State, int]
    held: int


class Archive(Protocol):
    """The store as people read it: bounded in time, and never for a decision.

    Raises:
        SearchTimeoutError: From any method: it was not done in its time.
        StoreUnavailableError: From any method: the store did not answer.
    """

    def find(self, query: Query, page: Page) -> Found:
        """Return the emails that fit, newest first: by id, which is made in order.

        One owner's are found by an index, whatever one of the filters is given, with
        or without times. Any other query passes over what does not fit.
        """
        ...

    def counts(self) -> Counts:
        """Count all emails."""
        ...

    def dead_letters(
        self,
        query: DeadLetters,
        *,
        limit: int,
        oldest_first: bool = False,
    ) -> Found:
        """Return the dead letters that fit, by when they became that.

        Args:
            query: Which.
            limit: How many at most, 1 or more.
            oldest_first: Else the latest come first.
        """
        ...

    def dead_page(self, query: DeadLetters, page: Page) -> Found:
        """Return a page of the dead letters that fit, newest email first: by id."""
        ...

    def dead_count(self, query: DeadLetters) -> int:
        """Count the dead letters that fit."""
        ...

    def parked_count(self, provider: str) -> int:
        """Count the emails that are parked for a provider."""
        ...
