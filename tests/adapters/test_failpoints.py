"""Failpoints: where they are, that none is forgotten, and what they do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import dramatiq.brokers.redis
import pytest

from postroom.adapters.failpoint_table import CALLS, POINTS
from postroom.adapters.failpoints import Failpoints, name_of, nothing_around
from postroom.adapters.providers.smtp import SmtpProvider
from postroom.adapters.providers.transport import Answer
from postroom.adapters.settings import Settings
from postroom.domain.errors import SettingsError
from postroom.domain.outcome import Accepted
from tests.adapters.providers.parts import PATIENCE, an_email, smtp_settings
from tests.adapters.providers.wire import REQUEST, a_transport
from tests.failpoints import arm
from tests.fake_provider import FakeProvider
from tests.fake_smtp import FakeSmtp
from tests.layout import ROOT
from tests.leaving import services, unfitted, used_by

#: The only modules that make services.
ROOTS = ("actors/worker.py", "http/wsgi.py", "cli/main.py")

#: Who calls what beside the services, by the table's names.
BESIDE = {
    "worker",
    "router",
    "sweep",
    "scheduler",
    "metrics",
    "http",
    "smtp",
    "sandbox",
    "intake",
}

#: Ports that actors use themselves, and where.
IN_ACTORS = {
    ("actors/sweep.py", "heartbeats.beat"): "sweep",
    ("actors/worker.py", "heartbeats.beat"): "router",
    ("actors/serving.py", "heartbeats.beat"): "worker",
}

#: Commands of Dramatiq's script that no process of ours gives.
FOR_TESTS = {"purge", "qsize"}

PATIENCE_S = 30.0

P = ParamSpec("P")
R = TypeVar("R")

#: A process that puts failpoints around one call and says what it has done.
CHILD = """
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from postroom.adapters import failpoint_table
from postroom.adapters.failpoints import Failpoints

class Store:
    def load(self, email_id):
        print("called", flush=True)
        return f"email {email_id}"

@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    store: Any

show = Failpoints(Path(sys.argv[1])).fit(Show(store=Store()))
for email_id in sys.argv[2:]:
    print(show.store.load(email_id), flush=True)
print("done", flush=True)
"""


def child(folder: Path, *email_ids: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), *email_ids],
        stdout=subprocess.PIPE,
        text=True,
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    said, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said.splitlines()


def run(folder: Path, *email_ids: str) -> tuple[int, list[str]]:
    return end_of(child(folder, *email_ids))


# Where they are


def test_every_call_of_a_service_that_leaves_the_process_is_in_the_table() -> None:
    found = services()

    called = {snake(one.name): found.calls(one) for one in found.classes}

    listed = {owner: set(calls) for owner, calls in CALLS.items()}
    assert {owner: listed[owner] for owner in listed if owner not in BESIDE} == called


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def test_a_service_is_named_in_the_table_as_its_class_is() -> None:
    names = [one.name for one in services().classes]

    assert [name_of(type(name, (), {})) for name in names] == [*map(snake, names)]


@pytest.mark.parametrize("root", ROOTS)
def test_every_service_that_a_process_is_made_of_is_given_its_failpoints(
    root: str,
) -> None:
    names = {one.name for one in services().classes if not one.bundled}

    assert unfitted(ROOT / root, names) == set()


def test_ports_that_come_in_one_value_are_given_their_failpoints_with_it() -> None:
    bundled = {name for one in services().classes for name in one.bundled}

    wiring = (ROOT / "adapters/wiring.py").read_text()

    assert bundled == set(re.findall(r'guard\("self_check", "(\w+)"', wiring))


def test_nobody_but_the_services_uses_a_port_without_failpoints() -> None:
    found = services()
    ports = {port: kind for one in found.classes for port, kind in one.ports.items()}
    shells = [
        path for f in ("actors", "http", "cli") for path in (ROOT / f).glob("*.py")
    ]

    used = {
        (str(path.relative_to(ROOT)), f"{port}.{method}")
        for path in shells
        for port, kind in ports.items()
        for method in used_by(path, port, found.leaving(kind))
    }

    assert used == set(IN_ACTORS)


def test_every_command_that_dramatiq_gives_redis_is_in_the_table() -> None:
    folder = Path(dramatiq.brokers.redis.__file__).parent / "redis"
    script = (folder / "dispatch.lua").read_text()

    commands = set(re.findall(r'command == "(\w+)"', script))

    ours = {call.removeprefix("broker.") for call in CALLS["worker"]}
    assert commands - FOR_TESTS == ours - {"heartbeats.beat"}
    assert CALLS["worker"] == CALLS["router"]


def test_each_call_has_two_points_and_no_two_have_one_name() -> None:
    assert len(POINTS) == 2 * sum(map(len, CALLS.values()))
    assert len(set(POINTS)) == len(POINTS)


# What they cost without a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    store: object


def test_without_a_folder_everything_is_handed_on_as_it_is() -> None:
    none, port, service = Failpoints(None), object(), Show(store=object())

    assert none.fit(service) is service
    assert none.guard("sweep", "heartbeats", port) is port
    assert none.fit_broker("worker", port) is port
    assert none.around is nothing_around
    assert nothing_around("http.request", print) is print


def test_a_service_that_the_table_does_not_know_is_refused(tmp_path: Path) -> None:
    @dataclass
    class Forgotten:
        store: object

    with pytest.raises(LookupError):
        Failpoints(tmp_path).fit(Forgotten(store=object()))


def test_production_refuses_failpoints(tmp_path: Path) -> None:
    environ = {
        "POSTROOM_ENV": "production",
        "POSTROOM_API_KEY": "pr_live_0123456789abcdef",
        "POSTROOM_FAILPOINTS_DIR": str(tmp_path),
    }

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)

    (fault,) = caught.value.faults
    assert fault.startswith("POSTROOM_FAILPOINTS_DIR: ")
    assert "production" in fault


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="POSTROOM_FAILPOINTS_DIR"):
        Settings.from_env({"POSTROOM_FAILPOINTS_DIR": str(tmp_path / "none")})


def test_failpoints_are_warned_of(tmp_path: Path) -> None:
    settings = Settings.from_env({"POSTROOM_FAILPOINTS_DIR": str(tmp_path)})

    assert settings.failpoints_dir == tmp_path
    assert any("POSTROOM_FAILPOINTS_DIR" in warning for warning in settings.warnings)


# What they do


def test_an_unarmed_point_does_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "a") == (0, ["called", "email a", "done"])


@pytest.mark.parametrize(("when", "said"), [("before", []), ("after", ["called"])])
def test_an_armed_point_kills_exactly_there(
    tmp_path: Path, when: str, said: list[str]
) -> None:
    armed = arm(tmp_path, f"show.store.load.{when}")

    assert run(tmp_path, "a", "b") == (-signal.SIGKILL, said)
    assert not armed.exists()


def test_a_point_fires_once_over_all_processes(tmp_path: Path) -> None:
    arm(tmp_path, "show.store.load.before")
    both = [child(tmp_path, "a") for _ in range(2)]

    codes = [end_of(process)[0] for process in both]

    assert sorted(codes) == [-signal.SIGKILL, 0]


def test_an_empty_file_kills_too(tmp_path: Path) -> None:
    (tmp_path / "show.store.load.after").touch()

    assert run(tmp_path, "a")[0] == -signal.SIGKILL


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_point_may_wait_for_the_email_that_it_is_meant_for(
    tmp_path: Path, when: str
) -> None:
    arm(tmp_path, f"show.store.load.{when}", match="b")

    code, said = run(tmp_path, "a", "b")

    assert code == -signal.SIGKILL
    assert said[:2] == ["called", "email a"]


def test_a_call_that_names_no_email_counts_for_the_one_in_hand(tmp_path: Path) -> None:
    ours, other = "65f000000000000000000001", "65f000000000000000000002"
    seen = Seen(tmp_path)
    load = seen.around("attempt.store.load", lambda email_id: email_id)
    health = seen.around("attempt.board.health", lambda provider: provider)
    armed = arm(tmp_path, "attempt.board.health.before", match=ours)

    load(other)
    health("one")
    assert armed.exists()
    load(ours)
    health("one")

    assert not armed.exists()
    assert seen.fired == ["attempt.board.health.before"]


class Seen(Failpoints):
    """Failpoints that note what they are asked for and go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fired: list[str] = []

    def end(self, point: str, order: str) -> None:
        self.fired.append(point)


def test_a_point_may_stop_the_process_instead(tmp_path: Path) -> None:
    armed = arm(tmp_path, "show.store.load.after", order="stop")
    process = child(tmp_path, "a")
    try:
        wait_until(lambda: state_of(process.pid) == "T")
        assert not armed.exists()
    finally:
        os.kill(process.pid, signal.SIGCONT)

    assert end_of(process) == (0, ["called", "email a", "done"])


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_guarded_port_and_broker_do_what_they_did(tmp_path: Path) -> None:
    class Broker:
        def _dispatch(self, command: str) -> Callable[[str], str]:
            return lambda queue: f"{command} {queue}"

    class Heartbeats:
        key = "beats"

        def beat(self, part: str) -> str:
            return part

    points = Failpoints(tmp_path)
    broker = points.fit_broker("scheduler", Broker())
    heartbeats = points.guard("sweep", "heartbeats", Heartbeats())

    assert broker._dispatch("enqueue")("sweep") == "enqueue sweep"
    assert broker._dispatch("purge")("sweep") == "purge sweep"
    assert (heartbeats.beat("sweep"), heartbeats.key) == ("sweep", "beats")


# Within a call to a provider


class Notes:
    """What is so at the two points of a call, in place of an end there."""

    def __init__(
        self, before: Callable[[], object], after: Callable[[], object]
    ) -> None:
        self._before, self._after = before, after
        self.seen: list[object] = []
        self.name = ""

    def around(self, name: str, call: Callable[P, R], /) -> Callable[P, R]:
        self.name = name

        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            self.seen.append(self._before())
            result = call(*args, **kwargs)
            self.seen.append(self._after())
            return result

        return noted


def test_a_request_has_two_points_between_connection_and_answer() -> None:
    with FakeProvider() as fake:

        def has_arrived() -> bool:
            wait_until(lambda: bool(fake.calls))
            return True

        notes = Notes(lambda: (fake.connections, len(fake.calls)), has_arrived)
        transport = a_transport(fake.url, around=notes.around)
        for _ in range(2):  # the first may have connected faster than the fake noticed
            answer = transport.post(REQUEST, timeout=PATIENCE)
        transport.close()

    assert isinstance(answer, Answer)
    assert (notes.name, notes.seen[2:]) == ("http.request", [(1, 1), True])


def test_the_final_dot_has_two_points() -> None:
    with FakeSmtp() as relay:

        def has_arrived() -> bool:
            wait_until(lambda: bool(relay.taken))
            return True

        notes = Notes(lambda: (len(relay.envelopes), len(relay.taken)), has_arrived)
        provider = SmtpProvider(smtp_settings(relay.url), around=notes.around)
        built = provider.build(an_email(), recipients=(0,))
        outcome = provider.send(built, timeout=PATIENCE)
        provider.close()

    assert isinstance(outcome, Accepted)
    assert (notes.name, notes.seen) == ("smtp.dot", [(1, 0), True])
