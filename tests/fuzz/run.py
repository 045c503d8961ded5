"""Schemathesis against the real processes: what openapi.json says, and what it forbids.

Every operation of the document is called, with a key, without one and with a wrong one,
with what its schema allows and what it does not; then emails are made and taken along
the links of the document.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.service import ROOT, Service

CONFIG = Path(__file__).with_name("schemathesis.toml")

#: Bound on one run, in seconds; only a hang reaches it.
PATIENCE_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run found.

    Attributes:
        passed: Whether no check failed and nothing broke.
        cases: Requests that were made and checked.
        tested: Operations that were called.
        known: Operations of the document.
        told: What Schemathesis printed.
    """

    passed: bool
    cases: int
    tested: int
    known: int
    told: str


def fuzz(folder: Path, *, examples: int, seed: int) -> Result:
    """Start the service in a folder and fuzz all of its API.

    Args:
        folder: Of servers, logs and the report; new or empty.
        examples: Most cases of one operation in each of the phases.
        seed: Repeats the choices of a run.
    """
    key = secrets.token_urlsafe(32)
    with Service(folder, POSTROOM_API_KEY=key) as service:
        return _fuzz(service, key, examples=examples, seed=seed)


def _fuzz(service: Service, key: str, *, examples: int, seed: int) -> Result:
    report = service.folder / "fuzz.json"
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        [
            str(bin_folder / "schemathesis"),
            *("--config-file", str(CONFIG)),
            *("run", f"http://127.0.0.1:{service.port}/openapi.json"),
            *("--max-examples", str(examples)),
            *("--seed", str(seed)),
            *("--report", "json", "--report-json-path", str(report)),
        ],
        # It leaves files where it runs.
        cwd=service.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "FUZZ_KEY": key, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"Schemathesis ended with {done.returncode}:\n{done.stdout}")
    found: dict[str, Any] = json.loads(report.read_text())
    return Result(
        passed=done.returncode == 0 and found["complete"],
        cases=found["test_cases"]["generated"],
        tested=found["operations"]["tested"],
        known=found["operations"]["total"],
        told=done.stdout,
    )
