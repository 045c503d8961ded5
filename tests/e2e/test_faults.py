"""What may break, broken for real: every 201 is sent all the same."""

from __future__ import annotations

import threading
import time
from collections import Counter

from tests.e2e.service import Service
from tests.fake_provider import AsProcess, Mode, Rule


def sends(fake: AsProcess) -> Counter[str]:
    return Counter(taken["email_id"] for taken in fake.taken)


def test_posts_are_accepted_and_sent_while_redis_is_away(
    service: Service, fake: AsProcess
) -> None:
    before = service.accept()
    service.wait_for_state(before, "sent")
    service.redis.kill9()

    answers = [service.post(subject=f"no. {n}") for n in range(10)]

    slowest = max(answer.seconds for answer in answers)
    assert {answer.status for answer in answers} == {201}
    assert service.request("GET", "/ready").body["degraded"]
    service.redis.start()
    ids = [answer.body["id"] for answer in answers]
    service.wait_for_state(ids, "sent")
    assert all(sends(fake)[email_id] == 1 for email_id in ids)
    service.wait_until_ready()
    print(f"\nRedis away: 10 of 10 answered 201, the slowest in {slowest:.2f} s")


def test_a_flushed_redis_loses_no_email(service: Service, fake: AsProcess) -> None:
    fake.script(Rule(delay_ms=300, mode=Mode.ACCEPT))
    ids = [service.accept(subject=f"no. {n}") for n in range(60)]

    service.flush_redis()

    service.wait_for_state(ids, "sent")
    counts = sends(fake)
    assert all(counts[email_id] == 1 for email_id in ids)


def test_a_worker_killed_in_mid_call_leaves_an_unknown_attempt_and_no_lost_email(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(mode=Mode.HANG, times=4))
    ids = [service.accept(subject=f"no. {n}") for n in range(4)]
    service.wait_until(lambda: len(fake.calls) >= 4, "four calls in hand")

    service.kill9("worker")
    service.start("worker")

    service.wait_for_state(ids, "sent")
    for email_id in ids:
        email = service.email(email_id)
        outcomes = [attempt["outcome"] for attempt in email["attempts"]]
        assert outcomes[0] == "unknown"
        assert outcomes[-1] == "accepted"
        assert email["possible_duplicate"] is True


def test_every_201_is_sent_when_mongodb_restarts(
    service: Service, fake: AsProcess
) -> None:
    accepted: list[str] = []
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answer = service.post()
            statuses[answer.status] += 1
            if answer.status == 201:
                accepted.append(answer.body["id"])

    posting = threading.Thread(target=load)
    posting.start()
    time.sleep(1)
    service.mongodb.kill9()
    time.sleep(2)
    service.mongodb.start()
    time.sleep(2)
    stop.set()
    posting.join()

    assert statuses[201] > 0
    assert set(statuses) <= {201, 500, 503}
    service.wait_for_state(accepted, "sent")
    assert set(accepted) <= set(sends(fake))
    print(f"\nMongoDB killed and restarted: answers {dict(statuses)}")


def test_a_killed_web_process_takes_no_email_with_it(
    service: Service, fake: AsProcess
) -> None:
    ids = [service.accept() for _ in range(5)]
    service.kill9("web")
    service.start("web")
    service.wait_until_ready()

    service.wait_for_state(ids, "sent")
    assert all(sends(fake)[email_id] == 1 for email_id in ids)


def test_a_router_killed_with_hints_in_hand_loses_no_email(
    service: Service, fake: AsProcess
) -> None:
    ids = [service.accept() for _ in range(30)]
    service.kill9("router")
    more = [service.accept() for _ in range(5)]
    service.start("router")

    service.wait_for_state(ids + more, "sent")
    assert all(sends(fake)[email_id] == 1 for email_id in ids + more)
