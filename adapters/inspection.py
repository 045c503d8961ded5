"""Looks at the two servers for the operators' `doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import redis
from bson import ObjectId
from pymongo import ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from ..domain.inspection import PATIENT, RedisFacts, StoreFacts
from .mongo_store import INDEXES, Document

_DURABLE = WriteConcern(w="majority", j=True)


class ServerInspector:
    """Implements ``Inspector`` over the drivers.

    Args:
        database: Of the emails.
        client: With a timeout of a few seconds.
    """

    def __init__(self, database: Database[Document], client: redis.Redis) -> None:
        self._database = database
        self._client = client

    def store(self, *, patience: timedelta = PATIENT) -> StoreFacts | None:
        """Return how MongoDB is; see ``Inspector.store``."""
        try:
            # Not longer in all, and in this order: what is away is found out first.
            with pymongo.timeout(patience.total_seconds()):
                return self._facts()
        except PyMongoError:
            return None

    def _facts(self) -> StoreFacts:
        hello, offset = self._hello()
        version = self._ask("buildInfo")["version"]
        missing = self._missing_indexes()
        is_writable = bool(hello.get("isWritablePrimary")) and self._takes_writes()
        written = self._database.write_concern.document
        is_durable = written.get("w") == "majority" and written.get("j") is True
        return StoreFacts(
            version=str(version),
            writable=is_writable,
            durable=is_durable,
            replica_set=hello.get("setName"),
            # Not tried where no write is confirmed: that would only take as long.
            transactions=is_writable and self._commits(),
            missing_indexes=missing,
            offset=offset,
            usable_keys=self._count_keys({"revoked_at": None}),
            revoked_keys=self._count_keys({"revoked_at": {"$ne": None}}),
        )

    def redis(self) -> RedisFacts | None:
        """Return how Redis is; see ``Inspector.redis``."""
        try:
            info: dict[str, Any] = self._client.info()
        except (RedisError, OSError):
            return None
        append_only = info.get("aof_enabled")
        return RedisFacts(
            version=str(info.get("redis_version", "unknown")),
            eviction_policy=info.get("maxmemory_policy"),
            append_only=None if append_only is None else bool(append_only),
            memory_used=_memory_used(info),
            is_replica=info.get("role") in {"slave", "replica"},
        )

    def _hello(self) -> tuple[Mapping[str, Any], timedelta]:
        """Return its greeting, and how far our date is ahead of its own."""
        before = datetime.now(UTC)  # noqa: TID251 - to compare it with the server's
        hello = self._ask("hello")
        after = datetime.now(UTC)  # noqa: TID251 - as above
        server: datetime = hello["localTime"]
        middle = before + (after - before) / 2
        return hello, middle - server.replace(tzinfo=UTC)

    def _ask(self, command: str) -> Mapping[str, Any]:
        # Also of a set that has no primary just now: that is what we want to hear.
        anybody = ReadPreference.PRIMARY_PREFERRED
        return self._database.client.admin.command(command, read_preference=anybody)

    def _missing_indexes(self) -> tuple[str, ...]:
        anybody = ReadPreference.PRIMARY_PREFERRED
        missing: list[str] = []
        for name, indexes in INDEXES.items():
            collection = self._database.get_collection(name, read_preference=anybody)
            there = collection.index_information()
            missing += [index for index in indexes if index not in there]
        return tuple(missing)

    def _count_keys(self, query: Mapping[str, Any]) -> int:
        anybody = ReadPreference.PRIMARY_PREFERRED
        keys = self._database.get_collection("api_keys", read_preference=anybody)
        return keys.count_documents(query)

    def _takes_writes(self) -> bool:
        """Try a write that no email fits: rights, majority and journal included."""
        try:
            self._change_nothing()
        except PyMongoError:
            return False
        return True

    def _commits(self) -> bool:
        try:
            with (
                self._database.client.start_session() as session,
                session.start_transaction(write_concern=_DURABLE),
            ):
                self._change_nothing(session)
        except PyMongoError:
            return False
        return True

    def _change_nothing(self, session: ClientSession | None = None) -> None:
        emails = self._database.get_collection(
            "emails", write_concern=None if session else _DURABLE
        )
        emails.update_one({"_id": ObjectId()}, {"$set": {"v": 0}}, session=session)


def _memory_used(info: Mapping[str, Any]) -> float | None:
    bound = int(info.get("maxmemory") or 0)
    return int(info.get("used_memory", 0)) / bound if bound else None
