"""Erase what is old: the bodies of final email, later its record, and orphans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ..domain.policy import Policy
from ..domain.ports import Clock
from ..domain.ports_retention import Retention
from ..domain.retention import erased

#: Emails of one slice.
SLICE = 500

#: A run begins no further slice after this long; the next run goes on from there. So
#: a backlog of years, as after a change of the settings, leaves the store room.
LONGEST_RUN = timedelta(seconds=60)

#: A payload without an email is kept for this long. Its email follows within seconds
#: or never.
ORPHAN_AGE = timedelta(days=1)

#: Payloads that one run looks at.
PAYLOADS = 2_000

#: Idempotency keys that one run looks at, in one slice.
KEYS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What one run did, in counts.

    Attributes:
        erased: Emails that lost their bodies.
        removed: Records that went.
        orphans: Payloads that belonged to no email.
        keys: Idempotency keys that went.
    """

    erased: int = 0
    removed: int = 0
    orphans: int = 0
    keys: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retain:
    """Keep email no longer than the policy says. Harmless beside others of its kind."""

    retention: Retention
    clock: Clock
    policy: Policy

    def __call__(self) -> Retained:
        """Erase and remove, slice by slice, until nothing is left or time is up.

        Raises:
            StoreUnavailableError: The store did not answer; the next run goes on.
            ClockUnsureError: The store's time has not been seen lately.
        """
        end = self.clock.monotonic() + LONGEST_RUN.total_seconds()
        erased_count = removed = 0
        while True:
            bodies = self._erase()
            records = self.retention.remove_expired(self.clock.now(), limit=SLICE)
            erased_count += bodies
            removed += records
            # What others change at the same time may keep a slice from being full;
            # one in which nothing could be done is the last.
            if not (bodies or records) or self.clock.monotonic() >= end:
                break
        before = self.clock.now() - ORPHAN_AGE
        orphans = self.retention.remove_orphans(before, limit=PAYLOADS)
        return Retained(
            erased=erased_count,
            removed=removed,
            orphans=orphans,
            keys=self._remove_keys(end),
        )

    def _remove_keys(self, end: float) -> int:
        """Remove old keys, slice by slice, until nothing is left or time is up."""
        removed = 0
        while True:
            some = self.retention.remove_keys(self.clock.now(), limit=KEYS)
            removed += some
            if not some or self.clock.monotonic() >= end:
                return removed

    def _erase(self) -> int:
        now = self.clock.now()
        old = self.retention.final_before(now - self.policy.keep_body, limit=SLICE)
        keep = self.policy.keep_email
        return self.retention.erase(
            [erased(email, now=now, keep_email=keep) for email in old]
        )
