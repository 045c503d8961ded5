"""The providers as operators see them, and the orders that they may give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..domain.archive import Archive
from ..domain.errors import (
    BreakersAwayError,
    HintError,
    InvalidValueError,
    StoreError,
    UnknownProviderError,
)
from ..domain.hint import provider_of
from ..domain.inspection import BreakerPanel, SendQueues
from ..domain.ports import BreakerView, Hints


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """One provider at one moment.

    Attributes:
        parked: How many emails wait for it; ``None`` if the store did not tell.
        queued: How many messages its queues hold, in hand or delayed ones too;
            ``None`` if Redis did not tell.
    """

    name: str
    view: BreakerView
    parked: int | None
    queued: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """Look at the configured providers, and tell their breakers what to do.

    An order that lets email go again asks for the release of what is parked, as a
    probe that closes a breaker does: mail is let go no later than after a timed
    recovery.
    """

    panel: BreakerPanel
    archive: Archive
    hints: Hints
    queues: SendQueues
    names: Sequence[str]

    def __call__(self) -> tuple[ProviderStatus, ...]:
        """Return all configured providers, in order of preference.

        Raises:
            BreakersAwayError: Redis is away: no process knows what the others see.
        """
        # All breakers first: a store that is away takes its time to be found so.
        views = [self._view(name) for name in self.names]
        parked, queued = self._all_parked(), self._all_queued()
        return tuple(
            ProviderStatus(
                name=name,
                view=view,
                parked=parked.get(name),
                queued=queued.get(name),
            )
            for name, view in zip(self.names, views, strict=True)
        )

    def trip(self, name: str) -> ProviderStatus:
        """Open a provider's breaker: its mail goes elsewhere until a probe succeeds.

        Raises:
            UnknownProviderError: It is not configured. The same goes for the others.
            BreakersAwayError: Redis is away: no other process would hear of it.
        """
        return self._order(name, self.panel.trip)

    def reset(self, name: str) -> ProviderStatus:
        """Close a provider's breaker, end its pause, and let its parked mail go."""
        return self._order(name, self.panel.reset, lets_go=True)

    def drain(self, name: str) -> ProviderStatus:
        """Give a provider no more mail until it is resumed."""
        return self._order(name, self.panel.drain)

    def resume(self, name: str) -> ProviderStatus:
        """Take a drained or paused provider into use, and let its parked mail go."""
        return self._order(name, self.panel.resume, lets_go=True)

    def forget(self, name: str) -> int:
        """Throw away the messages of a provider that is gone; no email goes with them.

        Its emails are in the store, and are offered to other providers when due.

        Returns:
            How many messages there were.

        Raises:
            InvalidValueError: It is configured.
            BreakersAwayError: Redis is away.
        """
        if name in self.names:
            raise InvalidValueError(
                f"{name} is in POSTROOM_PROVIDERS: its messages are in use"
            )
        count = self.queues.clear(name)
        if count is None:
            raise BreakersAwayError("Redis is away: the order was not taken")
        return count

    def _order(
        self,
        name: str,
        order: Callable[[str], bool],
        *,
        lets_go: bool = False,
    ) -> ProviderStatus:
        if name not in self.names:
            raise UnknownProviderError(name, known=self.names)
        if not order(name):
            raise BreakersAwayError("Redis is away: the order was not taken")
        if lets_go:
            self._release(name)
        parked, queued = self._parked(name), self._all_queued()
        view = self._view(name)
        return ProviderStatus(
            name=name, view=view, parked=parked, queued=queued.get(name)
        )

    def _release(self, name: str) -> None:
        try:
            self.hints.release(name)
        except HintError:
            return  # the sweep releases what is parked for a healthy provider

    def _view(self, name: str) -> BreakerView:
        view = self.panel.view(name)
        if not self.panel.is_shared:
            raise BreakersAwayError("Redis is away: the breakers cannot be read")
        return view

    def _all_queued(self) -> Mapping[str, int]:
        """Return how many messages the queues of each hold, as far as Redis tells."""
        backlog = self.queues.backlog()
        if backlog is None:
            return {}
        return {
            name: sum(
                count for queue, count in backlog.items() if provider_of(queue) == name
            )
            for name in self.names
        }

    def _all_parked(self) -> Mapping[str, int]:
        """Return how many emails are parked for each, as far as the store tells."""
        parked: dict[str, int] = {}
        for name in self.names:
            count = self._parked(name)
            if count is None:
                break  # the next question would only wait as long
            parked[name] = count
        return parked

    def _parked(self, name: str) -> int | None:
        try:
            return self.archive.parked_count(name)
        except StoreError:
            return None
