"""What may come of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from postroom.domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    RecipientRefusal,
    RefusalKind,
    Refused,
    Unknown,
)


class Fate(NamedTuple):
    """What may come of a call.

    Attributes:
        taken: Whether the provider took the email, whatever it says.
    """

    outcome: Outcome
    taken: bool = False


def _refusal(kind: RefusalKind, code: str, *, certain: bool = True) -> Refused:
    return Refused(kind=kind, certain=certain, code=code, detail="not b@example.com")


ACCEPTED = Fate(Accepted(provider_message_id="m"), taken=True)

_TIMEOUT = Unknown(cause="timeout")
_UNSURE = _refusal(RefusalKind.TRANSIENT, "503", certain=False)
_GREYLISTED = RecipientRefusal(index=1, kind=RefusalKind.TRANSIENT, code="450")
_NOBODY = RecipientRefusal(index=1, kind=RefusalKind.PERMANENT, code="550")

#: All but the good one; each costs a fault.
FATES: Mapping[str, Fate] = {
    "unknown, taken": Fate(_TIMEOUT, taken=True),
    "unknown": Fate(_TIMEOUT),
    "unsure, taken": Fate(_UNSURE, taken=True),
    "unsure": Fate(_UNSURE),
    "not now": Fate(_refusal(RefusalKind.TRANSIENT, "429")),
    "never": Fate(_refusal(RefusalKind.PERMANENT, "550")),
    "not from you": Fate(_refusal(RefusalKind.SENDER, "403")),
    "not sent": Fate(NotSent(cause="dns")),
    "for one, the other later": Fate(
        Accepted(provider_message_id="m", refused=(_GREYLISTED,)), taken=True
    ),
    "for one, the other never": Fate(
        Accepted(provider_message_id="m", refused=(_NOBODY,)), taken=True
    ),
}

DOUBT = ("unknown, taken", "unknown", "unsure, taken", "unsure")
REFUSALS = ("not now", "never", "not from you", "not sent")
