"""The emails in MongoDB as people look for them; nothing here writes.

Dead letters have an index of their own, which holds nothing else. All other emails have
none but those of the protocol, because an index over all of them would cost every write
of every email: a list is read in the order of `_id` from its newest end, and what does
not fit is passed over, within `SEARCH_S`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo.collection import Collection
from pymongo.database import Database

from ..domain.archive import Counts, DeadLetters, Found, Page, Query
from ..domain.email import RecipientState, State
from .mongo_search import within_time
from .mongo_store import NO_CONTENT, Document, readable

#: Bound on one search, in seconds; the server is told it too.
SEARCH_S = 5.0

#: Ids begin with the time of the machine that accepted the email, `created_at` is the
#: store's: a search by time trusts an id within this.
ID_SLACK = timedelta(days=1)

_STATES = {state.value: state for state in State}

T = TypeVar("T")


class MongoArchive:
    """Implements ``Archive`` over the collection ``emails``."""

    def __init__(self, database: Database[Document]) -> None:
        options: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
        self._emails: Collection[Document] = database.get_collection(
            "emails", codec_options=options
        )

    def find(self, query: Query, page: Page) -> Found:
        """Return the emails that fit, newest first; see ``Archive.find``."""
        wanted = {"$and": [to_query(query), _beyond(page)]}
        order = 1 if page.before is not None else -1

        def search() -> list[Document]:
            found = self._emails.find(wanted, NO_CONTENT).sort("_id", order)
            return list(found.limit(page.limit + 1))

        documents = self._within_time(search)
        shown = documents[: page.limit][::-order]
        return Found(
            emails=tuple(readable(shown)), has_more=len(documents) > page.limit
        )

    def counts(self) -> Counts:
        """Count all emails; it reads the whole collection."""
        is_open = {"$ifNull": ["$due_at", False]}
        key = {"state": "$state", "open": {"$ne": [is_open, False]}}
        pipeline = [{"$group": {"_id": key, "count": {"$sum": 1}}}]
        by_state: dict[State, int] = {}
        held = 0
        for group in self._aggregate(pipeline):
            state = _STATES.get(group["_id"]["state"])
            if state is None:
                continue  # a newer release's word, rolled back since
            by_state[state] = by_state.get(state, 0) + group["count"]
            if state is State.UNKNOWN and not group["_id"]["open"]:
                held = group["count"]
        return Counts(by_state=by_state, held=held)

    def dead_letters(
        self,
        query: DeadLetters,
        *,
        limit: int,
        oldest_first: bool = False,
    ) -> Found:
        """Return the dead letters that fit; see ``Archive.dead_letters``."""
        way = 1 if oldest_first else -1
        pipeline = [
            *dead_stages(query),
            {"$sort": {"dead_at": way, "_id": way}},
            {"$limit": limit + 1},
            {"$project": NO_CONTENT},
        ]
        documents = self._aggregate(pipeline)
        return Found(
            emails=tuple(readable(documents[:limit])), has_more=len(documents) > limit
        )

    def dead_count(self, query: DeadLetters) -> int:
        """Count the dead letters that fit, by their index."""
        counted = self._aggregate([*dead_stages(query), {"$count": "count"}])
        return counted[0]["count"] if counted else 0

    def parked_count(self, provider: str) -> int:
        """Count the emails that are parked for a provider, by an index."""
        query = {"parked_for": provider}
        return self._within_time(lambda: self._emails.count_documents(query))

    def _aggregate(self, pipeline: list[Document]) -> list[Document]:
        return self._within_time(lambda: list(self._emails.aggregate(pipeline)))

    def _within_time(self, search: Callable[[], T]) -> T:
        return within_time(self._emails.database, SEARCH_S, search)


def to_query(query: Query) -> dict[str, Any]:
    """Return a query as a filter; ``Query.admits`` says what it must find."""
    parts: dict[str, Any] = {}
    if query.state is not None:
        parts["state"] = query.state.value
    if query.to is not None:
        pattern = f"^{re.escape(query.to)}$"
        parts["recipients.addr_spec"] = {"$regex": pattern, "$options": "i"}
    if query.tag is not None:
        tag = {"name": query.tag}
        if query.tag_value is not None:
            tag["value"] = query.tag_value
        parts["tags"] = {"$elemMatch": tag}
    if query.provider is not None:
        parts["$or"] = _of_provider(query.provider)
    return parts | _accepted(query.created_after, query.created_before)


def dead_stages(query: DeadLetters) -> list[Document]:
    """Return the first stages of a pipeline; see ``DeadLetters.admits``.

    The part that the index answers stands alone: the embedded server does not see it
    beside an ``$or``.
    """
    since = {"$exists": True} if query.since is None else {"$gte": query.since}
    stages: list[Document] = [{"$match": {"dead_at": since}}]
    if query.reason is not None:
        refused = {"state": RecipientState.REFUSED.value, "code": query.reason}
        one_was = {"recipients": {"$elemMatch": refused}}
        stages.append({"$match": {"$or": [{"reason": query.reason}, one_was]}})
    if query.provider is not None:
        stages.append({"$match": {"$or": _of_provider(query.provider)}})
    return stages


def _of_provider(name: str) -> list[dict[str, Any]]:
    return [{field: name} for field in ("provider", "parked_for", "attempts.provider")]


def _accepted(after: datetime | None, before: datetime | None) -> dict[str, Any]:
    """Return when it was accepted, and roughly the same of the id, which is read by."""
    times: dict[str, Any] = {}
    ids: dict[str, Any] = {}
    if after is not None:
        times["$gte"], ids["$gte"] = after, _id_at(after, -ID_SLACK)
    if before is not None:
        times["$lt"], ids["$lt"] = before, _id_at(before, ID_SLACK)
    return {"created_at": times, "_id": ids} if times else {}


def _id_at(instant: datetime, slack: timedelta) -> ObjectId:
    """Return the first id of a second; an id counts those from 1970 to 2106."""
    second = int(instant.timestamp() + slack.total_seconds())
    return ObjectId(f"{min(max(second, 0), 0xFFFFFFFF):08x}{0:016x}")


def _beyond(page: Page) -> Mapping[str, Any]:
    if page.after is not None:
        return {"_id": {"$lt": ObjectId(page.after)}}
    if page.before is not None:
        return {"_id": {"$gt": ObjectId(page.before)}}
    return {}
