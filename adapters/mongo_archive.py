"""The emails in MongoDB as people look for them; nothing here writes.

One owner's emails are found by an index for each filter, of owner, filter and `_id`: a
page is read in order from where it begins, and nothing else is read
(docs/adr/0044-lists-by-index.md). An operator's search over all owners has none: it
goes in the order of `_id` from the newest end and passes over what does not fit, within
`SEARCH_S`. Dead letters have indexes of their own, which hold nothing else.
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
from .mongo_codec import LARGE_FIELDS, recipient_label, tag_label
from .mongo_search import within_time
from .mongo_store import ATTEMPTED, Document, readable

#: Bound on one search, in seconds; the server is told it too.
SEARCH_S = 5.0

#: Ids begin with the time of the machine that accepted the email, `created_at` is the
#: store's: a search by time trusts an id within this.
ID_SLACK = timedelta(hours=1)

#: The index that serves each filter of one owner's list, and the field that it is of;
#: the times go with any of them, since `_id` is the last part of each.
SERVED_BY: Mapping[str, tuple[str, str | None]] = {
    "": ("owned", None),
    "state": ("owned_state", "state"),
    "to": ("owned_label", "labels"),
    "tag": ("owned_label", "labels"),
    "attempted": ("owned_attempts", "attempts.provider"),
}

#: What a list does not show, and what would be much to read.
_NO_BODIES = dict.fromkeys((*LARGE_FIELDS, "payload", "labels"), 0)

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
        return self._page(to_query(query), page)

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
            {"$project": _NO_BODIES},
        ]
        documents = self._aggregate(pipeline)
        return Found(
            emails=tuple(readable(documents[:limit])), has_more=len(documents) > limit
        )

    def dead_page(self, query: DeadLetters, page: Page) -> Found:
        """Return a page of the dead letters that fit; see ``Archive.dead_page``."""
        parts = [stage["$match"] for stage in dead_stages(query)]
        return self._page({"$and": parts}, page)

    def dead_count(self, query: DeadLetters) -> int:
        """Count the dead letters that fit, by their index."""
        counted = self._aggregate([*dead_stages(query), {"$count": "count"}])
        return counted[0]["count"] if counted else 0

    def parked_count(self, provider: str) -> int:
        """Count the emails that are parked for a provider, by an index."""
        query = {"parked_for": provider}
        return self._within_time(lambda: self._emails.count_documents(query))

    def _page(self, query: Document, page: Page) -> Found:
        wanted = {"$and": [query, _beyond(page)]}
        order = 1 if page.before is not None else -1

        def search() -> list[Document]:
            found = self._emails.find(wanted, _NO_BODIES).sort("_id", order)
            return list(found.limit(page.limit + 1))

        documents = self._within_time(search)
        shown = documents[: page.limit][::-order]
        return Found(
            emails=tuple(readable(shown)), has_more=len(documents) > page.limit
        )

    def _aggregate(self, pipeline: list[Document]) -> list[Document]:
        return self._within_time(lambda: list(self._emails.aggregate(pipeline)))

    def _within_time(self, search: Callable[[], T]) -> T:
        return within_time(self._emails.database, SEARCH_S, search)


def to_query(query: Query) -> dict[str, Any]:
    """Return a query as a filter; ``Query.admits`` says what it must find."""
    parts: dict[str, Any] = {}
    if query.owner is not None:
        parts["owner"] = query.owner
    if query.state is not None:
        parts["state"] = query.state.value
    parts |= _labelled(query) if query.owner is not None else _described(query)
    if query.attempted is not None:
        parts |= {"attempts.provider": query.attempted, **ATTEMPTED}
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
    if query.owner is not None:
        stages[0]["$match"]["owner"] = query.owner
    if query.reason is not None:
        refused = {"state": RecipientState.REFUSED.value, "code": query.reason}
        one_was = {"recipients": {"$elemMatch": refused}}
        stages.append({"$match": {"$or": [{"reason": query.reason}, one_was]}})
    if query.provider is not None:
        stages.append({"$match": {"$or": _of_provider(query.provider)}})
    return stages


def _labelled(query: Query) -> dict[str, Any]:
    """Return what the labels must be: an index has them."""
    labels = []
    if query.to is not None:
        labels.append(recipient_label(query.to))
    if query.tag is not None:
        labels.append(tag_label(query.tag, query.tag_value))
    match labels:
        case []:
            return {}
        case [label]:
            return {"labels": label}
        case _:
            return {"labels": {"$all": labels}}


def _described(query: Query) -> dict[str, Any]:
    """Return the same of what is said in full, as emails without labels have it."""
    parts: dict[str, Any] = {}
    if query.to is not None:
        parts["recipients.addr_spec"] = same_address(query.to)
    if query.tag is not None:
        tag = {"name": query.tag}
        if query.tag_value is not None:
            tag["value"] = query.tag_value
        parts["tags"] = {"$elemMatch": tag}
    return parts


def same_address(addr_spec: str) -> dict[str, str]:
    """Return the condition of an address that is this one, in any case."""
    return {"$regex": f"^{re.escape(addr_spec)}$", "$options": "i"}


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
