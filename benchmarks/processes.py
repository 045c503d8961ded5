"""What processes have cost: CPU and memory of a whole tree, as Linux counts them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of a tree of processes, in MB.

    Attributes:
        processes: How many there are.
        rss_mb: What each has in memory, added up: shared pages count in each.
        pss_mb: The same with shared pages divided among those that share them.
    """

    processes: int
    rss_mb: float
    pss_mb: float


def tree(pid: int) -> Iterator[int]:
    """Give a process and all that descend from it and still run."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from tree(int(child))


def cpu_s(pid: int) -> float:
    """Return the CPU time of a tree so far, in seconds, to 10 ms."""
    return sum(_cpu_ticks(each) for each in tree(pid)) / _TICKS_PER_S


def cpus_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU time of several trees, by name."""
    return {name: cpu_s(pid) for name, pid in pids.items()}


def memory(pid: int) -> Memory:
    """Return what a tree has in memory."""
    rss = pss = 0
    pids = list(tree(pid))
    for each in pids:
        found = _rollup(each)
        rss += found.get("Rss", 0)
        pss += found.get("Pss", 0)
    return Memory(processes=len(pids), rss_mb=rss / 1024, pss_mb=pss / 1024)


def peak_mb(pid: int) -> float:
    """Return the most that any one process of a tree has ever had in memory, in MB."""
    return max(_peak_kb(each) for each in tree(pid)) / 1024


def _peak_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # it has ended meanwhile
    words = (line.split() for line in status.splitlines())
    return next((int(each[1]) for each in words if each[0] == "VmHWM:"), 0)


def _cpu_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0  # it has ended meanwhile
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _rollup(pid: int) -> dict[str, int]:
    """Return the figures of `smaps_rollup`, in kB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {each[0].rstrip(":"): int(each[1]) for each in words}
