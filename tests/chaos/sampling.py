"""Memory and descriptors of the processes over a long run, from /proc.

A line counts with all its processes. Only those that live throughout say something:
what was killed begins anew.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

#: Between two looks, in seconds.
EVERY_S = 5.0

#: Bytes of one page of memory.
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The medians of a run's first and last quarter.

    Attributes:
        first_mb, last_mb: Memory that is not swapped or given back, in 10^6 bytes.
        first_open, last_open: Open descriptors.
    """

    first_mb: float
    last_mb: float
    first_open: float
    last_open: float


class Sampling:
    """Looks at process groups from `with` to its end.

    Args:
        groups: Tells which groups there are now: a name and its leader's pid.
    """

    def __init__(self, groups: Callable[[], Mapping[str, int]]) -> None:
        self._groups = groups
        self._seen: dict[str, list[tuple[float, int]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def trends(self) -> dict[str, Trend]:
        """Return each name's trend, where it was seen often enough for one."""
        return {
            name: trend_of(seen) for name, seen in self._seen.items() if len(seen) >= 4
        }

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            for name, leader in self._groups().items():
                found = [look(pid) for pid in members(leader)]
                if found:
                    both = tuple(map(sum, zip(*found, strict=True)))
                    self._seen.setdefault(name, []).append((both[0], both[1]))


def trend_of(seen: Iterable[tuple[float, int]]) -> Trend:
    """Return the trend of four or more looks: megabytes and descriptors."""
    looks = list(seen)
    quarter = len(looks) // 4
    first, last = looks[:quarter], looks[-quarter:]
    return Trend(
        first_mb=round(statistics.median(mb for mb, _ in first), 1),
        last_mb=round(statistics.median(mb for mb, _ in last), 1),
        first_open=statistics.median(count for _, count in first),
        last_open=statistics.median(count for _, count in last),
    )


def members(leader: int) -> list[int]:
    """Return the processes of the group of that leader."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(words[2]) == leader:
            found.append(int(stat.parent.name))
    return found


def look(pid: int) -> tuple[float, int]:
    """Return a process's memory in 10^6 bytes, and how many descriptors it has open."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * PAGE / 1e6, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0.0, 0  # it ended meanwhile
