"""What a run's result is taken for, and that it can be shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chaos import report
from tests.chaos.evidence import Evidence, Fault
from tests.chaos.judge import judge
from tests.chaos.report import Result
from tests.chaos.sampling import Trend
from tests.chaos.test_judge import FAILED, a_document, a_send, of


def a_result(evidence: Evidence | None = None, **changes: Any) -> Result:
    evidence = evidence or of(a_send(), a_document())
    values = {
        "name": "seed 1",
        "seed": 1,
        "seconds": 95.0,
        "design": "postroom",
        "provider": "plain",
        "settings": "short",
        "drain_s": 2.0,
        "unasked": {},
        "versions": {},
        "load_average": (0.5, 1.5),
        "soak": {},
        "folder": None,
        **changes,
    }
    return report.result_of(evidence, judge(evidence), **values)


ONCE = of(a_send(), a_document())

TWICE = of(a_send(), a_send(102.0), a_document(possible_duplicates=1))

LOST = of(FAILED)


@pytest.mark.parametrize(
    ("evidence", "changes"),
    [
        (ONCE, {}),
        (TWICE, {}),
        (ONCE, {"seconds": 0}),
        (ONCE, {"provider": "keys"}),
        (LOST, {"design": "bare"}),
        (ONCE, {"design": "bare", "seconds": 0}),
        (TWICE, {"design": "sweep", "seconds": 0}),
        (ONCE, {"design": "sweep"}),
    ],
)
def test_nobody_complains_of_what_must_be(
    evidence: Evidence, changes: dict[str, Any]
) -> None:
    assert report.complaint(a_result(evidence, **changes)) is None


@pytest.mark.parametrize(
    ("evidence", "changes", "said"),
    [
        (LOST, {}, "promise"),
        (TWICE, {"seconds": 0}, "1 copies"),
        (TWICE, {"provider": "keys"}, "1 copies"),
        (ONCE, {"design": "bare"}, "too weak"),
        (ONCE, {"design": "sweep", "seconds": 0}, "too weak"),
    ],
)
def test_a_broken_promise_and_a_weak_script_are_complained_of(
    evidence: Evidence, changes: dict[str, Any], said: str
) -> None:
    assert said in str(report.complaint(a_result(evidence, **changes)))


def test_the_table_has_a_column_a_run_and_a_row_a_fault() -> None:
    fault = Fault(kind="kill_web", started_at=99.0, ended_at=100.5)
    evidence = of(a_send(), a_document())
    broken = Evidence(
        posts=evidence.posts,
        sends=evidence.sends,
        documents=evidence.documents,
        faults=(fault,),
    )
    trend = Trend(first_mb=50.0, last_mb=51.0, first_open=10, last_open=10)

    shown = report.table(
        [a_result(broken), a_result(name="soak 1", soak={"web": trend})]
    )

    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line}
    assert lines["accepted"] == ["accepted", "1", "1"]
    assert lines["kill_web"] == [
        *("kill_web", "postroom", "1", "1", "0.5", "0.5", "0.5", "0.01")
    ]
    assert lines["web"] == ["web", "50", "51", "10", "10"]


def test_the_json_has_all_of_it() -> None:
    (shown,) = json.loads(json.dumps(report.as_json([a_result()])))

    assert shown["verdict"]["figures"]["lost"] == 0
    assert shown["recoveries"]["all"]["times"] == 0
    assert shown["faults"] == 0
    assert shown["kept"] is True
