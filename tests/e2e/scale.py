"""Two sizes of the longer fault tests: one for every run, one for `make prove`."""

from __future__ import annotations

import os
import random
from typing import TypeVar

T = TypeVar("T")

#: `PROVE=full` asks for the full size.
IS_FULL = os.environ.get("PROVE") == "full"


def scaled(*, suite: T, full: T) -> T:
    """Return which of the two sizes this run has."""
    return full if IS_FULL else suite


def a_seed() -> int:
    """Return a seed to print: `PROVE_SEED` repeats a run's choices."""
    given = os.environ.get("PROVE_SEED")
    return int(given) if given else random.randrange(10**6)  # noqa: S311 - a test's
