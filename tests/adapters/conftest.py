"""Both stores, for what must hold of either."""

from typing import Any

import pytest
from pymongo.database import Database

from postroom.adapters.memory_store import MemoryStore
from postroom.adapters.mongo_store import MongoStore
from postroom.domain.ports import EmailStore


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> EmailStore:
    if request.param == "memory":
        return MemoryStore()
    database: Database[dict[str, Any]] = request.getfixturevalue("mongo_database")
    mongo = MongoStore(database)
    mongo.ensure_indexes()
    return mongo
