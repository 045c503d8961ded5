"""Logs: one line an event, from everybody, without addresses, and never a failure."""

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from postroom.adapters import logs
from postroom.adapters.secret import Secret
from postroom.adapters.settings import Environment


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    structlog.contextvars.clear_contextvars()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("urllib3", "pymongo", "redis", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_production_logs_one_json_object_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Environment.PRODUCTION)

    structlog.get_logger("postroom.test").info("email.sent", email_id="1", took=0.5)

    (line,) = lines(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", str(line.pop("timestamp")))
    assert line == {
        "event": "email.sent",
        "level": "info",
        "logger": "postroom.test",
        "pid": os.getpid(),
        "email_id": "1",
        "took": 0.5,
    }


def test_development_logs_words(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Environment.DEVELOPMENT)

    structlog.get_logger("postroom.test").info("email.sent", email_id="1")

    assert re.search(r"info.*email\.sent.*email_id=1", capsys.readouterr().err)


@pytest.mark.parametrize("env", Environment)
def test_libraries_log_by_the_same_way(
    capsys: pytest.CaptureFixture[str], env: Environment
) -> None:
    logs.configure(env, secrets=[Secret("s3cret")])

    for name in ("dramatiq", "gunicorn.error", "periodiq", "pymongo", "x"):
        logging.getLogger(name).warning("%s of %s", "a@b.cd", "s3cret")

    assert capsys.readouterr().err.count("[address] of ***") == 5


def test_extra_fields_of_standard_logging_are_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Environment.PRODUCTION)

    logging.getLogger("postroom.services").info("swept", extra={"offered": 3})

    assert lines(capsys)[0]["offered"] == 3


def test_chatty_libraries_are_heard_from_warnings_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Environment.PRODUCTION, level=logging.DEBUG)

    for name in ("urllib3.connectionpool", "pymongo.command", "redis"):
        logging.getLogger(name).info("connected")
    structlog.get_logger().debug("ours")

    assert [line["event"] for line in lines(capsys)] == ["ours"]


def test_debug_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Environment.PRODUCTION)

    structlog.get_logger().debug("quiet")
    logging.getLogger("x").debug("quiet")

    assert not capsys.readouterr().err


def refuse(name: str) -> None:
    password = "s3" + "cret"
    raise ValueError(f"550 {name}@example.com {password}")


@pytest.mark.parametrize("env", Environment)
def test_a_traceback_shows_no_address_no_secret_and_no_local_variable(
    capsys: pytest.CaptureFixture[str], env: Environment
) -> None:
    logs.configure(env, secrets=[Secret("s3cret")])
    log = structlog.get_logger()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            refuse("can" + "ary")
        except ValueError:
            log.exception("attempt.failed", code=550)
            logging.getLogger("dramatiq").exception("Failed")

    text = capsys.readouterr().err
    assert text.count("in refuse") == 2
    assert "ValueError: " not in text
    assert "canary" not in text
    assert "s3cret" not in text


def test_bound_context_is_a_part_of_each_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Environment.PRODUCTION)

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("request")

    assert lines(capsys)[0]["request_id"] == "r1"


def test_control_characters_do_not_reach_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Environment.DEVELOPMENT)

    structlog.get_logger().info("said", words="\x1b[2J\r\x07\x9b")

    assert r"\x1b[2J\x0d\x07\x9b" in capsys.readouterr().err


def test_configuring_again_does_not_log_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
    logs.configure(Environment.PRODUCTION)
    logs.configure(Environment.PRODUCTION)

    logging.getLogger("x").warning("once")

    assert len(lines(capsys)) == 1


def test_gunicorns_own_handlers_are_taken_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("gunicorn.error")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.propagate = False

    logs.configure(Environment.PRODUCTION)
    logger.warning("booting")

    assert [line["event"] for line in lines(capsys)] == ["booting"]


class Broken(io.StringIO):
    """A standard error that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, text)


@pytest.mark.parametrize("stream", [Broken(), None], ids=["broken pipe", "none"])
@pytest.mark.parametrize("env", Environment)
def test_a_broken_standard_error_is_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, env: Environment
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(env)

    structlog.get_logger().error("lost")
    logging.getLogger("x").error("lost")


def test_a_line_that_cannot_be_formatted_is_told_in_brief(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger().handlers.clear()  # pytest's own would raise
    logs.configure(Environment.PRODUCTION)

    template = "%d %d"
    logging.getLogger("x").warning(template, "a@b.cd")

    assert lines(capsys) == [
        {"event": "log.failed", "level": "warning", "logger": "x", "error": "TypeError"}
    ]


def test_lines_of_many_threads_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Environment.PRODUCTION)
    log = structlog.get_logger()
    barrier = threading.Barrier(8)

    def shout() -> None:
        barrier.wait()
        for _ in range(100):
            log.info("shout", words="x" * 500)

    threads = [threading.Thread(target=shout) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines(capsys)) == 800


WORKER = """
import dramatiq, structlog
from dramatiq.brokers.stub import StubBroker
from postroom.adapters import logs
from postroom.adapters.settings import Environment

def broker():
    logs.configure(Environment.PRODUCTION)
    structlog.get_logger("postroom.worker").info("worker.started", to="a@b.cd")
    broker = StubBroker()
    dramatiq.set_broker(broker)
    return broker
"""


def test_a_dramatiq_worker_logs_json_through_its_pipe(tmp_path: Path) -> None:
    """Its command sets logging up before and swaps standard error for a pipe."""
    (tmp_path / "a_worker.py").write_text(WORKER, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "dramatiq", "a_worker:broker", "-p", "1", "-t", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen: list[dict[str, object]] = []

    with process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        for line in process.stderr:
            if line.startswith("{"):
                seen.append(json.loads(line))
            if "ready for action" in line:
                process.send_signal(signal.SIGTERM)
        guard.cancel()

    ours = next(line for line in seen if line["event"] == "worker.started")
    assert ours["to"] == "[address]"
    assert {
        "Worker process is ready for action.",
        "Stopping worker process...",
    } <= {line["event"] for line in seen}
