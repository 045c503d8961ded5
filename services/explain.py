"""Explain where an email would go now, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.acceptance import NewEmail, routing_of
from ..domain.ports import BreakerBoard, Clock
from ..domain.routing import Choice, ProviderProfile, Standing, choose_provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain:
    """Ask of a new email what the router asks of every email, and store nothing.

    It is the router's own function over the same breakers, so that the two cannot
    disagree about the same moment.
    """

    clock: Clock
    board: BreakerBoard
    profiles: Sequence[ProviderProfile]

    def __call__(self, new: NewEmail) -> Choice:
        """Return where it would go now, with a verdict of every provider.

        Raises:
            ClockUnsureError: The store's time has not been seen lately.
        """
        return choose_provider(
            self.profiles,
            {each.name: self.board.health(each.name) for each in self.profiles},
            routing_of(new.content, new.recipients),
            Standing(),
            pin=new.provider,
            delivery=new.delivery,
            now=self.clock.now(),
        )
