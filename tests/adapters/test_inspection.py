"""What the inspector sees of real servers, and of none."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis
from pymongo.database import Database

from postroom.adapters.inspection import ServerInspector
from postroom.adapters.mongo_keys import MongoKeyRing
from postroom.adapters.mongo_store import (
    INDEXES,
    MongoStore,
    connect,
    database_of,
    durable,
)
from postroom.cli.embedded import free_port
from tests.builders import NOW, a_key, seconds
from tests.servers import a_mongodb


def an_impatient_redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)


@pytest.fixture
def inspector(
    mongo_database: Database[dict[str, Any]], redis_client: redis.Redis
) -> ServerInspector:
    return ServerInspector(mongo_database, redis_client)


@pytest.fixture
def nobody() -> Iterator[ServerInspector]:
    """Give one whose servers are not there."""
    with (
        pymongo.MongoClient[dict[str, Any]](
            f"mongodb://127.0.0.1:{free_port()}", serverSelectionTimeoutMS=200
        ) as client,
        an_impatient_redis(f"redis://127.0.0.1:{free_port()}/0") as nowhere,
    ):
        yield ServerInspector(client["postroom"], nowhere)


def test_a_server_that_is_away_is_none(nobody: ServerInspector) -> None:
    assert nobody.store() is None
    assert nobody.redis() is None


def test_a_prepared_mongodb_is_seen_whole(
    inspector: ServerInspector, mongo_database: Database[dict[str, Any]]
) -> None:
    MongoStore(mongo_database).ensure_indexes()

    facts = inspector.store()

    assert facts is not None
    assert facts.writable
    assert facts.durable
    assert facts.transactions
    assert facts.version[0].isdigit()
    assert facts.missing_indexes == ()
    assert abs(facts.offset) < seconds(60)
    assert mongo_database["emails"].count_documents({}) == 0


def test_stored_keys_are_counted(
    inspector: ServerInspector, mongo_database: Database[dict[str, Any]]
) -> None:
    ring = MongoKeyRing(mongo_database)
    for number in range(3):
        ring.add(a_key(f"s{number}", key_id=f"key_{number}"))
    ring.revoke("key_0", now=NOW)

    facts = inspector.store()

    assert facts is not None
    assert (facts.usable_keys, facts.revoked_keys) == (2, 1)


def test_what_init_has_not_created_is_missing(inspector: ServerInspector) -> None:
    facts = inspector.store()

    assert facts is not None
    assert facts.missing_indexes == tuple(
        index for indexes in INDEXES.values() for index in indexes
    )


def test_every_index_that_init_creates_is_looked_for(
    mongo_database: Database[dict[str, Any]],
) -> None:
    MongoStore(mongo_database).ensure_indexes()

    created = {
        name: set(mongo_database[name].index_information()) - {"_id_"}
        for name in mongo_database.list_collection_names()
    }
    assert created == {name: set(indexes) for name, indexes in INDEXES.items()}


def test_a_mongodb_that_refuses_writes_is_seen(tmp_path: Path) -> None:
    fault = {"failCommands": ["update"], "errorCode": 13}
    with (
        a_mongodb(tmp_path, test_commands=True) as server,
        pymongo.MongoClient[dict[str, Any]](server.url, retryWrites=False) as client,
    ):
        client.admin.command(
            {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": fault}
        )

        facts = ServerInspector(client["postroom"], redis.Redis()).store()

    assert facts is not None
    assert not facts.writable
    assert not facts.transactions


def test_a_mongodb_without_transactions_is_seen(tmp_path: Path) -> None:
    fault = {"failCommands": ["commitTransaction"], "errorCode": 20}
    with (
        a_mongodb(tmp_path, test_commands=True) as server,
        connect(server.url) as client,
    ):
        client.admin.command(
            {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": fault}
        )

        facts = ServerInspector(client["postroom"], redis.Redis()).store()

    assert facts is not None
    assert facts.writable
    assert not facts.transactions


@pytest.mark.parametrize("weak", ["w=0", "w=1", "journal=false", "w=1&wtimeoutMS=1"])
def test_a_uri_cannot_weaken_what_a_write_waits_for(
    mongo_database_uri: str, weak: str
) -> None:
    joint = "&" if "?" in mongo_database_uri else "?"
    with connect(f"{mongo_database_uri}{joint}{weak}") as client:
        facts = ServerInspector(database_of(client), redis.Redis()).store()
        options = durable(database_of(client)).write_concern.document

    assert facts is not None
    assert facts.durable
    assert options == {"w": "majority", "j": True}


@pytest.mark.parametrize(
    "weak", [{"w": 1}, {"w": "majority"}, {"w": 1, "journal": True}]
)
def test_a_connection_whose_writes_wait_for_less_is_seen(
    mongo_database_uri: str, weak: dict[str, Any]
) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongo_database_uri, **weak) as client:
        facts = ServerInspector(database_of(client), redis.Redis()).store()

    assert facts is not None
    assert not facts.durable


def test_a_server_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    server = a_mongodb(tmp_path)
    with server, connect(server.url) as client:
        server.pause()
        began = time.monotonic()

        facts = ServerInspector(client["postroom"], redis.Redis()).store(
            patience=seconds(1)
        )

        took_s = time.monotonic() - began
        server.resume()

    assert facts is None
    assert took_s < 10


def test_a_redis_as_we_start_it_is_sound(inspector: ServerInspector) -> None:
    facts = inspector.redis()

    assert facts is not None
    assert facts.eviction_policy == "noeviction"
    assert facts.append_only
    assert facts.memory_used is None
    assert not facts.is_replica


def test_what_is_set_otherwise_is_seen(
    inspector: ServerInspector, redis_client: redis.Redis
) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    redis_client.config_set("maxmemory", "1gb")
    try:
        facts = inspector.redis()
    finally:
        redis_client.config_set("maxmemory", "0")
        redis_client.config_set("maxmemory-policy", "noeviction")

    assert facts is not None
    assert facts.eviction_policy == "allkeys-lru"
    assert facts.memory_used is not None
    assert 0 < facts.memory_used < 0.5
