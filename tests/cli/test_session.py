import os
import signal
import subprocess
import time

from postroom.cli import session

#: Bound on what is immediate, in seconds; only a hang reaches it.
PATIENCE_S = 20.0


def a_leader(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)


def wait_for_members(leader: int, count: int) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while len(session.members(leader)) != count:
        assert time.monotonic() < give_up, session.members(leader)
        time.sleep(0.02)


def test_the_end_of_a_session_takes_children_that_refuse_to_stop() -> None:
    with a_leader("trap '' TERM; sleep 300 & sleep 301 & wait") as leader:
        wait_for_members(leader.pid, 3)

        session.end(leader.pid, grace_s=0.2)

        assert session.members(leader.pid) == []


def test_members_are_found_when_their_leader_was_killed() -> None:
    with a_leader("sleep 300 & wait") as leader:
        wait_for_members(leader.pid, 2)
        leader.kill()
        leader.wait()
        wait_for_members(leader.pid, 1)

        session.end(leader.pid, grace_s=5)

        assert session.members(leader.pid) == []


def test_a_leader_that_stops_in_time_is_not_killed() -> None:
    with a_leader("trap 'exit 7' TERM; while :; do sleep 0.05; done") as leader:
        wait_for_members(leader.pid, 2)

        session.end(leader.pid, grace_s=PATIENCE_S)

        assert leader.wait() == 7


def test_a_number_that_came_again_is_not_taken_for_ours() -> None:
    with a_leader("sleep 300; : /tmp/postroom-abc") as leader:
        wait_for_members(leader.pid, 2)

        assert session.is_led_by(leader.pid, mark="/tmp/postroom-abc")
        assert not session.is_led_by(leader.pid, mark="/tmp/postroom-xyz")

        os.killpg(leader.pid, signal.SIGKILL)


def test_the_command_line_of_nobody_is_none() -> None:
    with a_leader(":") as leader:
        leader.wait()

        assert session.command_line(leader.pid) is None
