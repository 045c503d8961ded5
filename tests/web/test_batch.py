"""Batches over HTTP: all or nothing, or by index; nothing in a batch is special."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from postroom.adapters.memory_store import MemoryStore
from postroom.domain.email import Email, Priority
from postroom.domain.errors import (
    NoTransactionsError,
    NotStoredError,
    StorageUnsureError,
)
from postroom.domain.idempotency import Receipt
from postroom.domain.routing import ProviderProfile
from tests.web.stand import SANDBOX, Stand, a_body, faults

PATH = "/api/emails/batch"
PERMISSIVE = {"x-batch-validation": "permissive"}


@pytest.fixture
def stand() -> Stand:
    return Stand()


def post(stand: Stand, body: object, headers: dict[str, str] | None = None) -> Any:
    return stand.client.simulate_post(PATH, json=body, headers=headers)


def stored(stand: Stand) -> list[Email]:
    assert isinstance(stand.store, MemoryStore)
    return stand.store.all()


@pytest.mark.parametrize("count", [1, 100])
def test_a_batch_is_answered_with_the_ids_in_their_order(
    stand: Stand, count: int
) -> None:
    bodies = [a_body(subject=f"no. {no}") for no in range(count)]

    result = post(stand, bodies)

    assert result.status_code == 200
    assert set(result.json) == {"data"}
    ids = [each["id"] for each in result.json["data"]]
    emails = {email.email_id: email for email in stored(stand)}
    subjects = [emails[each].content.subject for each in ids]  # type: ignore[union-attr]
    assert subjects == [body["subject"] for body in bodies]
    assert len(stand.hints.hinted) == count


def test_the_older_address_takes_batches_too(stand: Stand) -> None:
    result = stand.client.simulate_post("/api/email/batch", json=[a_body()])

    assert result.status_code == 200


@pytest.mark.parametrize(
    ("given", "priority"),
    [({}, "low"), ({"priority": None}, "low"), ({"priority": "high"}, "high")],
)
def test_an_email_of_a_batch_is_low_unless_it_says_otherwise(
    stand: Stand, given: dict[str, Any], priority: str
) -> None:
    post(stand, [a_body(**given)])

    (email,) = stored(stand)
    assert email.priority is Priority(priority)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "wrong_type"),
        ("x", "wrong_type"),
        ([], "empty"),
        ([{}] * 101, "too_many"),
    ],
    ids=["an object", "a string", "none", "too many"],
)
def test_a_batch_is_1_to_100_emails(stand: Stand, body: object, code: str) -> None:
    result = post(stand, body)

    assert result.status_code == 400
    assert faults(result) == {("", code)}


@pytest.mark.parametrize("word", ["", "lenient"])
def test_another_way_of_validation_is_refused(stand: Stand, word: str) -> None:
    result = post(stand, [a_body()], {"x-batch-validation": word})

    assert result.status_code == 400
    assert faults(result) == {("x-batch-validation", "not_a_choice")}
    assert stored(stand) == []


@pytest.mark.parametrize("word", ["strict", "STRICT", " strict "])
def test_strict_may_be_said(stand: Stand, word: str) -> None:
    assert post(stand, [a_body()], {"x-batch-validation": word}).status_code == 200


class TestStrict:
    def test_one_answer_has_every_fault_of_every_email_and_nothing_is_stored(
        self, stand: Stand
    ) -> None:
        result = post(
            stand,
            [
                a_body(),
                a_body(to=["ada@example.com", "nobody"], subject=...),
                7,
                a_body(title="x" * 999, subject=...),
                a_body(colour="red"),
            ],
        )

        assert result.status_code == 400
        assert result.json["name"] == "validation_error"
        assert faults(result) == {
            ("[1].to[1]", "invalid_address"),
            ("[1].subject", "missing"),
            ("[2]", "wrong_type"),
            ("[3].title", "too_long"),
            ("[4].colour", "unknown_field"),
        }
        assert stored(stand) == []

    @pytest.mark.parametrize(
        ("files", "is_refused"),
        [
            (None, False),
            ([], False),
            ([{"filename": "a.txt", "content": "YQ=="}], True),
            ("x", True),
        ],
        ids=["null", "none", "one", "odd"],
    )
    def test_a_batch_has_no_attachments(
        self, stand: Stand, files: object, is_refused: bool
    ) -> None:
        result = post(stand, [a_body(attachments=files)])

        if is_refused:
            assert faults(result) == {("[0].attachments", "not_supported_yet")}
        else:
            assert result.status_code == 200

    def test_what_no_provider_could_carry_is_told_with_the_other_faults(
        self, stand: Stand
    ) -> None:
        crowd = [f"a{no}@example.com" for no in range(30)]
        small = Stand(profiles=(_small(),))

        one = post(small, [a_body(), a_body(to=crowd)])
        both = post(small, [a_body(to=crowd), a_body(subject=...)])

        assert one.status_code == both.status_code == 400
        assert one.json["name"] == "no_provider"
        assert faults(one) == {("[1]", "cannot_carry")}
        assert faults(both) == {("[0]", "cannot_carry"), ("[1].subject", "missing")}


class TestPermissive:
    def test_the_others_are_accepted_and_errors_say_which_were_not(
        self, stand: Stand
    ) -> None:
        result = post(
            stand,
            [
                a_body(to=["nobody"], subject=...),
                a_body(),
                [],
                a_body(attachments=[{"filename": "a.txt", "content": "YQ=="}]),
            ],
            PERMISSIVE,
        )

        assert result.status_code == 200
        assert [each["id"] for each in result.json["data"]] == [
            email.email_id for email in stored(stand)
        ]
        assert [(each["index"], each["message"]) for each in result.json["errors"]] == [
            (0, "`to[0]` must be local@domain, got no @; `subject` is required"),
            (2, "must be a JSON object"),
            (
                3,
                "`attachments` cannot be in a batch; send such an email by itself",
            ),
        ]

    def test_errors_are_there_when_there_are_none(self, stand: Stand) -> None:
        result = post(stand, [a_body()], PERMISSIVE)

        assert result.json["errors"] == []

    def test_a_batch_of_which_nothing_is_fit_is_answered_all_the_same(
        self, stand: Stand
    ) -> None:
        result = post(stand, [{}], PERMISSIVE)

        assert result.status_code == 200
        assert result.json["data"] == []
        assert len(result.json["errors"]) == 1

    def test_a_message_of_very_many_faults_is_cut_short(self, stand: Stand) -> None:
        result = post(stand, [a_body(to=["nobody"] * 50)], PERMISSIVE)

        (error,) = result.json["errors"]
        assert error["message"].endswith("; and 45 more")


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (NotStoredError("no"), 500, "not_stored"),
        (NoTransactionsError("no"), 501, "transactions_missing"),
        (
            StorageUnsureError("hm", email_id="a", email_ids=["a", "b"]),
            503,
            "storage_unsure",
        ),
    ],
)
def test_what_may_not_be_stored_is_never_answered_with_200(
    error: Exception, status: int, name: str
) -> None:
    class Away(MemoryStore):
        def insert_together(self, emails: Sequence[Email], receipt: Receipt) -> Receipt:
            raise error

    result = post(Stand(store=Away()), [a_body(), a_body()])

    assert (result.status_code, result.json["name"]) == (status, name)
    if status == 503:
        assert result.json["ids"] == ["a", "b"]
        assert result.headers["retry-after"] == "5"


def test_only_posts_are_taken(stand: Stand) -> None:
    result = stand.get(PATH)

    assert result.status_code == 405
    assert result.headers["allow"] == "POST, OPTIONS"


def _small() -> ProviderProfile:
    return replace(SANDBOX, max_recipients=20)
