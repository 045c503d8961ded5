"""What `make` promises: every target is listed, and a Python is chosen that runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layout import ROOT

MAKEFILE = ROOT / "Makefile"
TARGETS = re.findall(r"^\.PHONY: (\S+)$", MAKEFILE.read_text(), re.MULTILINE)
HIDDEN = {"links"}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_every_target_and_is_the_default() -> None:
    listed = re.findall(r"^  ([a-z0-9-]+) ", make(ROOT).stdout, re.MULTILINE)

    assert set(listed) == set(TARGETS) - HIDDEN
    assert {
        *("run", "dev", "test", "test-unit", "test-e2e", "test-watch"),
        *("check", "cover", "release"),
    } <= set(listed)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target: str) -> None:
    planned = make(ROOT, "--dry-run", target)

    assert planned.returncode == 0, planned.stderr


def a_python(folder: Path, *, version: str, works: bool = True) -> Path:
    """Make a command that takes itself for another version, or a broken shim."""
    parts = ", ".join(version.split("."))
    pretend = f"import sys; sys.version_info = ({parts}); sys.version = '{version}'; "
    path = folder / f"python{version}"
    path.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "{pretend}$2"\n'
        if works
        else "#!/bin/sh\necho not installed >&2; exit 127\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(MAKEFILE, tmp_path)
    return tmp_path


@pytest.mark.parametrize("version", ["3.14.0", "3.10.1"])
def test_a_python_that_does_not_fit_is_refused_with_what_would(
    folder: Path, version: str
) -> None:
    python = a_python(folder, version=version)

    refused = make(folder, ".venv/bin/python", f"PYTHON={python}")

    assert refused.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in refused.stderr
    assert f"is {version}" in refused.stderr
    assert "PYTHON=/path/to/python3.13" in refused.stderr
    assert not (folder / ".venv").exists()


def test_a_shim_of_what_is_not_installed_is_passed_over(folder: Path) -> None:
    shim = a_python(folder, version="3.13.0", works=False)

    made = make(folder, ".venv/bin/python", f"NAMES={shim} {sys.executable}")

    assert made.returncode == 0, made.stderr
    assert (folder / ".venv" / "bin" / "pip").exists()


def test_an_environment_is_made_without_ensurepip_too(folder: Path) -> None:
    """Debian's python3 has no ensurepip before python3-venv is installed."""
    python = folder / "python3"
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in "-m venv .venv") exit 1;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)

    made = make(folder, ".venv/bin/python", f"PYTHON={python}")

    assert made.returncode == 0, made.stderr
    assert (folder / ".venv" / "bin" / "pip").exists()
