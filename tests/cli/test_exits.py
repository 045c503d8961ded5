"""One exit code for each kind of end, the same for every verb."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from postroom.cli.errors import InputError
from postroom.cli.exits import EPILOG, ExitCode, answering
from postroom.cli.main import app
from postroom.domain.errors import (
    BreakersAwayError,
    ClockUnsureError,
    EmailNotFoundError,
    ForbiddenTransitionError,
    InvalidValueError,
    NotStoredError,
    SearchTimeoutError,
    SettingsError,
    StorageUnsureError,
    StoreUnavailableError,
    UncarriableError,
    UnknownProviderError,
)
from tests.layout import ROOT


@pytest.mark.parametrize(
    ("ex", "code"),
    [
        (InputError("x"), 2),
        (InvalidValueError("x"), 2),
        (EmailNotFoundError("x"), 4),
        (UnknownProviderError("x", known=["y"]), 4),
        (StorageUnsureError("x", email_id="65f0"), 3),
        (StoreUnavailableError("x"), 3),
        (NotStoredError("x"), 3),
        (ClockUnsureError("x"), 3),
        (BreakersAwayError("x"), 3),
        (SearchTimeoutError("x"), 1),
        (ForbiddenTransitionError("x"), 1),
        (UncarriableError({"alpha": "too_large"}), 1),
        (SettingsError(("x",)), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_end_has_its_code(
    ex: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as raised, answering():
        raise ex

    assert raised.value.exit_code == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("postroom: ")


def test_an_unsure_id_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), answering():
        raise StorageUnsureError("nobody knows", email_id="65f0")

    assert "`postroom show 65f0`" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), answering():
        raise ZeroDivisionError


@pytest.mark.parametrize("words", [[], ["providers"], ["dead-letters"]], ids=str)
def test_every_help_names_the_codes(words: list[str]) -> None:
    told = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}).output

    assert EPILOG in " ".join(told.split())


def test_the_page_for_operators_has_every_code_and_every_verb() -> None:
    page = Path(ROOT, "docs/operating.md").read_text("utf-8")
    section = page.split("\n## The command line\n", 1)[1].split("\n## ", 1)[0]

    codes = re.findall(r"^\| (\d) \|", section, re.MULTILINE)
    assert codes == [str(code.value) for code in ExitCode]
    missing = [verb for verb in verbs() if f"`postroom {verb}" not in section]
    assert missing == []


def verbs() -> list[str]:
    found = []
    command = typer.main.get_command(app)
    for name, inner in command.commands.items():  # type: ignore[attr-defined]
        groups = getattr(inner, "commands", {})
        found += [f"{name} {verb}" for verb in groups] or [name]
    return found
