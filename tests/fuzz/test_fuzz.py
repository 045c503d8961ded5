"""A short run of `make fuzz`: the API does what openapi.json says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scale import a_seed, scaled
from tests.fuzz.run import fuzz

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

#: Most cases of one operation in each phase.
EXAMPLES = scaled(suite=25, full=300)

#: Fewer cases in all would say that something was not tried.
FEWEST = scaled(suite=300, full=2000)


def test_the_api_does_what_its_document_says(tmp_path: Path) -> None:
    seed = a_seed()

    result = fuzz(tmp_path / "run", examples=EXAMPLES, seed=seed)

    print(f"\n{result.cases} cases, {result.tested} operations, seed {seed}")
    assert result.passed, f"seed {seed}:\n{result.told}"
    assert result.tested == result.known
    assert result.cases >= FEWEST
