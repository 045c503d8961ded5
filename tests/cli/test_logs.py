from pathlib import Path

from postroom.cli.logs import Follower, last_lines


def test_only_the_last_lines_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("".join(f"line {n}\n" for n in range(50_000)))

    assert last_lines(log, 2) == ["line 49998", "line 49999"]
    assert last_lines(tmp_path / "none.log", 2) == []


def test_followed_lines_come_once_and_whole(tmp_path: Path) -> None:
    old = tmp_path / "web.log"
    old.write_text("old\n")
    follower = Follower(tmp_path)

    with old.open("a") as log:
        log.write("new\nhalf")
    assert list(follower.new_lines()) == [("web", "new")]

    with old.open("a") as log:
        log.write(" and whole\n")
    assert list(follower.new_lines()) == [("web", "half and whole")]
    assert list(follower.new_lines()) == []


def test_a_rotated_log_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("much that is old\n")
    follower = Follower(tmp_path)

    log.write_text("fresh\n")

    assert list(follower.new_lines()) == [("web", "fresh")]
