"""`make release`: version and changelog from the commits, tried on a copy."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layout import ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or shutil.which("make") is None,
    reason="there is no git or no make",
)

FILES = ("pyproject.toml", "setup.cfg", "CHANGELOG.md")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path, message: str) -> None:
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository with a release and three commits after it."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    commit(tmp_path, "feat(domain): start")
    git(tmp_path, "tag", "v0.1.0")
    commit(tmp_path, "feat(http): take cc")
    commit(tmp_path, "fix(actors): stop in time")
    commit(tmp_path, "chore: tidy")
    return tmp_path


def release(folder: Path, *, dry: bool) -> str:
    """Run the last command of the target, as make would."""
    plan = subprocess.run(
        [
            "make",
            "--no-print-directory",
            "--dry-run",
            "release",
            *(["DRY_RUN=1"] if dry else []),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    command, *words = shlex.split(plan.strip().splitlines()[-1])
    assert command == ".venv/bin/cz"
    done = subprocess.run(
        [sys.executable, "-m", "commitizen.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "a@example.com" for who in ("AUTHOR", "COMMITTER")},
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in FILES}


def test_a_dry_run_shows_version_and_text_and_changes_nothing(
    repository: Path,
) -> None:
    before = contents(repository)

    shown = release(repository, dry=True)

    assert "0.1.0 → 0.2.0" in shown
    assert "take cc" in shown
    assert "stop in time" in shown
    assert "tidy" not in shown
    assert contents(repository) == before
    assert git(repository, "tag").split() == ["v0.1.0"]
    assert git(repository, "status", "--porcelain") == ""


def test_a_release_is_one_tagged_commit_with_the_version_in_both_files(
    repository: Path,
) -> None:
    release(repository, dry=False)

    after = contents(repository)
    assert "\nversion = 0.2.0\n" in after["setup.cfg"]
    assert '\nversion = "0.2.0"\n' in after["pyproject.toml"]
    assert "take cc" in after["CHANGELOG.md"]
    assert after["CHANGELOG.md"].startswith("# Changelog")
    assert git(repository, "tag", "--points-at", "HEAD").split() == ["v0.2.0"]
    assert git(repository, "rev-list", "--count", "v0.1.0..HEAD").strip() == "4"


def test_the_version_is_the_same_everywhere() -> None:
    versions = {
        line.split("=")[1].strip().strip('"')
        for name in ("setup.cfg", "pyproject.toml")
        for line in (ROOT / name).read_text().splitlines()
        if line.startswith("version =")
    }

    assert len(versions) == 1
