"""Searches that end in time, whether the store is slow or away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pymongo
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, NetworkTimeout, PyMongoError

from ..domain.errors import SearchTimeoutError, StoreUnavailableError

#: Bound on the question whether a store that was too slow is there at all, in seconds.
ANSWER_S = 1.0

T = TypeVar("T")


def within_time(
    database: Database[dict[str, Any]], bound_s: float, search: Callable[[], T]
) -> T:
    """Return what a search finds; the server is told the bound too.

    Args:
        database: Where it searches.
        bound_s: In seconds; with the question after it, a second more at most.
        search: What to do.

    Raises:
        SearchTimeoutError: It was not done in its time.
        StoreUnavailableError: The store did not answer.
    """
    try:
        with pymongo.timeout(bound_s):
            return search()
    except (ExecutionTimeout, NetworkTimeout) as ex:
        # Not every server ends a search by itself when its time is over.
        if isinstance(ex, NetworkTimeout) and not _answers(database):
            raise StoreUnavailableError("find: the store did not answer") from ex
        raise SearchTimeoutError(
            f"the search was not done in {bound_s:g} s: ask for less"
        ) from ex
    except PyMongoError as ex:
        raise StoreUnavailableError("find: the store did not answer") from ex


def _answers(database: Database[dict[str, Any]]) -> bool:
    try:
        with pymongo.timeout(ANSWER_S):
            database.command("ping")
    except PyMongoError:
        return False
    return True
