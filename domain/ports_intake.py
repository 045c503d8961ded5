"""What accepting several emails at once, or under a key, needs of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .email import Email
from .idempotency import Receipt


class Intake(Protocol):
    """The door of the store for what must come in together, or not at all."""

    def recall(self, name: str) -> Receipt | None:
        """Return what is kept under a key, as a majority has it, within a second.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        ...

    def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
        """Store new emails and their receipt: all of it, or nothing.

        Args:
            emails: At least one.
            receipt: Without a key nobody can recall it.

        Returns:
            The same receipt, once all of it is durable on a majority. Another one if
            another request came first with the same key: nothing of this is stored.

        Raises:
            NoTransactionsError: The store cannot do so; nothing is stored.
            KeyInUseError: Another request has the key in hand; nothing is stored.
            NotStoredError: Nothing is stored, that is known.
            StorageUnsureError: Nobody could find out within its budget, of which a
                key, which was looked for before, has used up a part.
        """
        ...
