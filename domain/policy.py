"""The numbers that an operator may set, as the domain reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: A wait up to this is slept in the queue; a longer one is left to the sweep.
LONGEST_HINT_DELAY = timedelta(seconds=60)

#: A hint this early puts itself back; an earlier one is dropped.
EARLY_HINT = timedelta(seconds=60)

#: A provider's own Retry-After counts up to this: no header may park mail for a day.
LONGEST_RETRY_AFTER = timedelta(hours=1)

#: Parked mail and repeated offers are looked at again after at most this.
LONGEST_OFFER_WAIT = timedelta(minutes=15)

#: How long a provider's refusal of a From domain is remembered.
SENDER_MEMORY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits and waits of the delivery protocol.

    Attributes:
        lease: How long a claim holds. At least twice ``timeout`` and 10 s more
            outside development.
        timeout: A bound on one whole call to a provider.
        max_attempts: Attempts at one provider in the first round of an email.
        retry_first: The first back-off; each further one doubles.
        retry_max: The longest back-off.
        max_age: An email older than this fails as ``expired``.
        unknown_grace: How long an unknown attempt waits to be settled from outside.
        max_unknown: Most times that an unknown email is sent again before it is held.
        sweep_grace: How long a hint has before the sweep offers the email again.
        keep_body: How long a final email keeps its bodies and attachments.
        keep_email: How long its record is kept, at least as long.
    """

    lease: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(seconds=15)
    max_attempts: int = 3
    retry_first: timedelta = timedelta(seconds=2)
    retry_max: timedelta = timedelta(seconds=300)
    max_age: timedelta = timedelta(hours=24)
    unknown_grace: timedelta = timedelta(seconds=30)
    max_unknown: int = 3
    sweep_grace: timedelta = timedelta(seconds=60)
    keep_body: timedelta = timedelta(days=30)
    keep_email: timedelta = timedelta(days=400)

    @property
    def safe_lease(self) -> timedelta:
        """The least lease that a slow call cannot outlive."""
        return 2 * self.timeout + timedelta(seconds=10)
