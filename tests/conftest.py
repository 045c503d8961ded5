"""Fixtures that many tests share: real servers, and what is fresh for each test.

`make test MONGODB_URI=... REDIS_URL=...` runs the suite on given servers; otherwise
it starts its own from the wheels of the `embedded` extra.
"""

import logging
import math
import os
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
import redis
import structlog
from pymongo.database import Database

from postroom.cli.errors import ServersMissingError
from tests.layout import unlinked_files
from tests.servers import (
    a_database_name,
    a_mongodb,
    a_redis,
    skip_or_fail,
    with_database,
)

#: Workers for each core: most of the tests wait, for a process, a server or a time.
WORKERS_PER_CORE = 1.5

#: And at most, wherever the machine's cores are not all ours.
MOST_WORKERS = 8


@pytest.fixture(autouse=True)
def _logs_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a test makes of the logs: on one worker, any other may come next."""
    configure = structlog.configure

    def uncached(**given: Any) -> None:
        # What a logger keeps of a configuration would outlive the test.
        configure(**given | {"cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    root = logging.getLogger()
    level, handlers = root.level, set(root.handlers)
    yield
    root.setLevel(level)
    for added in set(root.handlers) - handlers:
        if not type(added).__module__.startswith("_pytest"):
            root.removeHandler(added)
    structlog.reset_defaults()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say how many workers `-n auto` means; each starts servers of its own.

    Given servers are one for all: their tests run one after another.
    """
    if os.environ.get("MONGODB_URI") or os.environ.get("REDIS_URL"):
        return 0
    return min(MOST_WORKERS, math.ceil(WORKERS_PER_CORE * (os.cpu_count() or 1)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Let workers begin with what takes long, so that they end at the same time."""
    if hasattr(config, "workerinput"):
        items.sort(key=_is_quick)


def _is_quick(item: pytest.Item) -> tuple[bool, bool]:
    e2e, slow = (item.get_closest_marker(name) for name in ("e2e", "slow"))
    return e2e is None, slow is None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a module is not found: a new file needs a link, `make links`."""
    if missing := unlinked_files():
        terminalreporter.write_line(f"run make links, for: {', '.join(missing)}")


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a real MongoDB with a database of this session's own."""
    name = a_database_name()
    if given := os.environ.get("MONGODB_URI"):
        uri = with_database(given, name)
        yield uri
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.drop_database(name)
        return
    try:
        server = a_mongodb(tmp_path_factory.mktemp("stores"))
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield with_database(server.url, name)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a real Redis. A given one must be empty: tests flush its database."""
    if given := os.environ.get("REDIS_URL"):
        with redis.Redis.from_url(given) as client:
            if client.dbsize():
                pytest.fail("the database of REDIS_URL is in use, give an empty one")
            yield given
            client.flushdb()
        return
    try:
        server = a_redis(tmp_path_factory.mktemp("stores"))
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield server.url


@pytest.fixture(scope="session")
def mongo_client(mongodb_uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](
        mongodb_uri, tz_aware=True, w="majority", journal=True
    ) as client:
        yield client


@pytest.fixture
def mongo_database(
    mongo_client: pymongo.MongoClient[dict[str, Any]],
) -> Iterator[Database[dict[str, Any]]]:
    """Give a database of this test's own, dropped afterwards."""
    name = a_database_name()
    yield mongo_client[name]
    mongo_client.drop_database(name)


@pytest.fixture
def mongo_database_uri(
    mongodb_uri: str, mongo_database: Database[dict[str, Any]]
) -> str:
    """Give the URI of `mongo_database`, for code that makes its own client."""
    return with_database(mongodb_uri, mongo_database.name)


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """Give a client of an empty Redis; left empty afterwards."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client
        client.flushdb()
