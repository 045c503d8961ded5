"""What erasing emails on demand needs of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .change import Change


class Erasure(Protocol):
    """The content of final emails in the store, to be removed for good."""

    def erase_whole(self, change: Change) -> bool:
        """Write a change if its guard holds; remove all that the email said.

        Args:
            change: As `postroom.domain.erasure.erased_whole` makes it.

        Returns:
            Whether it is written: now, or by an earlier try whose answer was lost.
            ``False``: the email was changed by somebody else meanwhile.

        Raises:
            StoreUnavailableError: The store did not answer; it may be written.
        """
        ...

    def addressed_to(
        self,
        addr_spec: str,
        *,
        owner: str | None,
        after: str | None,
        limit: int,
    ) -> Sequence[str]:
        """Return the ids of emails with this recipient, of any kind, in order.

        Args:
            addr_spec: The address, in upper or lower case.
            owner: Whose emails; ``None`` for those of all.
            after: The id after which to go on.
            limit: How many at most.

        Raises:
            SearchTimeoutError: It was not done in its time.
            StoreUnavailableError: The store did not answer.
        """
        ...
