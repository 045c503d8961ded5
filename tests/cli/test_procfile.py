from pathlib import Path

import pytest

from postroom.cli import procfile
from postroom.cli.errors import ProcfileError


def a_procfile(folder: Path, text: str) -> Path:
    path = folder / "Procfile"
    path.write_text(text)
    return path


def test_commands_keep_their_order_and_every_sign(tmp_path: Path) -> None:
    path = a_procfile(
        tmp_path,
        "# hosts run these\n\nweb: serve 'a:b()' ${X:-1} # 5%\nclock:  tick ; tock\n",
    )

    assert list(procfile.read(path).items()) == [
        ("web", "serve 'a:b()' ${X:-1} # 5%"),
        ("clock", "tick ; tock"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web serve\n", "line 1: got 'web serve'"),
        ("web: serve\nweb: again\n", "line 2: got 'web: again'"),
        ("web:\n", "expected name: command"),
        ("", "names no process"),
        ("release: init\n", "names no process"),
    ],
    ids=["no colon", "twice", "no command", "empty", "release only"],
)
def test_what_is_no_procfile_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ProcfileError, match=said):
        procfile.read(a_procfile(tmp_path, text))


def test_a_missing_procfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcfileError, match=r"cannot read .*Procfile"):
        procfile.read(tmp_path / "Procfile")
