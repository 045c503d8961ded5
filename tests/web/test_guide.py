"""The commands of docs/api.md run as they stand, and its errors are all there are."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.http.errors import _NAMES
from tests.servers import skip_or_fail
from tests.web.listening import Switchboard, listening

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/api.md").read_text("utf-8")

#: Bound on all commands together, in seconds; only a hang reaches it.
PATIENCE_S = 60.0

#: Between the answers.
_MARK = "\n--\n"

#: The status, after the answer.
_CURL = """
curl() { command curl --max-time 20 -w '\\n%{http_code}\\n--\\n' "$@"; }
"""


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def board() -> Iterator[Switchboard]:
    with listening() as board:
        yield board


def answers(board: Switchboard) -> list[tuple[int, Any]]:
    """Run the whole guide in one shell; give the status and body of each answer."""
    script = _CURL + "\n".join(blocks()).replace("http://localhost:8000/api", board.url)
    assert board.url in script
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = []
    for part in done.stdout.split(_MARK)[:-1]:
        text, _, status = part.strip("\n").rpartition("\n")
        found.append((int(status), json.loads(text or "null")))
    return found


def test_every_command_of_the_guide_does_what_it_says(board: Switchboard) -> None:
    if shutil.which("curl") is None:
        skip_or_fail(FileNotFoundError("curl"))

    found = answers(board)

    *fine, (status, refused) = found
    # One answer goes into a variable, and one command runs twice.
    assert len(found) == sum(block.count("curl -s") for block in blocks())
    assert {status for status, _ in fine} <= {200, 201, 204}
    assert status == 400
    assert {fault["field"] for fault in refused["errors"]} == {
        *("from", "to[0]", "subject", "text")
    }
    first, second = (body for _, body in found[2:4])
    assert first == second
    permissive = found[5][1]
    assert [error["index"] for error in permissive["errors"]] == [1]


def named_in(module: Path) -> set[str]:
    """Return the names of errors that a module makes."""
    makers = {"ApiError", "unheard", "problem"}
    calls = (
        node
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in makers
    )
    return {
        call.args[1].value
        for call in calls
        if len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
        and isinstance(call.args[1].value, str)
    }


def test_the_guide_has_every_error_with_its_name() -> None:
    made = {
        name for module in (ROOT / "http").glob("*.py") for name in named_in(module)
    }
    unread = (ROOT / "http/unheard.py").read_text("utf-8")
    made |= set(re.findall(r'return \d{3}, "(\w+)"', unread)) | set(_NAMES.values())

    rows = GUIDE.split("| name | status | what to do |\n")[1].splitlines()[1:]
    listed = [
        name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]

    assert sorted(listed) == sorted(made | {"not_implemented"})
