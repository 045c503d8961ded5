"""`postroom erase --address`."""

from postroom.domain.email import State
from postroom.domain.erasure import is_erased_whole
from tests.builders import a_recipient
from tests.cli.desk import Desk, a_stored_email

BOB = (a_recipient(addr_spec="bob@example.com"),)


def test_all_final_emails_to_an_address_are_erased_and_the_open_ones_counted(
    desk: Desk,
) -> None:
    sent, failed = (
        desk.holds(a_stored_email(State.SENT)),
        desk.holds(a_stored_email(State.FAILED, owner="tenant")),
    )
    still_open = desk.holds(a_stored_email())
    other = desk.holds(a_stored_email(State.SENT, recipients=BOB))

    told = desk.json("erase", "--address", "Ada@Example.com")

    assert told == {
        "object": "erasure",
        "dry_run": False,
        "erased": 2,
        "still_open": 1,
    }
    erased = {each: is_erased_whole(desk.stored(each)) for each in (sent, failed)}
    assert all(erased.values())
    assert not is_erased_whole(desk.stored(still_open))
    assert not is_erased_whole(desk.stored(other))
    assert desk.done("show", sent)
    assert desk.done("list", "--recipients")


def test_a_dry_run_erases_nothing(desk: Desk) -> None:
    sent = desk.holds(a_stored_email(State.SENT))

    result = desk.run("erase", "--address", "ada@example.com", "--dry-run")

    assert (result.exit_code, "dry run" in result.stderr) == (0, True)
    assert result.stdout.split() == ["erased", "1", "still_open", "0"]
    assert not is_erased_whole(desk.stored(sent))


def test_only_one_owner_s_if_asked(desk: Desk) -> None:
    theirs = desk.holds(a_stored_email(State.SENT, owner="tenant"))
    desk.holds(a_stored_email(State.SENT))

    words = ("erase", "--address", "ada@example.com", "--owner", "tenant")

    assert desk.json(*words)["erased"] == 1
    assert is_erased_whole(desk.stored(theirs))


def test_what_is_no_address_is_refused(desk: Desk) -> None:
    result = desk.run("erase", "--address", "ada")

    assert result.exit_code == 2
    assert "--address" in result.stderr
