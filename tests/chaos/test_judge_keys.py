"""The verdict on requests with keys: one key is one request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.judge import judge
from tests.chaos.test_judge import ONE, a_document, a_post, a_send, of

KEYED = a_post(key="my key")

OTHER = "6b0500000000000000000002"

SECOND = a_post(no=2, email_id=OTHER, digest="another", key="my key")


def test_a_repeated_request_is_one_email_however_often_its_client_was_told() -> None:
    lost = replace(KEYED, status=503, email_id=None)
    later = replace(KEYED, asked_at=150.0)

    verdict = judge(of(lost, KEYED, later, a_send(), a_document()))

    assert verdict.accepted == 1
    assert verdict.is_kept
    assert verdict.figures["repeats"] == 1


@pytest.mark.parametrize(
    ("facts", "ids"),
    [
        ((KEYED, replace(KEYED, email_id=OTHER), a_send()), f"{ONE}+{OTHER}"),
        ((KEYED, a_send(), a_send(email_id=OTHER)), f"{ONE}+{OTHER}"),
        (
            (replace(KEYED, status=503), a_send(), a_send(email_id=OTHER)),
            f"{ONE}+{OTHER}",
        ),
        ((KEYED, a_send(), a_send(102.0), a_document()), ONE),
        (
            (KEYED, replace(KEYED, status=409, said="invalid_idempotent_request")),
            ONE,
        ),
    ],
    ids=[
        "another id",
        "another email was sent",
        "two were sent and its client told of none",
        "sent again without a reason",
        "taken for another request",
    ],
)
def test_one_key_is_one_email_and_nothing_else(
    facts: tuple[Any, ...], ids: str
) -> None:
    verdict = judge(of(*facts))

    assert verdict.figures["idempotency_twice"] == 1
    assert verdict.guilty["idempotency_twice"] == (ids,)
    assert not verdict.is_kept


@pytest.mark.parametrize(
    "facts",
    [
        (KEYED, a_send(), a_send(102.0), a_document(possible_duplicates=1)),
        (KEYED, replace(KEYED, status=503, email_id=OTHER), a_send(), a_document()),
        (replace(KEYED, status=409, said="concurrent_idempotent_requests"),),
        (KEYED, SECOND, a_send(), a_send(email_id=OTHER, digest="another")),
    ],
    ids=[
        "sent again after an attempt in doubt",
        "told of what may be stored, and is not",
        "still in hand",
        "another request",
    ],
)
def test_a_key_is_not_to_blame_for(facts: tuple[Any, ...]) -> None:
    assert judge(of(*facts)).figures["idempotency_twice"] == 0


def test_each_email_of_a_batch_is_a_case_of_its_own() -> None:
    batch = (replace(KEYED, status=200), replace(SECOND, status=200))

    verdict = judge(of(*batch, a_send(), a_document()))

    assert verdict.accepted == 2
    assert verdict.guilty == {"lost": (OTHER,), "docs_missing": (OTHER,)}
