"""What a terminal and a pipe are given."""

import io
import sys

import pytest

from postroom.cli import output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.put_table(("id", "why"), [("a" * 8, None), ("b", "no [red]way[/red]")])

    assert capsys.readouterr().out.splitlines() == [
        "id        why",
        "aaaaaaaa  -",
        "b         no [red]way[/red]",
    ]


def test_a_terminal_gets_ids_in_one_piece_and_no_markup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")

    output.put_table(("id", "why"), [("a" * 24, "[red]a long story[/red] \x1b[2J")])

    told = terminal.getvalue()
    assert "a" * 24 in told
    assert "[red]" in told.replace("\n", "")
    assert "\x1b[2J" not in told


def test_fields_that_are_not_there_take_no_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.put_fields([("state", "sent"), ("why", None), ("subject", "a\nb")])

    told = capsys.readouterr().out.splitlines()
    assert told == ["state    sent", r"subject  a\u000ab"]


def test_json_is_one_ascii_document(capsys: pytest.CaptureFixture[str]) -> None:
    output.put_json({"subject": "ü\x1b"})

    assert capsys.readouterr().out == '{\n  "subject": "\\u00fc\\u001b"\n}\n'
