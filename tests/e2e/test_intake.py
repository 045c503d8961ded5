"""Batches and keys on real processes: all of it, once, whatever is killed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient

from postroom.adapters.mongo_ledger import WRITE_EVERY_S
from tests.e2e.forked import WEB, ForkedService
from tests.e2e.service import Answer
from tests.failpoints import arm

#: Emails of a batch that is killed on its way.
EMAILS = 25

#: POSTs with one key, and how many at a time.
POSTS, AT_ONCE = 200, 16

#: Where a process is killed, and what is stored of the batch then.
POINTS = {
    "accept_together.intake.recall.before": 0,
    "accept_together.intake.insert_together.before": 0,
    "intake.emails.before": 0,
    "intake.emails.after": 0,
    "intake.key.before": 0,
    "intake.commit.after": EMAILS,
    "accept_together.intake.insert_together.after": EMAILS,
    "accept_together.hints.route_all.before": EMAILS,
    "accept_together.hints.route_all.after": EMAILS,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedService]:
    """Give a service whose web process starts again at once when it is killed."""
    with ForkedService(
        tmp_path_factory.mktemp("intake"),
        workers={"sendgrid": 1, "mailgun": 1},
        WEB_CONCURRENCY="2",
        POSTROOM_SANDBOX_KEYS="false",
    ) as running:
        yield running


def a_batch(name: str) -> list[dict[str, Any]]:
    return [
        {"to": f"{name}.{no}@example.com", "subject": "Hi", "text": "Hello"}
        for no in range(EMAILS)
    ]


def post(
    service: ForkedService, path: str, body: object, key: str | None
) -> Answer | None:
    """POST; ``None`` if nobody answers."""
    headers = {} if key is None else {"Idempotency-Key": key}
    with contextlib.suppress(OSError):
        return service.request("POST", path, body, headers)
    return None


def recipients(service: ForkedService, prefix: str) -> Counter[str]:
    found = [r["addr_spec"] for d in service.documents() for r in d["recipients"]]
    return Counter(each for each in found if each.startswith(f"{prefix}."))


@pytest.mark.parametrize("point", POINTS)
def test_a_batch_that_is_killed_half_way_and_repeated_is_all_there_once(
    service: ForkedService, point: str
) -> None:
    name = point.replace("_", "-")
    batch = a_batch(name)
    armed = arm(service.armed(WEB), point)

    assert post(service, "/api/emails/batch", batch, point) is None

    assert not armed.exists()
    assert recipients(service, name).total() == POINTS[point]
    answers: list[Answer] = []

    def is_answered() -> bool:
        answer = post(service, "/api/emails/batch", batch, point)
        answers.extend([answer] if answer else [])
        return answer is not None and answer.status == 200

    service.wait_until(is_answered, "an answer")
    ids = [each["id"] for each in answers[-1].body["data"]]
    assert len(set(ids)) == EMAILS
    assert recipients(service, name) == Counter(dict.fromkeys(_to(batch), 1))
    is_replay = answers[-1].headers.get("idempotency-replayed") == "true"
    assert is_replay == bool(POINTS[point])
    service.wait_for_state(ids, "sent")
    taken = [t for t in service.fake.taken if t["email_id"] in set(ids)]
    assert len(taken) == EMAILS


def test_a_batch_without_a_key_is_all_there_or_not_at_all(
    service: ForkedService,
) -> None:
    for point, stored in {"intake.key.after": 0, "intake.commit.after": EMAILS}.items():
        name = f"bare.{point}"
        arm(service.armed(WEB), point)

        assert post(service, "/api/emails/batch", a_batch(name), None) is None

        assert recipients(service, name).total() == stored


def test_of_200_posts_with_one_key_one_email_is_there(service: ForkedService) -> None:
    body = {"to": "race.0@example.com", "subject": "Hi", "text": "Hello"}
    service.wait_until_ready()

    def once(_: int) -> Answer:
        answer = post(service, "/api/emails", body, "race")
        assert answer is not None
        return answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(once, range(POSTS)))

    told = Counter(answer.status for answer in answers)
    ids = {answer.body["id"] for answer in answers if answer.status == 201}
    firsts = [
        answer
        for answer in answers
        if answer.status == 201 and "idempotency-replayed" not in answer.headers
    ]
    print(f"\n{POSTS} POSTs with one key, {AT_ONCE} at a time: {dict(told)}")
    assert set(told) <= {201, 409}
    assert len(ids) == len(firsts) == 1
    assert recipients(service, "race").total() == 1
    names = {a.body["name"] for a in answers if a.status == 409}
    assert names <= {"concurrent_idempotent_requests"}
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status == 409)


def test_the_ledger_counts_every_email_of_a_batch(service: ForkedService) -> None:
    with MongoClient[dict[str, Any]](service.mongodb.url) as client:
        ledger = client.get_default_database("postroom")["ledger"]

        def counted() -> int:
            return sum(line["accepted"] for line in ledger.find())

        # What the tests before have left to be counted is written first.
        service.accept(to=["counted.0@example.com"])
        service.wait_until(lambda: counted() > 0, "a count")
        time.sleep(2 * WRITE_EVERY_S)
        before = counted()

        answer = post(service, "/api/emails/batch", a_batch("counted"), None)

        assert answer is not None
        assert answer.status == 200
        service.wait_until(lambda: counted() >= before + EMAILS, "the count")
        assert counted() == before + EMAILS


def _to(batch: list[dict[str, Any]]) -> list[str]:
    return [email["to"] for email in batch]
