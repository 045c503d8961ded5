"""What every way of starting the processes relies on in the Procfile."""

import importlib
import re

import pytest
import yaml
from watchdog.utils.patterns import match_any_paths

from postroom.cli import procfile, supervision
from tests.layout import ROOT

LINES = procfile.read(ROOT / "Procfile")
DEV_LINES = procfile.read(ROOT / "Procfile.dev")


def test_the_processes_are_the_five_of_the_design() -> None:
    assert list(LINES) == ["release", "web", "worker", "router", "scheduler"]
    assert list(DEV_LINES) == list(LINES)


@pytest.mark.parametrize("line", [*LINES.values(), *DEV_LINES.values()])
def test_a_line_is_one_command_so_that_signals_reach_it(line: str) -> None:
    """A shell in between would take the SIGTERM; hosts and our stack `exec` it."""
    outside_quotes = re.sub(r"'[^']*'", "", line)

    assert not re.search(r"[;&|<>`]|\$\(", outside_quotes)
    assert not re.match(r"\w+=", line)


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
def test_a_line_names_callables_that_are_there(line: str) -> None:
    for module, name in re.findall(r"(postroom(?:\.\w+)+):(\w+)", line):
        assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("name", ["worker", "router"])
def test_workers_stop_before_whoever_stops_them_loses_patience(name: str) -> None:
    found = re.search(r"--worker-shutdown-timeout (\d+)", LINES[name])
    assert found is not None
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    grace = compose["services"][name]["stop_grace_period"]

    assert int(found[1]) / 1000 < supervision.STOP_WAIT_S < supervision.STOP_ALL_S
    assert int(found[1]) / 1000 < int(grace.removesuffix("s"))


@pytest.mark.parametrize("name", ["worker", "router"])
def test_a_worker_that_dies_while_it_starts_is_missed_soon(name: str) -> None:
    """Dramatiq's master looks after its worker only when it has started, or then."""
    found = re.search(r"--worker-fork-timeout (\d+)", LINES[name])

    assert found is not None
    assert int(found[1]) / 1000 <= 5


def test_development_differs_by_reload_and_size_only() -> None:
    added = re.compile(r" --(?:reload|watch \.)| -[ix] '[^']*'")
    sizes = re.compile(r"(--(?:processes|threads)) \S+")

    for name, line in DEV_LINES.items():
        assert sizes.sub(r"\1", added.sub("", line)) == sizes.sub(r"\1", LINES[name])


@pytest.mark.parametrize("name", ["worker", "router"])
@pytest.mark.parametrize(
    ("path", "is_seen"),
    [
        ("/home/me/postroom/services/route.py", True),
        ("/home/me/postroom/adapters/providers/sendgrid.py", True),
        ("/home/me/postroom/tests/test_layout.py", False),
        ("/home/me/postroom/.venv/lib/python3.13/site-packages/redis/client.py", False),
        ("/home/me/postroom/README.md", False),
    ],
)
def test_workers_in_development_see_changes_of_the_code_only(
    name: str, path: str, *, is_seen: bool
) -> None:
    """dramatiq's own pattern, *.py, fits no file in a folder since watchdog 7."""
    line = DEV_LINES[name]

    assert is_seen is match_any_paths(
        [path],
        included_patterns=["*.py", *re.findall(r"-i '([^']*)'", line)],
        excluded_patterns=re.findall(r"-x '([^']*)'", line),
    )
