"""Every error that an SDK knows and the API can answer, as the SDK's user meets it.

The names are read from the SDKs themselves: one that a new release adds is neither
answered nor named here, which fails, so that somebody decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import resend
from resend.exceptions import (
    ERRORS,
    ApplicationError,
    MissingApiKeyError,
    RateLimitError,
    ResendError,
    ValidationError,
)

from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.adapters.memory_store import MemoryStore
from postroom.domain.access import Rate, Scope
from postroom.domain.email import Email, State
from postroom.domain.errors import (
    KeyInUseError,
    NoTransactionsError,
    NotStoredError,
    StorageUnsureError,
    StoreUnavailableError,
)
from postroom.domain.idempotency import Receipt
from tests.builders import a_key, an_email
from tests.sdks.node import Node, NodeMissingError, packages
from tests.servers import skip_or_fail
from tests.web.listening import Switchboard, listening
from tests.web.stand import Stand, a_body

#: What opens the API, where a case says nothing else.
SECRET = "pr_live_" + "k" * 43

#: What the Python SDK has a class for, and the API does not answer.
NOT_OF_PYTHON = {
    "missing_required_field": "400 `validation_error` lists all that is wrong at once",
    "missing_required_fields": "the older name of the same",
    "daily_quota_exceeded": "there are no quotas",
    "monthly_quota_exceeded": "there are no quotas",
}

#: What the Node SDK declares, and the API does not answer.
NOT_OF_NODE = {
    "daily_quota_exceeded": "there are no quotas",
    "internal_server_error": "it is the same as `application_error`",
    "invalid_access": "keys are not limited in that way",
    "invalid_attachment": "400 `validation_error` lists all that is wrong at once",
    "invalid_from_address": "400 `validation_error` lists all that is wrong at once",
    "invalid_parameter": "400 `validation_error` lists all that is wrong at once",
    "invalid_region": "400 `validation_error` lists all that is wrong at once",
    "missing_required_field": "400 `validation_error` lists all that is wrong at once",
    "monthly_quota_exceeded": "there are no quotas",
    "security_error": "it is of Resend's own",
}


class BrokenStore(MemoryStore):
    """Fails at every insert."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def insert(self, email: Email) -> None:
        raise self._error

    def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
        raise self._error


class LostStore(MemoryStore):
    """Fails at every look."""

    def load(self, email_id: str) -> Email | None:
        raise StoreUnavailableError("away")


def a_stand() -> Stand:
    return Stand(keys=MemoryKeyRing(a_key(SECRET)))


def restricted() -> Stand:
    reader = a_key(SECRET, scopes=frozenset({Scope.READ}))
    return Stand(keys=MemoryKeyRing(reader))


def used_up() -> Stand:
    slow = a_key(SECRET, rate=Rate(per_s=0.01, burst=1))
    stand = Stand(keys=MemoryKeyRing(slow))
    stand.get("/api/emails", headers={"Authorization": f"Bearer {SECRET}"})
    return stand


def with_a_sent_one() -> Stand:
    stand = a_stand()
    stand.store.insert(an_email(State.SENT, email_id="a" * 24))
    return stand


def after_a_request() -> Stand:
    stand = a_stand()
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": "used"}
    other = stand.post(a_body(subject="other"), headers=headers)
    assert other.status_code == 201
    return stand


def broken(error: Exception) -> Callable[[], Stand]:
    keys = MemoryKeyRing(a_key(SECRET))
    return lambda: Stand(keys=keys, store=BrokenStore(error))


@dataclass(frozen=True, kw_only=True)
class Case:
    """How an error comes about.

    Attributes:
        status: With which it comes.
        raised: What the Python SDK makes of it.
        stand: Gives the service that answers it.
        verb: What is asked of `emails`; without an `email_id` an email is sent.
        fields: Of the email that is sent.
        idempotency: The key of the request.
        secret: The key of its sender.
    """

    status: int
    raised: type[ResendError] = ResendError
    stand: Callable[[], Stand] = a_stand
    verb: str = "send"
    email_id: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    idempotency: str | None = None
    secret: str = SECRET


CASES: dict[str, Case] = {
    "validation_error": Case(
        status=400, raised=ValidationError, fields={"to": "nobody"}
    ),
    "invalid_idempotency_key": Case(status=400, idempotency="k" * 257),
    # Nothing but a space is no key; without one the Node SDK does not ask.
    "missing_api_key": Case(status=401, raised=MissingApiKeyError, secret=" "),
    # The Python SDK's class for it is bound to the 403 of Resend's own.
    "invalid_api_key": Case(status=401, secret="pr_live_" + "x" * 43),
    "restricted_api_key": Case(status=403, stand=restricted),
    "not_found": Case(status=404, verb="get", email_id="0" * 24),
    "method_not_allowed": Case(status=405, verb="get", email_id="batch"),
    "conflict": Case(
        status=409, stand=with_a_sent_one, verb="cancel", email_id="a" * 24
    ),
    "invalid_idempotent_request": Case(
        status=409, stand=after_a_request, idempotency="used"
    ),
    "concurrent_idempotent_requests": Case(
        status=409, stand=broken(KeyInUseError("wait")), idempotency="in-hand"
    ),
    "rate_limit_exceeded": Case(status=429, raised=RateLimitError, stand=used_up),
    "application_error": Case(
        status=500, raised=ApplicationError, stand=broken(RuntimeError("a bug"))
    ),
    "not_stored": Case(status=500, stand=broken(NotStoredError("no"))),
    "transactions_missing": Case(
        status=501, stand=broken(NoTransactionsError("alone")), idempotency="k"
    ),
    "storage_unsure": Case(
        status=503, stand=broken(StorageUnsureError("hm", email_id="a" * 24))
    ),
    "store_unavailable": Case(
        status=503,
        stand=lambda: Stand(keys=MemoryKeyRing(a_key(SECRET)), store=LostStore()),
        verb="get",
        email_id="0" * 24,
    ),
}


@pytest.fixture(scope="module")
def board() -> Iterator[Switchboard]:
    with listening() as board:
        yield board


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return packages()
    except NodeMissingError as ex:
        skip_or_fail(ex)
        raise


@pytest.fixture(scope="module")
def errors_node(board: Switchboard, folder: Path) -> Iterator[Node]:
    with Node(folder, url=board.url, key=SECRET) as running:
        yield running


@pytest.mark.parametrize("name", CASES)
def test_the_python_sdk_raises_what_it_has_for_an_error(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES[name]
    board.stand = case.stand()
    monkeypatch.setattr(resend, "api_url", board.url)
    monkeypatch.setattr(resend, "api_key", case.secret)
    options = {"idempotency_key": case.idempotency} if case.idempotency else None
    args: Any = (case.email_id,) if case.email_id else (a_body(**case.fields), options)

    with pytest.raises(ResendError) as caught:
        getattr(resend.Emails, case.verb)(*args)

    assert type(caught.value) is case.raised
    assert (caught.value.code, caught.value.error_type) == (case.status, name)
    assert caught.value.message
    assert caught.value.headers["x-request-id"]


@pytest.mark.parametrize("name", CASES)
def test_the_node_sdk_resolves_to_the_error(
    board: Switchboard, errors_node: Node, name: str
) -> None:
    case = CASES[name]
    board.stand = case.stand()
    options = {"idempotencyKey": case.idempotency} if case.idempotency else {}
    args: Any = (case.email_id,) if case.email_id else (a_body(**case.fields), options)

    answered = errors_node.call(f"emails.{case.verb}", *args, key=case.secret)

    assert answered.data is None
    assert answered.error["name"] == name
    assert answered.error["statusCode"] == case.status
    assert answered.error["message"]
    assert answered.headers["x-request-id"]


def test_who_is_too_fast_is_told_how_long_to_wait(
    board: Switchboard, errors_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.stand = used_up()
    monkeypatch.setattr(resend, "api_url", board.url)
    monkeypatch.setattr(resend, "api_key", SECRET)

    with pytest.raises(RateLimitError) as caught:
        resend.Emails.list()
    answered = errors_node.call("emails.list", key=SECRET)

    for headers in (caught.value.headers, answered.headers):
        told = {name.lower(): value for name, value in headers.items()}
        assert int(told["retry-after"]) >= 1
        assert told["ratelimit-limit"] == "1"
        assert told["ratelimit-remaining"] == "0"
        assert int(told["ratelimit-reset"]) >= 1


def test_no_class_of_the_python_sdk_is_overlooked() -> None:
    known = {name for names in ERRORS.values() for name in names}

    assert known - set(CASES) == set(NOT_OF_PYTHON)


def test_no_name_of_the_node_sdk_is_overlooked(folder: Path) -> None:
    types = folder / "node_modules" / "resend" / "dist" / "index.d.cts"
    found = re.search(r"type RESEND_ERROR_CODE_KEY = ([^;]*);", types.read_text())
    assert found is not None

    known = set(re.findall(r"'(\w+)'", found[1]))

    assert known - set(CASES) == set(NOT_OF_NODE)
