"""The accounts of all email in MongoDB, read without touching more than they need.

What is stored is counted by the index of ``_id`` alone. What is not final is found by
`due` and `untimed`, which hold nothing else. Only the operator's check for
contradictions reads the emails of its hours one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from bson import ObjectId
from pymongo import ReadPreference
from pymongo.database import Database

from ..domain.conservation import (
    Condition,
    Contradiction,
    Group,
    start_of_hour,
)
from ..domain.email import CLAIMABLE, FINAL_STATES, State
from ..domain.interventions import MARKED_SENT
from ..domain.outcome import OutcomeWord
from .mongo_search import within_time
from .mongo_store import UNTIMED, Document, durable

#: Earlier than any email: a range, so that an index serves what any value fits.
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_FINAL_WORDS = sorted(state.value for state in FINAL_STATES)
_CLAIMABLE_WORDS = sorted(state.value for state in CLAIMABLE)

#: The hour of an email's id.
_HOUR = {"$dateTrunc": {"date": {"$toDate": "$_id"}, "unit": "hour"}}

#: What each contradiction looks like; ``contradiction_of`` says what it is.
CONTRADICTIONS: Mapping[Contradiction, Mapping[str, Any]] = {
    Contradiction.OPEN_WITHOUT_TIME: {
        "due_at": None,
        "state": {"$nin": [*_FINAL_WORDS, State.UNKNOWN.value]},
    },
    Contradiction.FINAL_WITH_TIME: {
        "due_at": {"$gt": _EVER},
        "state": {"$in": _FINAL_WORDS},
    },
    Contradiction.NEVER_CLAIMABLE: {
        "not_before": None,
        "state": {"$in": _CLAIMABLE_WORDS},
    },
    Contradiction.SENDING_WITHOUT_ATTEMPT: {
        "state": State.SENDING.value,
        "attempts": {"$size": 0},
    },
    Contradiction.SENT_WITHOUT_ACCEPTANCE: {
        "state": State.SENT.value,
        "attempts.outcome": {"$ne": OutcomeWord.ACCEPTED.value},
        "reason": {"$ne": MARKED_SENT},
        "redrives": {"$in": [None, 0]},
    },
}

T = TypeVar("T")


class MongoBooks:
    """Implements ``Books`` over the collections ``ledger`` and ``emails``."""

    def __init__(self, database: Database[Document], *, bound_s: float) -> None:
        """Read from now on.

        Args:
            database: That of the emails.
            bound_s: Bound on one search, in seconds.
        """
        # From the primary, whatever the URI says: one that lags behind would have the
        # ledger's line and not yet the email.
        self._database = durable(database).with_options(
            read_preference=ReadPreference.PRIMARY
        )
        self._emails = self._database["emails"]
        self._ledger = self._database["ledger"]
        self._bound_s = bound_s

    def bounded(self, bound_s: float) -> MongoBooks:
        """Return the same books with another bound."""
        return MongoBooks(self._database, bound_s=bound_s)

    def accepted(self, since: datetime) -> Mapping[datetime, int]:
        """Add the lines of the ledger up; see ``Books.accepted``."""
        group = {"_id": "$hour", "count": {"$sum": "$accepted"}}
        recent = {"hour": {"$gte": since}}
        pipeline: list[Document] = [{"$match": recent}, {"$group": group}]
        lines = self._within_time(lambda: list(self._ledger.aggregate(pipeline)))
        return {_in_utc(line["_id"]): line["count"] for line in lines}

    def stored(self, since: datetime) -> Mapping[datetime, int]:
        """Count the ids; see ``Books.stored``."""
        group = {"_id": _HOUR, "count": {"$sum": 1}}
        pipeline: list[Document] = [{"$match": _made(since)}, {"$group": group}]
        hours = self._within_time(lambda: list(self._emails.aggregate(pipeline)))
        return {_in_utc(hour["_id"]): hour["count"] for hour in hours}

    def unsettled(self) -> Sequence[Group]:
        """Group what the two indexes hold; see ``Books.unsettled``."""
        timed = self._grouped({"due_at": {"$gt": _EVER}})
        untimed = self._grouped({"created_at": {"$gt": _EVER}, **UNTIMED})
        return [
            *_groups(timed, _timed_condition),
            *_groups(untimed, _untimed_condition),
        ]

    def oldest_due(self, before: datetime) -> datetime | None:
        """Return the earliest time; see ``Books.oldest_due``."""
        may_be_claimed = {
            "$and": [
                {"$in": ["$state", _CLAIMABLE_WORDS]},
                {"$eq": [{"$ifNull": ["$parked_for", []]}, []]},
            ]
        }
        since = {"$ifNull": ["$not_before", "$due_at"]}
        due = {"$cond": [may_be_claimed, since, "$due_at"]}
        pipeline: list[Document] = [
            {"$match": {"due_at": {"$lte": before}, "state": {"$nin": _FINAL_WORDS}}},
            {"$group": {"_id": None, "first": {"$min": due}}},
        ]
        found = self._within_time(lambda: list(self._emails.aggregate(pipeline)))
        return _in_utc(found[0]["first"]) if found else None

    def contradictions(
        self, since: datetime, *, limit: int
    ) -> Sequence[tuple[str, Contradiction]]:
        """Read the emails of these hours; see ``Books.contradictions``."""
        found: dict[str, Contradiction] = {}
        for contradiction, looks_like in CONTRADICTIONS.items():
            query = {"$and": [_made(since), looks_like]}
            search = self._emails.find(query, {"_id": 1}).sort("_id", 1).limit(limit)
            documents = self._within_time(search.to_list)
            for document in documents:
                found.setdefault(str(document["_id"]), contradiction)
        return sorted(found.items())[:limit]

    def _grouped(self, query: Mapping[str, Any]) -> list[Document]:
        key = {"hour": _HOUR, "state": "$state"}
        pipeline: list[Document] = [
            {"$match": query},
            {"$group": {"_id": key, "count": {"$sum": 1}}},
        ]
        return self._within_time(lambda: list(self._emails.aggregate(pipeline)))

    def _within_time(self, search: Callable[[], T]) -> T:
        return within_time(self._database, self._bound_s, search)


def _groups(
    grouped: Iterable[Document], condition: Callable[[str], Condition | None]
) -> Iterable[Group]:
    for group in grouped:
        state = group["_id"]["state"]
        found = condition(state)
        if found is not None:
            yield Group(
                hour=_in_utc(group["_id"]["hour"]),
                state=state,
                condition=found,
                count=group["count"],
            )


def _timed_condition(state: str) -> Condition:
    return Condition.ASTRAY if state in _FINAL_WORDS else Condition.OPEN


def _untimed_condition(state: str) -> Condition | None:
    if state in _FINAL_WORDS:
        return (
            None  # final all the same; retention does not find it, which harms nobody
        )
    return Condition.HELD if state == State.UNKNOWN else Condition.ASTRAY


def _made(since: datetime) -> Mapping[str, Any]:
    """Return which ids were made from the beginning of an hour on."""
    second = max(0, int(start_of_hour(since).timestamp()))
    return {"_id": {"$gte": ObjectId(f"{second:08x}{0:016x}")}}


def _in_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
