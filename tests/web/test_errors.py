"""One body for every error, and never a trace."""

from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from falcon.testing import Result

from postroom.adapters.memory_store import MemoryStore
from postroom.domain.email import Email
from postroom.domain.ports import EmailStore
from tests.web.stand import Stand, a_body

FIELDS = {
    *("statusCode", "name", "message", "type", "title", "status", "detail"),
    *("errors", "request_id"),
}


class CrashingStore(MemoryStore):
    def insert(self, email: Email) -> None:
        raise RuntimeError(f"{email.recipients} {email.content}")


def answers() -> Sequence[Any]:
    stand = Stand()
    crashing = Stand(store=CrashingStore())
    return [
        pytest.param(stand.post({}), 400, id="400"),
        pytest.param(stand.get("/nothing"), 404, id="404 route"),
        pytest.param(stand.get("/api/emails/x"), 404, id="404 email"),
        pytest.param(stand.get("/docs/assets/../app.py"), 404, id="404 asset"),
        pytest.param(stand.client.simulate_delete("/health"), 405, id="405"),
        pytest.param(stand.post_raw(b"{}", Content_Type="text/plain"), 415, id="415"),
        pytest.param(crashing.post(a_body()), 500, id="500"),
    ]


@pytest.mark.parametrize(("answer", "status"), answers())
def test_every_error_has_the_same_body(answer: Result, status: int) -> None:
    body = answer.json

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert set(body) == FIELDS
    assert body["status"] == body["statusCode"] == status
    assert body["detail"] == body["message"]
    assert body["type"] == f"urn:postroom:error:{body['name']}"
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert body["title"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/problem+json", "application/problem+json"),
        ("text/html, application/problem+json;q=0.5", "application/problem+json"),
        ("application/json, application/problem+json", "application/problem+json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_a_problem_is_called_one_where_the_client_asks_for_it(
    stand: Stand, accept: str, content_type: str
) -> None:
    answer = stand.get("/nothing", headers={"Accept": accept})

    assert answer.headers["Content-Type"] == content_type
    assert answer.json["status"] == 404


def test_a_method_that_is_not_allowed_is_405_with_those_that_are(stand: Stand) -> None:
    answer = stand.client.simulate_put("/api/emails")

    assert answer.json["name"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, POST, OPTIONS"


def test_a_crash_shows_nothing_and_is_logged_without_its_words() -> None:
    stand = Stand(store=CrashingStore())

    with structlog.testing.capture_logs() as logs:
        answer = stand.post(a_body())

    crash = next(line for line in logs if line["event"] == "http.crash")
    assert answer.json["name"] == "application_error"
    assert "Traceback" not in answer.text
    assert "RuntimeError" not in answer.text
    assert crash["error"] == "RuntimeError"
    assert "in insert" in crash["trace"]
    assert crash["request_id"] == answer.json["request_id"]
    assert "ada@example.com" not in str(logs)
    assert "Hello" not in str(logs)


def test_a_name_that_utf8_cannot_carry_does_not_break_the_answer() -> None:
    from postroom.http.errors import validation_error
    from postroom.http.faults import Fault, FaultCode

    stand = Stand()

    class Raises:
        is_open = True

        def on_get(self, *_: object) -> None:
            raise validation_error(
                [Fault(field="\ud800", code=FaultCode.INVALID, message="is not valid")]
            )

    stand.app.add_route("/raises", Raises())

    assert stand.get("/raises").status_code == 400


def test_the_stores_of_these_tests_are_stores() -> None:
    store: EmailStore = CrashingStore()

    assert store.is_writable()
