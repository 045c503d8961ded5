"""Two owners and every operation of openapi.json: neither sees or touches the other's.

The cases are made of the document, so that a route that somebody adds is a case here.
An operation on one email needs nothing else, unless it takes a body; of any other one
`CALLS` must say how it is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import falcon.testing
import pytest

from postroom.adapters.memory_erasure import MemoryErasure
from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.domain.access import TEST_PROVIDER, Scope
from postroom.domain.email import Email, State
from postroom.domain.hint import Hint
from tests.builders import a_content, a_key, a_recipient, an_email
from tests.web.stand import SANDBOX, Stand, a_body

Operation = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Call:
    """How an operation is called, beside its path.

    Attributes:
        body: Sent as JSON, if it takes one. An email in it is from `acme.example`.
        query: Of the path, as in `?limit=100`.
        is_operators: It is for whoever runs the service, and about nobody's emails.
    """

    body: Any = None
    query: str = ""
    is_operators: bool = False


#: Another time for an email.
LATER = {"scheduled_at": "2030-02-28T09:00:00Z"}

#: How to call what is not only about one email, or takes a body.
CALLS: Mapping[Operation, Call] = {
    ("post", "/api/emails"): Call(body=a_body()),
    ("post", "/api/email"): Call(body=a_body()),
    ("post", "/api/emails/batch"): Call(body=[a_body(), a_body()]),
    ("post", "/api/email/batch"): Call(body=[a_body(), a_body()]),
    ("get", "/metrics"): Call(is_operators=True),
    ("get", "/api/emails"): Call(query="?limit=100"),
    ("get", "/api/email"): Call(query="?limit=100"),
    ("patch", "/api/emails/{email_id}"): Call(body=LATER),
    ("patch", "/api/email/{email_id}"): Call(body=LATER),
    ("post", "/api/emails/{email_id}/cancel"): Call(body={"force": True}),
    ("post", "/api/emails/{email_id}/retry"): Call(body={"force": True}),
    ("get", "/api/dead-letters"): Call(query="?limit=100"),
    ("post", "/api/dead-letters/replay"): Call(body={}),
    ("get", "/api/providers"): Call(is_operators=True),
    ("post", "/api/providers/{name}/trip"): Call(is_operators=True),
    ("post", "/api/providers/{name}/reset"): Call(is_operators=True),
    ("post", "/api/providers/{name}/drain"): Call(is_operators=True),
    ("post", "/api/providers/{name}/resume"): Call(is_operators=True),
    ("post", "/api/routing/explain"): Call(body=a_body()),
}

#: In whatever stands for the path's email.
EMAIL_ID = "{email_id}"

#: In whatever stands for the path's provider.
PROVIDER = "{name}"

A, B = "pr_live_" + "a" * 43, "pr_live_" + "b" * 43
RESTRICTED, TEST = "pr_live_" + "r" * 43, "pr_test_" + "t" * 43

#: Stands in everything that A has, and nowhere else.
CANARY = "canary"

DOCUMENT: dict[str, Any] = Stand().get("/openapi.json").json


def operations() -> list[Operation]:
    return [
        (method, path)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    ]


def described(operation: Operation) -> dict[str, Any]:
    method, path = operation
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def is_open(operation: Operation) -> bool:
    return described(operation).get("security") == []


def call_of(operation: Operation) -> Call:
    """Return how to call an operation, or fail: somebody added it."""
    if operation in CALLS:
        return CALLS[operation]
    method, path = operation
    needs_body = "requestBody" in described(operation)
    if is_open(operation) or (EMAIL_ID in path and not needs_body):
        return Call()
    pytest.fail(
        f"{method.upper()} {path} is new: write into CALLS of {__file__} how it is "
        "called, so that it is known to show and change nothing of another owner's"
    )


ALL = operations()
OF_ONE = [operation for operation in ALL if EMAIL_ID in operation[1]]
OTHERS = [operation for operation in ALL if operation not in OF_ONE]
LOCKED = [operation for operation in ALL if not is_open(operation)]
WITH_BODY = [operation for operation in ALL if "requestBody" in described(operation)]


def emails_of_a() -> list[Email]:
    """Give one in each state, each with the canary in all that is A's own."""
    recipient = a_recipient(addr_spec=f"{CANARY}@example.com")
    content = a_content(subject=CANARY, text=CANARY, metadata={CANARY: CANARY})
    return [
        replace(
            an_email(state),
            email_id=f"{0xA0 + number:024x}",
            owner="acme",
            content=content,
            recipients=(recipient,),
        )
        for number, state in enumerate(State)
    ]


class Tenants:
    """A service with two owners, of whom A has emails."""

    def __init__(self) -> None:
        self.emails = emails_of_a()
        self.store = MemoryErasure()
        for email in self.emails:
            self.store.insert(email)
        everything = {"scopes": frozenset({Scope.ADMIN})}
        self.keys = MemoryKeyRing(
            a_key(A, key_id="key_a", owner="acme", **everything),
            a_key(B, key_id="key_b", owner="beta", **everything),
            a_key(
                RESTRICTED,
                key_id="key_r",
                owner="beta",
                from_domains=frozenset({"beta.example"}),
                **everything,
            ),
            a_key(
                TEST,
                key_id="key_t",
                owner="beta",
                is_test=True,
                scopes=frozenset({Scope.SEND, Scope.READ}),
            ),
        )
        self.stand = Stand(keys=self.keys, store=self.store, key_required=True)

    def call(
        self, operation: Operation, secret: str | None, email_id: str = ""
    ) -> falcon.testing.Result:
        (method, path), call = operation, call_of(operation)
        given: dict[str, Any] = {}
        if call.body is not None:
            given["json"] = call.body
        if secret is not None:
            given["headers"] = {"Authorization": f"Bearer {secret}"}
        return self.stand.client.simulate_request(
            method.upper(),
            path.replace(EMAIL_ID, email_id).replace(PROVIDER, SANDBOX.name)
            + call.query,
            **given,
        )

    def of_a(self) -> list[Email | None]:
        return [self.store.load(email.email_id) for email in self.emails]

    def new(self) -> list[Email]:
        """Give the emails that are there and were not at first."""
        old = {email.email_id for email in self.emails}
        return [e for e in self.store._emails.values() if e.email_id not in old]


@pytest.fixture
def tenants() -> Tenants:
    return Tenants()


def named(operation: Operation) -> str:
    return f"{operation[0].upper()} {operation[1]}"


@pytest.mark.parametrize("operation", OF_ONE, ids=named)
def test_anothers_email_is_not_there(tenants: Tenants, operation: Operation) -> None:
    before = tenants.of_a()
    nobodys = tenants.call(operation, B, "f" * 24)

    for email in tenants.emails:
        answer = tenants.call(operation, B, email.email_id)

        # The same as for an id that nobody has, but for the name of the request.
        assert answer.status_code == 404
        assert {**answer.json, "request_id": ""} == {**nobodys.json, "request_id": ""}
    assert tenants.of_a() == before


@pytest.mark.parametrize("operation", OF_ONE, ids=named)
def test_ones_own_email_is(tenants: Tenants, operation: Operation) -> None:
    """Without this a route that is broken would pass the other test."""
    answers = [tenants.call(operation, A, e.email_id) for e in tenants.emails]

    assert {answer.status_code for answer in answers}.isdisjoint({400, 401, 403, 404})


@pytest.mark.parametrize("operation", OTHERS, ids=named)
def test_nothing_of_anothers_is_shown_or_changed(
    tenants: Tenants, operation: Operation
) -> None:
    before = tenants.of_a()

    answer = tenants.call(operation, B)

    assert answer.status_code not in {400, 401, 403, 404, 405, 500}
    assert CANARY not in answer.text
    assert not any(email.email_id in answer.text for email in tenants.emails)
    assert tenants.of_a() == before
    assert {email.owner for email in tenants.new()} <= {"beta"}


@pytest.mark.parametrize("operation", ALL, ids=named)
def test_nobody_without_a_key_gets_in(tenants: Tenants, operation: Operation) -> None:
    before = tenants.of_a()
    email_id = tenants.emails[0].email_id

    for secret in (None, "pr_live_" + "z" * 43):
        answer = tenants.call(operation, secret, email_id)

        assert (answer.status_code == 401) is not is_open(operation)
    assert tenants.of_a() == before
    assert tenants.new() == []


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("operation", LOCKED, ids=named)
def test_a_key_opens_what_the_document_says_of_its_scope(
    tenants: Tenants, operation: Operation, scope: Scope
) -> None:
    secret = "pr_live_" + scope.value.ljust(43, "s")
    tenants.keys.add(
        a_key(secret, key_id="key_s", owner="acme", scopes=frozenset({scope}))
    )
    (way,) = described(operation)["security"]

    answer = tenants.call(operation, secret, tenants.emails[0].email_id)

    opens = scope in {*way["key"], Scope.ADMIN}
    assert (answer.status_code != 403) is opens
    assert ("restricted_api_key" in answer.text) is not opens


@pytest.mark.parametrize("operation", WITH_BODY, ids=named)
def test_no_email_is_taken_from_a_domain_that_its_key_is_not_for(
    tenants: Tenants, operation: Operation
) -> None:
    email_id = tenants.emails[0].email_id

    tenants.call(operation, RESTRICTED, email_id)

    assert tenants.new() == []
    assert not [h for h in tenants.stand.hints.hinted if isinstance(h.what, Hint)]


@pytest.mark.parametrize("operation", WITH_BODY, ids=named)
def test_no_email_of_a_test_key_can_leave_the_sandbox(
    tenants: Tenants, operation: Operation
) -> None:
    email_id = tenants.emails[0].email_id

    tenants.call(operation, TEST, email_id)

    assert {e.provider for e in tenants.new()} <= {TEST_PROVIDER}
    assert {e.owner for e in tenants.new()} <= {"test:beta"}


def test_bodies_with_emails_are_from_where_they_should_be() -> None:
    """The tests above would prove nothing if the senders were others."""
    bodies = [json.dumps(call.body) for call in CALLS.values() if call.body]

    assert bodies
    assert not any("beta.example" in body for body in bodies)


def test_every_call_is_of_an_operation_that_there_is() -> None:
    assert set(CALLS) <= set(ALL)


def test_an_operation_that_nobody_described_here_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = {"/api/things": {"get": {"responses": {}}}}
    monkeypatch.setitem(DOCUMENT, "paths", paths)

    with pytest.raises(pytest.fail.Exception, match="GET /api/things is new"):
        call_of(("get", "/api/things"))
