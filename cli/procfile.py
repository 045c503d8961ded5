"""The Procfile: one `name: command` a line, as Procfile hosts read it."""

import re
from pathlib import Path

from .errors import ProcfileError

#: The line that hosts run to its end before the others start.
RELEASE = "release"

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)$")


def read(path: Path) -> dict[str, str]:
    """Return the commands by name, in the file's order.

    Args:
        path: A Procfile. Empty lines and lines that start with ``#`` are left out.

    Raises:
        ProcfileError: There is no such file, a line is not ``name: command``, a name
            stands there twice, or there is nothing to run.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as ex:
        raise ProcfileError(f"cannot read {path}: {ex.strerror}") from ex
    commands: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None or found["name"] in commands:
            raise ProcfileError(
                f"{path}, line {number}: got {line!r}, expected name: command, "
                "each name once"
            )
        commands[found["name"]] = found["command"].rstrip()
    if not commands.keys() - {RELEASE}:
        raise ProcfileError(f"{path} names no process to keep running")
    return commands
