"""What erasing old email needs of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from .change import Change
from .email import Email


class Retention(Protocol):
    """Old email in the store. Open email is out of its reach, whatever its age.

    Several processes may use it at once. Everything here raises
    ``StoreUnavailableError`` when the store did not answer; what was not done then
    is found again.
    """

    def final_before(self, instant: datetime, *, limit: int) -> Sequence[Email]:
        """Return emails that are final since ``instant`` or longer, oldest first.

        They come without their content; those whose content is erased do not come.
        """
        ...

    def erase(self, changes: Sequence[Change]) -> int:
        """Write those changes whose guard holds; remove bodies and attachments.

        Args:
            changes: As `postroom.domain.retention.erased` makes them, of one email
                each.

        Returns:
            How many were written. The others' emails were changed by somebody else.
        """
        ...

    def remove_expired(self, now: datetime, *, limit: int) -> int:
        """Remove records whose ``expires_at`` has come, and return how many.

        The ledger's lines of the hours in which they were accepted go first: what is
        removed on purpose must not seem to be missing.
        """
        ...

    def remove_orphans(self, before: datetime, *, limit: int) -> int:
        """Remove payloads that no email refers to, and return how many.

        Each call looks at the next ones, oldest first, and begins anew at the end.

        Args:
            before: Younger ones stay: a payload is stored before its email.
            limit: How many to look at.
        """
        ...

    def remove_keys(self, now: datetime, *, limit: int) -> int:
        """Remove idempotency keys that have been kept for long, and return how many.

        A key younger than ``KEEP_KEY`` stays, and one of whose emails one is still
        open: that is looked at again after ``LOOK_AGAIN``.

        Args:
            now: The store's time.
            limit: How many to look at.
        """
        ...
