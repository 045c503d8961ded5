"""What a relay says of single recipients, put together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ...domain.outcome import RecipientRefusal, RefusalKind, Refused
from .answers import scrub
from .smtp_answers import Reply, Row, Stage, meaning, refused
from .smtp_message import Mailbox

#: Of two refusals that are for more than a recipient, the one that is for more emails.
_WIDEST = (RefusalKind.ACCOUNT, RefusalKind.SENDER, RefusalKind.TRANSIENT)


class Refusals:
    """The refused recipients of one transaction."""

    def __init__(self, *, hidden: Iterable[str] = ()) -> None:
        """Begin with none; ``hidden``: what must never be shown."""
        self._hidden = tuple(hidden)
        self._noted: list[tuple[Mailbox, Reply, Row]] = []

    def note(self, mailbox: Mailbox, reply: Reply) -> bool:
        """Note what the relay says of a recipient; return whether that is a no."""
        if reply.is_negative:
            self._noted.append((mailbox, reply, meaning(Stage.RCPT, reply)))
        return reply.is_negative

    def are_all_of(self, mailboxes: Collection[Mailbox]) -> bool:
        """Return whether nobody is left."""
        return len(self._noted) == len(mailboxes)

    @property
    def told(self) -> tuple[RecipientRefusal, ...]:
        """Each refused recipient, while others were not.

        What is not about the recipient (the relay does not carry this From to there, it
        limits our rate) leaves the recipient as good as before: ``TRANSIENT``.
        """
        return self._of(self._noted)

    def outcome(self) -> Refused:
        """Return what it means that all were refused.

        An answer that is not about its recipient is the outcome, for all that got
        such a one; what was said of the others goes with it.
        """
        wide = [one for one in self._noted if not one[2].is_about_recipient]
        if wide:
            found = min(wide, key=lambda one: _WIDEST.index(one[2].kind))
            own = [one for one in self._noted if one[2].is_about_recipient]
            refusal = refused(Stage.RCPT, found[1], hidden=self._hidden)
            return replace(refusal, refused=self._of(own))
        for_now = [o for o in self._noted if o[2].kind is RefusalKind.TRANSIENT]
        _, reply, _ = (for_now or self._noted)[0]
        refusal = refused(Stage.RCPT, reply, hidden=self._hidden)
        return replace(refusal, refused=self.told)

    def besides(self, refusal: Refused) -> Refused:
        """Return a refusal of the others, with what was said of these."""
        return replace(refusal, refused=self.told)

    def _of(
        self, noted: Iterable[tuple[Mailbox, Reply, Row]]
    ) -> tuple[RecipientRefusal, ...]:
        return tuple(
            RecipientRefusal(
                index=position,
                kind=row.kind if row.is_about_recipient else RefusalKind.TRANSIENT,
                code=reply.text,
                detail=scrub(reply.words, hidden=self._hidden),
            )
            for mailbox, reply, row in noted
            for position in mailbox.positions
        )
