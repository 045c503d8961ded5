"""Erase what emails said, because somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..domain.email import Email
from ..domain.erasure import erased_whole, is_erased_whole
from ..domain.errors import EmailNotFoundError, ForbiddenTransitionError
from ..domain.policy import Policy
from ..domain.ports import Clock, EmailStore
from ..domain.ports_erasure import Erasure
from .changing import load_email

#: Emails of one search.
SLICE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure came to, in counts.

    Attributes:
        erased: Emails that say nothing any more; with ``dry_run`` those that would.
        still_open: Emails that are not final, and so still need what they say.
    """

    erased: int
    still_open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Remove recipients, subject, bodies and files of final emails; keep the record."""

    store: EmailStore
    erasure: Erasure
    clock: Clock
    policy: Policy

    def __call__(self, email_id: str, *, owner: str | None = None) -> Email:
        """Erase one email; one that is erased already stays as it is.

        Args:
            email_id: Which.
            owner: Whose it must be; ``None`` for an operator.

        Raises:
            EmailNotFoundError: There is none of that id.
            ForbiddenTransitionError: It is not final.
            StoreUnavailableError: The store did not answer; it may be erased.
        """
        keep = self.policy.keep_email
        while True:
            email = load_email(self.store, email_id, owner=owner)
            if is_erased_whole(email):
                return email
            change = erased_whole(email, now=self.clock.now(), keep_email=keep)
            if self.erasure.erase_whole(change):
                return change.after

    def all_to(
        self, addr_spec: str, *, owner: str | None = None, dry_run: bool = False
    ) -> Erased:
        """Erase all final emails to an address, for all of their recipients.

        Args:
            addr_spec: A recipient of any kind, in upper or lower case.
            owner: Whose emails; ``None`` for those of all.
            dry_run: Only count them.

        Raises:
            SearchTimeoutError: A search was not done in its time.
            StoreUnavailableError: The store did not answer; a part may be done.
        """
        erased = still_open = 0
        for email_id in self._addressed_to(addr_spec, owner):
            try:
                if dry_run:
                    self._check(email_id)
                else:
                    self(email_id)
            except ForbiddenTransitionError:
                still_open += 1
            except EmailNotFoundError:
                continue  # its record has gone meanwhile
            else:
                erased += 1
        return Erased(erased=erased, still_open=still_open)

    def _check(self, email_id: str) -> None:
        email = load_email(self.store, email_id, owner=None)
        keep = self.policy.keep_email
        erased_whole(email, now=self.clock.now(), keep_email=keep)

    def _addressed_to(self, addr_spec: str, owner: str | None) -> Iterator[str]:
        after: str | None = None
        while True:
            ids = self.erasure.addressed_to(
                addr_spec, owner=owner, after=after, limit=SLICE
            )
            yield from ids
            if len(ids) < SLICE:
                return
            after = ids[-1]
