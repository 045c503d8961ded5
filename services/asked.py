"""What a process has asked for lately, so that it does not ask again at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..domain.email import Email

#: It is emptied when it has more than this: then some are asked for twice.
MOST = 50_000


@dataclass(slots=True)
class Asked:
    """Remembers emails as they were when they were asked for."""

    _at: dict[tuple[str, int], datetime] = field(default_factory=dict)

    def new(
        self, emails: Iterable[Email], *, now: datetime, grace: timedelta
    ) -> list[Email]:
        """Return those that were not asked for within ``grace``, as they are now."""
        return [
            email
            for email in emails
            if (at := self._at.get(_key(email))) is None or now - at >= grace
        ]

    def note(self, emails: Iterable[Email], *, now: datetime) -> None:
        """Note that they are asked for."""
        if len(self._at) > MOST:
            self.forget()
        for email in emails:
            self._at[_key(email)] = now

    def forget(self) -> None:
        """Ask for all of them again."""
        self._at.clear()


def _key(email: Email) -> tuple[str, int]:
    """Return what differs as soon as somebody has settled it."""
    return email.email_id, email.fence
