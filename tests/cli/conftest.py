"""The operators' desk."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import structlog
from pymongo.database import Database

from postroom.adapters.mongo_store import MongoStore
from postroom.cli import main
from tests.cli.desk import Desk, environ


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the verbs from setting this process's logs up: other tests look at them."""
    monkeypatch.setattr(main.logs, "configure", lambda *_, **__: None)
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
def desk(
    quiet: None,
    mongodb_uri: str,
    mongo_database: Database[dict[str, Any]],
    redis_url: str,
    redis_client: redis.Redis,
) -> Desk:
    """Give the verbs over a MongoDB and a Redis of this test's own."""
    MongoStore(mongo_database).ensure_indexes()
    return Desk(
        database=mongo_database,
        redis=redis_client,
        environ=environ(mongodb_uri, mongo_database.name, redis_url),
    )
