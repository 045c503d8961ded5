"""Which of the messages that a process has fetched goes first."""

from __future__ import annotations

from ..domain.email import Priority

#: Dramatiq's numbers: the lowest goes first. Actors without one have 0.
ORDER = {Priority.HIGH: 0, Priority.NORMAL: 10, Priority.LOW: 20}
