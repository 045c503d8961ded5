"""The processes' logs: their last lines, or as they grow."""

from collections.abc import Iterator
from pathlib import Path

_TAIL_BYTES = 64 * 1024


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log; none if there is no such file yet."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-count:]


class Follower:
    """Reads what was added to the logs of a folder since the last look."""

    def __init__(self, folder: Path) -> None:
        """Start at the logs' present ends: what is old stays unread."""
        self._folder = folder
        self._read = {log: log.stat().st_size for log in folder.glob("*.log")}

    def new_lines(self) -> Iterator[tuple[str, str]]:
        """Yield process and line for each whole line that is new."""
        for log in sorted(self._folder.glob("*.log")):
            start = self._read.get(log, 0)
            if log.stat().st_size < start:
                start = 0  # it was rotated
            with log.open("rb") as file:
                file.seek(start)
                # A line that is still being written waits for its end.
                added, newline, _ = file.read().rpartition(b"\n")
            self._read[log] = start + len(added) + len(newline)
            for line in added.decode(errors="replace").splitlines():
                yield log.stem, line
