import socket
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from postroom.cli import surroundings
from postroom.cli.embedded import HOST, free_port
from postroom.cli.errors import StackError
from postroom.cli.surroundings import Surroundings, survey, write_env


def a_survey(project: Path, environ: Mapping[str, str] | None = None) -> Surroundings:
    folder = project / ".postroom"
    folder.mkdir(exist_ok=True)
    return survey(environ or {}, project=project, folder=folder)


def keep(project: Path, found: Surroundings) -> None:
    write_env(project / ".postroom" / "env", found.kept())


def test_with_nothing_given_both_stores_are_embedded(tmp_path: Path) -> None:
    found = a_survey(tmp_path)

    assert [spec.name for spec in found.stores] == ["mongo", "redis"]
    assert found.environ["MONGODB_URI"] == found.stores[0].url
    assert found.environ["REDIS_URL"] == found.stores[1].url


def test_given_stores_are_used_as_they_are(tmp_path: Path) -> None:
    given = {"MONGODB_URI": "mongodb://db.example/x", "REDIS_URL": "redis://q.example"}

    found = a_survey(tmp_path, given)

    assert found.stores == ()
    assert given.items() <= found.environ.items()


def test_the_env_file_of_the_project_gives_but_the_environment_wins(
    tmp_path: Path,
) -> None:
    tmp_path.joinpath(".env").write_text(
        "REDIS_URL=redis://file.example\nPOSTROOM_MAX_AGE_H=1\n"
    )

    found = a_survey(tmp_path, {"POSTROOM_MAX_AGE_H": "2"})

    assert [spec.name for spec in found.stores] == ["mongo"]
    assert found.environ["REDIS_URL"] == "redis://file.example"
    assert found.environ["POSTROOM_MAX_AGE_H"] == "2"


def test_a_taken_port_is_left_to_its_owner(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]

        found = a_survey(tmp_path, {"PORT": str(taken)})

    assert found.port != taken
    assert found.environ["PORT"] == str(found.port)


def test_a_free_port_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    port = free_port()

    assert a_survey(tmp_path, {"PORT": str(port)}).port == port


@pytest.mark.parametrize("port", ["web", "0", "65536", "-1", "²"])
def test_what_is_no_port_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(StackError, match="from 1 to 65535"):
        a_survey(tmp_path, {"PORT": port})


def test_the_next_run_has_the_same_ports(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        wanted = {"PORT": str(other.getsockname()[1])}
        first = a_survey(tmp_path, wanted)
        keep(tmp_path, first)

        second = a_survey(tmp_path, wanted)

    assert second.kept() == first.kept()


def test_a_shell_that_has_read_our_addresses_gives_us_no_stores(
    tmp_path: Path,
) -> None:
    first = a_survey(tmp_path)
    keep(tmp_path, first)

    second = a_survey(tmp_path, first.kept())

    assert [spec.name for spec in second.stores] == ["mongo", "redis"]


def test_addresses_are_read_by_a_shell_and_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "env"
    write_env(path, {"MONGODB_URI": "mongodb://me:a'b@h/?x=1&y=$HOME"})

    told = subprocess.run(
        ["/bin/sh", "-c", f'set -a; . {path}; printf %s "$MONGODB_URI"'],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout == "mongodb://me:a'b@h/?x=1&y=$HOME"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert surroundings.read_env(path) == {"MONGODB_URI": told.stdout}
