"""The real command while a store is away: one line, exit code 3, and what goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from postroom.cli.embedded import free_port
from postroom.cli.errors import ServersMissingError
from tests.cli.desk import PROVIDERS
from tests.servers import PATIENCE_S, a_mongodb, a_redis, skip_or_fail

pytestmark = pytest.mark.slow

NOBODY = "127.0.0.1"
HELLO = ("send", "--to", "ada@example.com", "--subject", "Hello", "--text", "t")

Words = tuple[str, ...]
Answers = Mapping[Words, subprocess.CompletedProcess[str]]

#: What cannot be done without MongoDB.
VERBS: list[Words] = [
    HELLO,
    ("show", "0" * 24),
    ("list",),
    ("list", "--created-after", "1h"),
    ("retry", "0" * 24),
    ("dead-letters", "list"),
    ("dead-letters", "replay", "--since", "1d"),
]

#: What cannot be done without Redis.
ORDERS: list[Words] = [
    ("providers", "list"),
    *(("providers", verb, "alpha") for verb in ("trip", "reset", "drain", "resume")),
]


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A shell whose environment names two stores; `postroom` is a process there."""

    mongodb_uri: str
    redis_url: str

    def run_all(self, commands: list[Words]) -> Answers:
        """Run all at the same time: each waits some seconds for its store."""
        with ThreadPoolExecutor(len(commands)) as pool:
            results = pool.map(lambda words: self.run(*words), commands)
            return dict(zip(commands, results, strict=True))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "MONGODB_URI": self.mongodb_uri,
            "REDIS_URL": self.redis_url,
            "POSTROOM_PROVIDERS": PROVIDERS,
            "POSTROOM_DEFAULT_FROM": "post@acme.example",
        }
        return subprocess.run(
            [Path(sys.executable).parent / "postroom", *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture(scope="module")
def no_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Give a shell with a MongoDB only."""
    try:
        server = a_mongodb(tmp_path_factory.mktemp("stores"))
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        redis_url = f"redis://{NOBODY}:{free_port()}/0"
        yield Shell(mongodb_uri=server.url, redis_url=redis_url)


@pytest.fixture(scope="module")
def no_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Give a shell with a Redis only."""
    try:
        server = a_redis(tmp_path_factory.mktemp("stores"))
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        mongodb_uri = f"mongodb://{NOBODY}:{free_port()}/postroom"
        yield Shell(mongodb_uri=mongodb_uri, redis_url=server.url)


@pytest.fixture(scope="module")
def told_without_mongodb(no_mongodb: Shell) -> Answers:
    return no_mongodb.run_all(VERBS)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words[:2]))
def test_without_mongodb_a_verb_says_so_in_one_line(
    told_without_mongodb: Answers, words: Words
) -> None:
    result = told_without_mongodb[words]

    assert (result.returncode, result.stdout) == (3, ""), result.stderr
    assert result.stderr.startswith("postroom: MongoDB: ")
    assert len(result.stderr.splitlines()) == 1


def test_without_mongodb_init_fails_with_a_line_and_no_trace(no_mongodb: Shell) -> None:
    result = no_mongodb.run("init")

    assert result.returncode == 3
    assert result.stderr.splitlines()[-1].startswith("postroom: MongoDB: ")
    assert "Traceback" not in result.stderr


def test_without_mongodb_providers_still_obey(no_mongodb: Shell) -> None:
    assert no_mongodb.run("providers", "drain", "alpha").returncode == 0

    result = no_mongodb.run("providers", "list", "--json")

    assert (result.returncode, result.stderr) == (0, "")
    alpha, beta = json.loads(result.stdout)["data"]
    assert (alpha["drained"], beta["drained"]) == (True, False)
    assert (alpha["parked"], beta["parked"]) == (None, None)


@pytest.fixture(scope="module")
def told_without_redis(no_redis: Shell) -> Answers:
    return no_redis.run_all(ORDERS)


@pytest.mark.parametrize("words", ORDERS, ids=lambda words: words[1])
def test_without_redis_no_order_is_given(
    told_without_redis: Answers, words: Words
) -> None:
    result = told_without_redis[words]

    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("postroom: Redis is away: ")
    assert len(result.stderr.splitlines()) == 1


def test_without_redis_email_is_accepted_and_shown(no_redis: Shell) -> None:
    sent = no_redis.run(*HELLO)

    assert (sent.returncode, sent.stderr) == (0, "")
    shown = no_redis.run("show", sent.stdout.strip(), "--json")
    assert json.loads(shown.stdout)["state"] == "queued"
    assert no_redis.run("list").stdout.count("queued") == 1
    assert no_redis.run("dead-letters", "replay").returncode == 0


def test_the_doctor_names_the_store_that_is_away(
    no_redis: Shell, no_mongodb: Shell
) -> None:
    for shell, away in ((no_redis, "redis"), (no_mongodb, "mongodb")):
        result = shell.run("doctor", "--json")

        assert (result.returncode, result.stderr) == (3, "")
        checks = json.loads(result.stdout)["checks"]
        failed = {c["name"] for c in checks if c["result"] == "fail"}
        assert away in failed
        assert ({"redis", "mongodb"} - {away}) & failed == set()


def test_wrong_settings_are_told_without_a_trace(no_redis: Shell) -> None:
    result = Shell(mongodb_uri="nonsense", redis_url="nonsense").run("list")

    assert (result.returncode, result.stdout) == (1, "")
    assert "MONGODB_URI" in result.stderr
    assert "REDIS_URL" in result.stderr
    assert len(result.stderr.splitlines()) == 1
