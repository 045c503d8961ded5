"""What the processes find in their environment, and the ports that are chosen."""

import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import embedded
from .errors import StackError

#: Where the web process listens when it may, as Settings has it.
DEFAULT_PORT = 8000

#: Names the stores in `.postroom/env` that are ours: a shell that has read that file
#: does not *give* us a MongoDB and a Redis.
EMBEDDED = "POSTROOM_STACK_EMBEDDED"

_URLS = {"mongo": "MONGODB_URI", "redis": "REDIS_URL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The environment of the processes, and the stores that must be started."""

    environ: Mapping[str, str]
    stores: tuple[embedded.ServerSpec, ...]
    port: int

    def kept(self) -> dict[str, str]:
        """Return what `.postroom/env` tells a developer's shell."""
        names = ("MONGODB_URI", "REDIS_URL", "PORT", EMBEDDED)
        return {name: self.environ[name] for name in names}


def survey(environ: Mapping[str, str], *, project: Path, folder: Path) -> Surroundings:
    """Decide on addresses: given stores, else ports that are free.

    Ports of the last run are taken again where they are free, so that open shells
    stay right.

    Args:
        environ: Our own environment; it goes before the project's `.env`.
        project: The folder that may hold `.env`.
        folder: The folder of the stack, with `env` from the last run.

    Raises:
        ServersMissingError: A store is to be started and its wheel is missing.
        StackError: PORT is not a port.
    """
    last = read_env(folder / "env")
    values = {**read_dotenv(project / ".env"), **environ}
    ours = values.pop(EMBEDDED, "").split()
    stores = []
    makers: dict[str, Callable[..., embedded.ServerSpec]] = {
        "mongo": embedded.mongodb,
        "redis": embedded.valkey,
    }
    for name, make in makers.items():
        if values.get(_URLS[name]) and name not in ours:
            continue
        port = _port_of(last.get(_URLS[name], "")) if _is_ours(name, last) else None
        chosen = port if port and is_free(port) else embedded.free_port()
        spec = make(folder / ("store" if name == "mongo" else name), port=chosen)
        values[_URLS[name]] = spec.url
        stores.append(spec)
    values[EMBEDDED] = " ".join(spec.name for spec in stores)
    port = _web_port(values.get("PORT") or str(DEFAULT_PORT), last.get("PORT", ""))
    values["PORT"] = str(port)
    # The lines name the commands of the environment that we run in.
    values["PATH"] = f"{Path(sys.executable).parent}:{values.get('PATH', '')}"
    values["PYTHONUNBUFFERED"] = "1"
    # On a host the web process listens to all; here nobody asked for neighbours.
    values.setdefault("GUNICORN_CMD_ARGS", f"--bind={embedded.HOST}:{port}")
    return Surroundings(environ=values, stores=tuple(stores), port=port)


def read_dotenv(path: Path) -> dict[str, str]:
    """Read a developer's file of KEY=VALUE lines; empty if there is none."""
    # Here, because only the `embedded` extra installs it and all commands import this.
    from dotenv import dotenv_values  # noqa: PLC0415

    return {key: value for key, value in dotenv_values(path).items() if value}


def read_env(path: Path) -> dict[str, str]:
    """Read what ``write_env`` has written; empty if there is no such file."""
    try:
        words = shlex.split(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Write a file that a shell reads with `set -a; . FILE`, for its owner only.

    A given URI may hold a password.
    """
    path.touch(mode=0o600)
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    path.write_text("".join(lines), encoding="utf-8")


def is_free(port: int) -> bool:
    """Say whether a server of ours could listen on a port of the loopback interface."""
    with socket.socket() as asker:
        asker.settimeout(1.0)
        if asker.connect_ex((embedded.HOST, port)) == 0:
            return False
    with socket.socket() as listener, suppress(OSError):
        # As servers do: the last run's closed connections must not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((embedded.HOST, port))
        return True
    return False


def _is_ours(name: str, last: Mapping[str, str]) -> bool:
    return name in last.get(EMBEDDED, "").split()


def _port_of(url: str) -> int | None:
    with suppress(ValueError):
        return urlsplit(url).port
    return None


def _web_port(wanted: str, last: str) -> int:
    if not _is_port(wanted):
        raise StackError(f"PORT must be a number from 1 to 65535, got {wanted!r}")
    for port in (wanted, last):
        if _is_port(port) and is_free(int(port)):
            return int(port)
    return embedded.free_port()


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
