"""The in-memory twin of erasure, over the twin of the store."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.change import Change
from .memory_retention import MemoryRetention


class MemoryErasure(MemoryRetention):
    """Implements ``Erasure``, and what `MemoryRetention` does."""

    def erase_whole(self, change: Change) -> bool:
        """Write a change if its guard holds, with nothing of what was said."""
        with self._lock:
            stored = self._emails.get(change.email_id)
            if stored is None:
                return False
            if not change.guard.admits(stored):
                return change.is_in(stored)
            self._emails[change.email_id] = change.after
            self.payloads.pop(change.email_id, None)
            return True

    def addressed_to(
        self,
        addr_spec: str,
        *,
        owner: str | None,
        after: str | None,
        limit: int,
    ) -> Sequence[str]:
        """Return the ids of emails with this recipient, in order."""
        wanted = addr_spec.lower()
        ids = sorted(
            email.email_id
            for email in self.all()
            if owner in {None, email.owner}
            and any(each.addr_spec.lower() == wanted for each in email.recipients)
        )
        return [each for each in ids if after is None or each > after][:limit]
