"""A short run of `make chaos`: the promise holds while everything breaks."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import report
from tests.chaos.house import Plan
from tests.chaos.run import Scenario, run
from tests.e2e.scale import a_seed

#: How long there are faults, in seconds.
SECONDS = 18.0


def test_every_promise_is_kept_while_everything_breaks(tmp_path: Path) -> None:
    seed = a_seed()
    scenario = Scenario(name=f"seed {seed}", plan=Plan(seed=seed), seconds=SECONDS)

    result = run(scenario, tmp_path / "run")

    print(f"\n{report.table([result])}")
    assert report.complaint(result) is None, f"seed {seed}: see {result.folder}"
    assert result.verdict.accepted > 0
    assert result.faults > 0
    assert result.verdict.figures["repeats"] > 0
    assert result.verdict.figures["odd_answers"] == 0
