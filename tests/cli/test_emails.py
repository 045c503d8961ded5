"""`postroom show`, `list`, `retry` and `mark-sent`."""

import pytest

from postroom.domain.email import (
    ConfirmedDuplicate,
    PossibleDuplicate,
    RecipientState,
    State,
)
from postroom.domain.hint import router_queue
from tests.builders import (
    ACCEPTED,
    ALPHA,
    BETA,
    NOW,
    REFUSED_FOR_GOOD,
    TIMED_OUT,
    a_content,
    a_held_email,
    a_parked_email,
    a_recipient,
    an_attempt,
    an_email,
)
from tests.cli.desk import Desk, a_stored_email


class TestShow:
    def test_it_says_what_became_of_an_email(self, desk: Desk) -> None:
        email_id = desk.holds(an_email(State.FAILED, reason="refused"))

        told = desk.done("show", email_id)

        assert told.splitlines()[:3] == [
            f"id          {email_id}",
            "state       failed",
            "why         refused",
        ]
        assert "to    ada@example.com  refused  550" in told
        (attempt,) = [line for line in told.splitlines() if line.startswith("1 ")]
        assert "alpha" in attempt
        assert "refused permanent" in attempt

    def test_a_parked_email_says_for_whom_it_waits(self, desk: Desk) -> None:
        email_id = desk.holds(a_parked_email(ALPHA, BETA))

        assert "why         waits for provider alpha, beta" in desk.done(
            "show", email_id
        )

    def test_a_possible_second_copy_is_told(self, desk: Desk) -> None:
        later = PossibleDuplicate(
            attempt_id="attempt-2", earlier=("attempt-1",), at=NOW
        )
        email = a_held_email(
            attempts=(an_attempt(TIMED_OUT), an_attempt(no=2)),
            possible_duplicates=(later,),
        )

        told = desk.done("show", desk.holds(email))

        assert "attempt 2 may be a second copy: 1 may have gone out" in told
        assert "in hand" in told

    def test_a_proved_copy_is_told_and_whom_an_attempt_turned_away(
        self, desk: Desk
    ) -> None:
        attempts = (an_attempt(ACCEPTED), an_attempt(ACCEPTED, no=2))
        copy = ConfirmedDuplicate(
            attempt_id="attempt-2", earlier=("attempt-1",), at=NOW
        )
        email = an_email(
            State.SENT,
            attempts=(*attempts, an_attempt(REFUSED_FOR_GOOD, no=3, refused=(0,))),
            confirmed_duplicates=(copy,),
        )

        told = desk.done("show", desk.holds(email))

        assert "attempt 2 is a second copy: 1 went out too" in told
        assert "attempt 3 was refused for ada@example.com" in told

    def test_json_is_what_the_api_shows(self, desk: Desk) -> None:
        email_id = desk.holds(an_email(State.SENT))

        shown = desk.json("show", email_id)

        assert (shown["object"], shown["id"]) == ("email", email_id)
        assert shown["state"] == "sent"
        assert shown["to"] == ["ada@example.com"]
        assert shown["text"] == "Hello"
        assert shown["attempts"][0]["outcome"] == "accepted"

    @pytest.mark.parametrize("email_id", ["65f000000000000000000009", "x", "a\x1b[2J"])
    def test_what_is_not_there_is_not_found(self, desk: Desk, email_id: str) -> None:
        result = desk.run("show", email_id, "--json")

        assert result.exit_code == 4
        assert result.stdout == ""
        assert result.stderr.startswith("postroom: there is no email")
        assert "\x1b" not in result.stderr

    def test_words_of_others_move_no_cursor(self, desk: Desk) -> None:
        attempt = an_attempt(REFUSED_FOR_GOOD, detail="550 \x1b[2J\r\nno [red]")
        content = a_content(subject="\u202egnp.exe")
        email = an_email(State.FAILED, attempts=(attempt,), content=content)

        told = desk.done("show", desk.holds(email))

        assert r"550 \u001b[2J\u000d\u000ano [red]" in told
        assert r"\u202egnp.exe" in told


class TestList:
    def test_the_newest_come_first_and_name_nobody(self, desk: Desk) -> None:
        first = desk.holds(a_stored_email(State.SENT))
        second = desk.holds(a_stored_email())

        told = desk.done("list")

        lines = told.splitlines()
        assert [line.split()[0] for line in lines] == ["id", second, first]
        assert "@" not in told

    def test_asked_for_recipients_are_shown_shortened(self, desk: Desk) -> None:
        desk.holds(a_stored_email())

        assert "a***@example.com" in desk.done("list", "--recipients")
        (email,) = desk.json("list", "--recipients")["data"]
        assert email["recipients"] == ["a***@example.com"]

    def test_json_has_the_words_of_the_api_and_no_address(self, desk: Desk) -> None:
        attempt = an_attempt(ACCEPTED, detail="250 ada@example.com ok")
        email_id = desk.holds(a_stored_email(State.SENT, attempts=(attempt,)))

        listed = desk.json("list")

        assert (listed["object"], listed["has_more"]) == ("list", False)
        (email,) = listed["data"]
        assert (email["id"], email["state"]) == (email_id, "sent")
        assert email["attempts"][0]["provider"] == ALPHA
        assert "@" not in str(email)

    def test_filters_and_cursors_are_passed_on(self, desk: Desk) -> None:
        bob = a_recipient(addr_spec="bob@example.com")
        emails = [
            a_stored_email(State.SENT),
            a_stored_email(recipients=(bob,)),
            a_stored_email(provider=BETA),
        ]
        first, second, third = [desk.holds(email) for email in emails]

        def ids(*words: str) -> list[str]:
            return [email["id"] for email in desk.json("list", *words)["data"]]

        assert ids("--state", "sent") == [first]
        assert ids("--to", "BOB@example.com") == [second]
        assert ids("--provider", BETA) == [third]
        assert ids("--after", second) == [first]
        assert ids("--before", second) == [third]
        assert ids("--limit", "1") == [third]
        assert ids("--created-after", "1h") == [third, second, first]
        assert ids("--created-before", "1h") == []
        assert ids("--created-after", "2999-01-01T00:00:00Z") == []

    def test_a_tag_is_looked_for_with_or_without_its_value(self, desk: Desk) -> None:
        desk.done("send", "--to", "a@b.example", "--subject", "s", "--text", "t")
        tagged = desk.done(
            *("send", "--to", "a@b.example", "--subject", "s", "--text", "t"),
            *("--tag", "kind=receipt"),
        ).strip()

        for tag in ("kind", "kind=receipt"):
            assert [e["id"] for e in desk.json("list", "--tag", tag)["data"]] == [
                tagged
            ]
        assert desk.json("list", "--tag", "kind=reset")["data"] == []

    def test_more_than_a_page_is_told_beside_the_list(self, desk: Desk) -> None:
        for _ in range(2):
            desk.holds(a_stored_email())

        result = desk.run("list", "--limit", "1")

        assert result.stderr == "there are more\n"
        assert len(result.stdout.splitlines()) == 2
        assert desk.json("list", "--limit", "1")["has_more"]

    @pytest.mark.parametrize(
        "words",
        [
            ("--limit", "0"),
            ("--limit", "101"),
            ("--state", "lost"),
            ("--after", "x"),
            ("--after", "0" * 24, "--before", "0" * 24),
            ("--created-after", "yesterday"),
            ("--created-after", "2026-01-01T00:00:00"),
            ("--created-before", "999999d"),
            ("--nonsense",),
        ],
        ids=" ".join,
    )
    def test_what_cannot_be_read_is_refused(
        self, desk: Desk, words: tuple[str, ...]
    ) -> None:
        result = desk.run("list", *words)

        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr


class TestRetry:
    def test_a_dead_letter_goes_again(self, desk: Desk) -> None:
        email_id = desk.holds(an_email(State.FAILED, reason="refused"))

        told = desk.done("retry", email_id)

        assert told == f"id     {email_id}\nstate  queued\n"
        email = desk.stored(email_id)
        assert (email.state, email.redrives) == (State.QUEUED, 1)
        assert [r.state for r in email.recipients] == [RecipientState.PENDING]
        assert desk.redis.exists(f"dramatiq:{router_queue(email.priority)}")

    def test_a_held_email_goes_again_only_by_force(self, desk: Desk) -> None:
        email_id = desk.holds(a_held_email())

        refused = desk.run("retry", email_id)
        assert refused.exit_code == 1
        assert "it may be out already" in refused.stderr
        assert desk.stored(email_id).state is State.UNKNOWN

        assert desk.json("retry", email_id, "--force")["state"] == "queued"
        assert desk.stored(email_id).state is State.QUEUED

    def test_one_that_was_sent_does_not(self, desk: Desk) -> None:
        result = desk.run("retry", desk.holds(an_email(State.SENT)))

        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "postroom: sent is no dead letter\n"

    def test_one_that_is_not_there_is_not_found(self, desk: Desk) -> None:
        assert desk.run("retry", "0" * 24).exit_code == 4


class TestMarkSent:
    def test_a_held_email_is_settled(self, desk: Desk) -> None:
        email_id = desk.holds(a_held_email())

        told = desk.done("mark-sent", email_id)

        assert told == f"id     {email_id}\nstate  sent\n"
        email = desk.stored(email_id)
        assert (email.state, email.reason) == (State.SENT, "marked_sent")
        assert desk.run("mark-sent", email_id).stderr == (
            "postroom: sent cannot be marked as sent\n"
        )

    def test_it_is_shown_as_json(self, desk: Desk) -> None:
        email_id = desk.holds(a_held_email())

        assert desk.json("mark-sent", email_id)["reason"] == "marked_sent"

    def test_one_that_nobody_can_have_is_not(self, desk: Desk) -> None:
        result = desk.run("mark-sent", desk.holds(an_email(State.QUEUED)))

        assert (result.exit_code, result.stdout) == (1, "")
        assert "nothing of it can be out" in result.stderr

    def test_one_that_is_not_there_is_not_found(self, desk: Desk) -> None:
        assert desk.run("mark-sent", "0" * 24).exit_code == 4
