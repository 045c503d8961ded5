"""Randomness and new ids."""

from __future__ import annotations

import random  # noqa: TID251 - the one place that draws
import secrets

from bson import ObjectId


class SystemChance:
    """`postroom.domain.ports.Chance` of a running process.

    Safe over a fork: Python seeds `random` anew in the child, and `ObjectId` draws
    another machine part there.
    """

    def jitter(self) -> float:
        """Return a draw from [0, 1), for spreading only."""
        return random.random()  # noqa: S311 - nobody gains by guessing a delay

    def email_id(self) -> str:
        """Return a new ObjectId, as 24 hexadecimal digits."""
        return str(ObjectId())

    def attempt_id(self) -> str:
        """Return 128 bits that nobody can have guessed, as hexadecimal digits."""
        return secrets.token_hex(16)


class SeededChance:
    """The twin for tests: the same seed draws the same."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def jitter(self) -> float:
        """Return the next draw from [0, 1)."""
        return self._random.random()

    def email_id(self) -> str:
        """Return the next 24 hexadecimal digits."""
        return f"{self._random.getrandbits(96):024x}"

    def attempt_id(self) -> str:
        """Return the next 32 hexadecimal digits."""
        return f"{self._random.getrandbits(128):032x}"
