"""Orders about one email over HTTP: move, cancel, retry, erase."""

from typing import Any

import falcon.testing
import pytest

from postroom.domain.email import Email, State
from postroom.domain.erasure import is_erased_whole
from tests.builders import (
    ID,
    TIMED_OUT,
    a_held_email,
    an_attempt,
    an_email,
)
from tests.web.stand import NOW, Stand, a_body, faults

CHANGED = {"object": "email", "id": ID}


def stored(stand: Stand) -> Email:
    email = stand.store.load(ID)
    assert email is not None
    return email


def ask(
    stand: Stand, verb: str, body: object = None, **given: Any
) -> falcon.testing.Result:
    path = f"/api/emails/{ID}"
    match verb:
        case "patch":
            return stand.client.simulate_patch(path, json=body, **given)
        case "delete":
            return stand.client.simulate_delete(path, **given)
        case _:
            json = {"json": body} if body is not None else {}
            return stand.client.simulate_post(f"{path}/{verb}", **json, **given)


ORDERS: dict[str, tuple[State, Any]] = {
    "patch": (State.SCHEDULED, {"scheduled_at": "in 1 hour"}),
    "cancel": (State.QUEUED, None),
    "retry": (State.FAILED, None),
    "delete": (State.SENT, None),
}


@pytest.mark.parametrize("verb", ORDERS)
def test_another_owner_s_email_is_not_there(stand: Stand, verb: str) -> None:
    state, body = ORDERS[verb]
    email = an_email(state, owner="bob")
    stand.store.insert(email)

    answer = ask(stand, verb, body)

    assert (answer.status_code, answer.json["name"]) == (404, "not_found")
    assert stand.store.load(ID) == email


@pytest.mark.parametrize("verb", ORDERS)
def test_an_email_that_never_was_is_not_there(stand: Stand, verb: str) -> None:
    _, body = ORDERS[verb]

    missing = ask(stand, verb, body)

    assert (missing.status_code, missing.json["name"]) == (404, "not_found")


@pytest.mark.parametrize("verb", ORDERS)
def test_in_a_state_for_something_else_it_is_409_with_the_reason(
    stand: Stand, verb: str
) -> None:
    stand.store.insert(an_email(State.SENDING))

    answer = ask(stand, verb, ORDERS[verb][1])

    assert (answer.status_code, answer.json["name"]) == (409, "conflict")
    assert "sending" in answer.json["message"]


@pytest.mark.parametrize("verb", ORDERS)
def test_without_the_store_s_time_nothing_is_changed(stand: Stand, verb: str) -> None:
    state, _ = ORDERS[verb]
    email = an_email(state)
    stand.store.insert(email)
    stand.clock.lost = True
    body = {"scheduled_at": "2031-01-01T00:00:00Z"} if verb == "patch" else None

    answer = ask(stand, verb, body)

    assert (answer.status_code, answer.json["name"]) == (503, "store_unavailable")
    assert stored(stand) == email


class TestMove:
    def test_a_scheduled_email_goes_at_another_time(self, stand: Stand) -> None:
        posted = stand.post(a_body(scheduled_at="in 3 days")).json["id"]

        answer = stand.client.simulate_patch(
            f"/api/emails/{posted}", json={"scheduled_at": "2031-01-31T10:00:00+01:00"}
        )

        assert answer.status_code == 200
        assert answer.json == {"object": "email", "id": posted}
        shown = stand.get(f"/api/emails/{posted}").json
        assert shown["scheduled_at"] == "2031-01-31T09:00:00.000Z"
        assert (shown["state"], shown["last_event"]) == ("scheduled", "scheduled")
        assert shown["not_before"] == shown["due_at"] == shown["scheduled_at"]

    def test_one_that_was_not_scheduled_is_409(self, stand: Stand) -> None:
        posted = stand.post(a_body()).json["id"]

        answer = stand.client.simulate_patch(
            f"/api/emails/{posted}", json={"scheduled_at": "in 1 hour"}
        )

        assert answer.status_code == 409
        assert answer.json["message"] == "queued is not scheduled"

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({}, ("scheduled_at", "missing")),
            ({"scheduled_at": None}, ("scheduled_at", "missing")),
            ({"scheduled_at": "soon"}, ("scheduled_at", "invalid_time")),
            ({"scheduled_at": "in 9999 days"}, ("scheduled_at", "invalid_time")),
            ({"scheduled_at": 7}, ("scheduled_at", "wrong_type")),
            (
                {"scheduled_at": "in 1 hour", "subject": "x"},
                ("subject", "unknown_field"),
            ),
            ({"scheduled_at": "in 1 hour", "id": "0" * 24}, ("id", "conflict")),
            ([], ("", "wrong_type")),
            ({f"x{no}": 1 for no in range(101)}, ("", "too_many")),
        ],
    )
    def test_what_is_wrong_is_refused_by_its_name(
        self, stand: Stand, body: object, fault: tuple[str, str]
    ) -> None:
        stand.store.insert(an_email(State.SCHEDULED))

        answer = ask(stand, "patch", body)

        assert answer.status_code == 400
        assert faults(answer) == {fault}

    @pytest.mark.parametrize("is_repeated", [True, False])
    def test_the_id_may_stand_in_the_body_too(
        self, stand: Stand, is_repeated: bool
    ) -> None:
        posted = stand.post(a_body(scheduled_at="in 3 days")).json["id"]
        body = {"id": posted if is_repeated else None, "scheduled_at": "in 1 hour"}

        answer = stand.client.simulate_patch(f"/api/emails/{posted}", json=body)

        assert answer.status_code == 200

    def test_no_body_is_no_order(self, stand: Stand) -> None:
        assert stand.client.simulate_patch(f"/api/emails/{ID}").status_code == 415


class TestCancel:
    def test_what_nothing_went_out_of_is_cancelled(self, stand: Stand) -> None:
        stand.store.insert(an_email())

        answer = ask(stand, "cancel")

        assert (answer.status_code, answer.json) == (200, CHANGED)
        shown = stand.get(f"/api/emails/{ID}").json
        assert (shown["state"], shown["last_event"]) == ("cancelled", "canceled")
        assert [event["type"] for event in shown["events"]] == ["queued", "cancelled"]

    @pytest.mark.parametrize("email", [a_held_email(), an_email(State.UNKNOWN)])
    def test_what_may_be_out_is_cancelled_only_by_force(
        self, stand: Stand, email: Email
    ) -> None:
        stand.store.insert(email)

        refused = ask(stand, "cancel", {"force": False})
        done = ask(stand, "cancel", {"force": True})

        assert refused.status_code == 409
        assert "it may be out already: say force" in refused.json["message"]
        assert (done.status_code, stored(stand).state) == (200, State.CANCELLED)

    def test_also_once_it_is_queued_again(self, stand: Stand) -> None:
        stand.store.insert(an_email(attempts=(an_attempt(TIMED_OUT),)))

        assert ask(stand, "cancel").status_code == 409
        assert ask(stand, "cancel", {"force": True}).status_code == 200


class TestRetry:
    def test_a_dead_letter_goes_again(self, stand: Stand) -> None:
        stand.store.insert(an_email(State.FAILED))

        answer = ask(stand, "retry", {})

        assert (answer.status_code, answer.json) == (202, CHANGED)
        assert stored(stand).state is State.QUEUED
        assert [getattr(h.what, "email_id", "") for h in stand.hints.hinted] == [ID]

    def test_what_may_be_out_goes_again_only_by_force(self, stand: Stand) -> None:
        stand.store.insert(a_held_email())

        assert ask(stand, "retry").status_code == 409
        assert ask(stand, "retry", {"force": True}).status_code == 202

    def test_an_erased_one_is_409(self, stand: Stand) -> None:
        stand.store.insert(an_email(State.FAILED))
        ask(stand, "delete")

        answer = ask(stand, "retry")

        assert answer.status_code == 409
        assert answer.json["message"] == "its content was erased"


class TestBodies:
    @pytest.mark.parametrize("verb", ["cancel", "retry"])
    def test_an_empty_body_needs_no_type(self, stand: Stand, verb: str) -> None:
        stand.store.insert(an_email(ORDERS[verb][0]))

        assert ask(stand, verb).status_code in {200, 202}

    def test_but_for_a_page_in_a_browser(self, stand: Stand) -> None:
        """One of another site cannot name JSON without being allowed to."""
        email = an_email()
        stand.store.insert(email)

        answer = ask(stand, "cancel", headers={"Origin": "https://evil.example"})

        assert answer.status_code == 415
        assert stored(stand) == email

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({"force": "yes"}, ("force", "wrong_type")),
            ({"force": 1}, ("force", "wrong_type")),
            ({"farce": True}, ("farce", "unknown_field")),
        ],
    )
    def test_what_is_wrong_is_refused_by_its_name(
        self, stand: Stand, body: object, fault: tuple[str, str]
    ) -> None:
        stand.store.insert(an_email())

        answer = ask(stand, "cancel", body)

        assert answer.status_code == 400
        assert faults(answer) == {fault}

    def test_null_is_absent(self, stand: Stand) -> None:
        stand.store.insert(an_email())

        assert ask(stand, "cancel", {"force": None}).status_code == 200

    @pytest.mark.parametrize("content_type", ["text/plain", "application/xml"])
    def test_another_type_is_415(self, stand: Stand, content_type: str) -> None:
        answer = ask(stand, "cancel", headers={"Content-Type": content_type})

        assert answer.status_code == 415

    def test_a_body_of_no_type_is_415(self, stand: Stand) -> None:
        path = f"/api/emails/{ID}/cancel"

        assert stand.client.simulate_post(path, body=b"{}").status_code == 415


class TestErase:
    def test_what_it_said_goes_and_the_record_is_still_shown(
        self, stand: Stand
    ) -> None:
        stand.store.insert(an_email(State.SENT))

        answer = ask(stand, "delete")

        assert (answer.status_code, answer.content) == (204, b"")
        assert is_erased_whole(stored(stand))
        shown = stand.get(f"/api/emails/{ID}").json
        assert (shown["to"], shown["subject"], shown["text"]) == ([], None, None)
        assert shown["erased_at"] == NOW.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        )
        (recipient,) = shown["recipients"]
        assert (recipient["address"], recipient["state"]) == (None, "accepted")
        assert shown["attempts"][0]["recipients"] == []
        (listed,) = stand.get("/api/emails").json["data"]
        assert (listed["to"], listed["subject"], listed["state"]) == ([], None, "sent")

    def test_again_is_no_error(self, stand: Stand) -> None:
        stand.store.insert(an_email(State.SENT))

        assert [ask(stand, "delete").status_code for _ in range(2)] == [204, 204]

    def test_an_open_one_is_409(self, stand: Stand) -> None:
        stand.store.insert(an_email())

        answer = ask(stand, "delete")

        assert answer.status_code == 409
        assert answer.json["message"] == "queued still needs its content"
