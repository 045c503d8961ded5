"""docker-compose.yml and Dockerfile, without an engine.

The structure is read, and each service's command is started with its environment, as
compose would: words split without a shell, stores and ports replaced by ours.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.cli import procfile
from tests.layout import ROOT
from tests.ports import a_port, ports_in_a_row
from tests.servers import PATIENCE_S

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LINES = procfile.read(ROOT / "Procfile")
STORES = ("mongo", "redis")
KEPT_UP = [name for name in LINES if name != procfile.RELEASE]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_services_are_two_stores_and_the_procfile() -> None:
    assert set(SERVICES) == {*STORES, *LINES}


@pytest.mark.parametrize("name", list(LINES))
def test_a_command_is_the_line_of_the_procfile(name: str) -> None:
    assert SERVICES[name]["command"] == LINES[name]


def test_mongodb_is_a_replica_set_that_makes_itself() -> None:
    mongo = SERVICES["mongo"]
    look = mongo["healthcheck"]["test"][-1]

    assert mongo["image"] == "mongo:8"
    assert "--replSet rs0" in mongo["command"]
    assert "rs.initiate" in look
    assert "isWritablePrimary" in look
    assert "replicaSet=rs0" in SERVICES["web"]["environment"]["MONGODB_URI"]


def test_redis_keeps_its_data_and_never_evicts() -> None:
    command = SERVICES["redis"]["command"]

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("name", list(SERVICES))
def test_ports_are_open_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", STORES)
def test_a_store_keeps_its_data_in_a_volume(name: str) -> None:
    volume = SERVICES[name]["volumes"][0].split(":")[0]

    assert volume in COMPOSE["volumes"]


@pytest.mark.parametrize("name", [*STORES, *KEPT_UP])
def test_what_runs_comes_back_stops_in_time_and_is_watched(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"] == "40s"
    assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", KEPT_UP)
def test_processes_wait_for_the_release_and_the_stores(name: str) -> None:
    assert {
        service: wait["condition"]
        for service, wait in SERVICES[name]["depends_on"].items()
    } == {
        "release": "service_completed_successfully",
        "mongo": "service_healthy",
        "redis": "service_healthy",
    }


def test_the_release_runs_once_on_healthy_stores() -> None:
    release = SERVICES["release"]

    assert release["restart"] == "no"
    assert set(release["depends_on"]) == set(STORES)


def test_the_image_has_pinned_packages_no_root_and_a_signal_that_arrives() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert re.search(r"^USER postroom$", final, re.MULTILINE)
    assert re.search(r"^CMD \[", final, re.MULTILINE)
    assert "apt-get" not in final
    assert "pip" not in final


def test_the_image_runs_the_web_process_unless_told_otherwise() -> None:
    command = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert command is not None

    assert yaml.safe_load(command[1]) == shlex.split(LINES["web"])


def test_all_that_the_image_is_built_from_is_sent_to_the_engine() -> None:
    sent = (ROOT / ".dockerignore").read_text()

    for name in ("domain/", "http/", "cli/", "setup.cfg", "requirements.lock"):
        assert f"!{name}" in sent


def interpolated(command: str, environ: Mapping[str, str]) -> list[str]:
    def value(found: re.Match[str]) -> str:
        return environ.get(found["name"]) or found["default"]

    plain = re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", value, command)
    return shlex.split(plain)


class Composed:
    """The services as processes, in their order."""

    def __init__(self, folder: Path, *, mongodb: str, redis: str) -> None:
        self.folder = folder
        self.port = a_port()
        self.replaced = {
            "MONGODB_URI": mongodb,
            "REDIS_URL": redis,
            "PORT": str(self.port),
            # One for the worker, one for the router.
            "POSTROOM_METRICS_PORT": str(ports_in_a_row(2)),
        }

    def environ(self, name: str) -> dict[str, str]:
        mine = SERVICES[name]["environment"]
        assert set(mine) == set(self.replaced), "replace what is new here too"
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        return {"PATH": path, **mine, **self.replaced}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        environ = self.environ(name)
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                interpolated(SERVICES[name]["command"], environ),
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_healthy(self, name: str) -> bool:
        """Run the service's own health check, at our address."""
        kind, *words = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        here = f"http://127.0.0.1:{self.port}/"
        words = [re.sub(r"http://(?:127\.0\.0\.1|web):8000/", here, w) for w in words]
        look = subprocess.run(
            words,
            env=self.environ(name),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return look.returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]


@pytest.fixture
def composed(tmp_path: Path, mongo_database_uri: str, redis_url: str) -> Composed:
    return Composed(tmp_path, mongodb=mongo_database_uri, redis=redis_url)


@pytest.fixture
def processes(composed: Composed) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start the release to its end, then the rest; stop all of it afterwards."""
    release = composed.start("release")
    assert release.wait(PATIENCE_S) == 0, composed.log("release")
    with ExitStack() as cleanup:
        started = {}
        for name in KEPT_UP:
            started[name] = composed.start(name)
            cleanup.callback(end, started[name])
        yield started


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.e2e
def test_every_service_starts_and_passes_its_own_health_check(
    composed: Composed,
    processes: dict[str, subprocess.Popen[bytes]],
    redis_client: object,
) -> None:
    give_up = time.monotonic() + PATIENCE_S
    for name in KEPT_UP:
        while not composed.is_healthy(name):
            assert processes[name].poll() is None, composed.log(name)
            assert time.monotonic() < give_up, f"{name}: {composed.log(name)}"
            time.sleep(0.2)

    for name in KEPT_UP:
        assert processes[name].poll() is None, composed.log(name)
