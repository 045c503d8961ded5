from pathlib import Path
from typing import Any

import redis
from pymongo.database import Database

from postroom.cli import embedded
from tests.servers import a_mongodb, a_redis, with_database


def test_mongodb_is_a_replica_set_as_transactions_need(
    mongo_database: Database[dict[str, Any]],
) -> None:
    assert mongo_database.client.admin.command("hello")["setName"]


def test_redis_keeps_what_it_was_told_over_a_crash(tmp_path: Path) -> None:
    with a_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)

        server.kill9()
        server.start()

        assert client.get("kept") == b"yes"


def test_redis_never_evicts_and_is_seen_on_loopback_only(
    redis_client: redis.Redis,
) -> None:
    config = redis_client.config_get("*")

    assert config["maxmemory-policy"] == "noeviction"
    assert config["appendonly"] == "yes"
    assert config["bind"] == embedded.HOST


def test_mongodb_keeps_a_journaled_write_over_a_crash(tmp_path: Path) -> None:
    import pymongo

    with a_mongodb(tmp_path) as server:
        with pymongo.MongoClient[dict[str, Any]](
            server.url, w="majority", journal=True
        ) as client:
            client.postroom.kept.insert_one({"_id": 1})

        server.kill9()
        server.start()

        with pymongo.MongoClient[dict[str, Any]](server.url) as client:
            assert client.postroom.kept.count_documents({}) == 1


def test_nothing_answers_on_a_free_port() -> None:
    port = embedded.free_port()

    assert not embedded.redis_answers(f"redis://{embedded.HOST}:{port}/0")
    assert not embedded.mongodb_answers(f"mongodb://{embedded.HOST}:{port}/")


def test_a_given_database_keeps_where_its_user_is_known() -> None:
    given = "mongodb://me:secret@one:1,two:2/live?replicaSet=rs"

    assert with_database(given, "mine") == (
        "mongodb://me:secret@one:1,two:2/mine?replicaSet=rs&authSource=live"
    )
