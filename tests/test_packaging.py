"""The wheel: everything is in it, and it starts elsewhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.cli import record
from tests.layout import ROOT, package_files
from tests.ports import a_port
from tests.servers import PATIENCE_S

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from a copy: a build leaves files where it works."""
    source = tmp_path_factory.mktemp("source")
    for path in package_files():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    subprocess.run(
        [*build, "--no-build-isolation", "--wheel-dir", source / "dist", source],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S * 2,
    )
    return next((source / "dist").glob("*.whl"))


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())

    assert [path for path in package_files() if f"postroom/{path}" not in inside] == []


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0].split("-")[0] for name in archive.namelist()}

    assert tops == {"postroom"}


@pytest.fixture
def elsewhere(wheel: Path, tmp_path: Path) -> Path:
    """Install it into an environment of its own, which borrows the dependencies.

    A line in a .pth file borrows packages, but not the .pth files among them: our
    editable installation stays out.
    """
    environment = tmp_path / "elsewhere"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
            *("--no-deps", "--no-index", wheel),
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S * 2,
    )
    packages = next(environment.glob("lib/python*/site-packages"))
    packages.joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib"))
    for name in ("gunicorn", "dramatiq", "periodiq", "secantusd-py"):
        borrow(Path(sys.executable).parent / name, python)
    return environment


def borrow(script: Path, python: Path) -> None:
    """Make a command of ours one of the other environment's Python."""
    if script.exists():
        _, _, rest = script.read_text().partition("\n")
        copy = python.parent / script.name
        copy.write_text(f"#!{python}\n{rest}")
        copy.chmod(0o755)


def ask(environment: Path, code: str) -> str:
    return subprocess.run(
        [environment / "bin" / "python", "-c", code],
        cwd=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    ).stdout.strip()


def test_what_is_installed_is_the_wheel(elsewhere: Path) -> None:
    where = ask(elsewhere, "import postroom.cli.main as m; print(m.__file__)")

    assert Path(where).is_relative_to(elsewhere)


@pytest.fixture
def started(elsewhere: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the whole service from the wheel, far from the repository."""
    folder = tmp_path / "empty"
    folder.mkdir()
    shutil.copy(ROOT / "Procfile", folder)
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MONGODB_URI", "REDIS_URL", "PYTHONPATH", "VIRTUAL_ENV"}
    }
    environ["PORT"] = str(a_port())  # the usual one may be another test's
    with subprocess.Popen(
        [elsewhere / "bin" / "postroom", "stack", "run"],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        yield child
        # Its output is closed before it stops, as when a terminal is closed: that
        # must leave nothing running.
        session = record.read(folder / ".postroom")["session"]
        assert child.stdout is not None
        child.stdout.close()
        child.terminate()
        child.wait(PATIENCE_S)
    with pytest.raises(ProcessLookupError):
        os.killpg(session, 0)


@pytest.mark.e2e
def test_the_installed_wheel_sends_an_email(started: subprocess.Popen[str]) -> None:
    assert started.stdout is not None
    seen = ""
    for line in started.stdout:
        seen += line
        if "sent by sandbox" in line:
            return
    pytest.fail(f"no email was sent:\n{seen}")
