"""A schedule over HTTP: moved and taken back, never early, and soon after its time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.service import Answer, Service
from tests.fake_provider import AsProcess

#: The latest that an email may leave after its time, in seconds, on an idle service.
PRECISE_S = 2.0

YEARS_AHEAD = "2031-01-01T00:00:00Z"


def moved(service: Service, email_id: str, to: datetime | str) -> Answer:
    text = to if isinstance(to, str) else to.isoformat()
    return service.request("PATCH", f"/api/emails/{email_id}", {"scheduled_at": text})


def left_after(fake: AsProcess, email_id: str, at: datetime) -> float:
    """Give how long after its time an email reached a provider, in seconds."""
    (taken,) = [t for t in fake.taken if t["email_id"] == email_id]
    return float(taken["at"]) - at.timestamp()


@pytest.mark.slow
def test_what_is_years_ahead_goes_when_it_is_moved_to(
    service: Service, fake: AsProcess
) -> None:
    """Far times are the sweep's, near ones a hint's."""
    ids = [service.accept(scheduled_at=YEARS_AHEAD) for _ in range(2)]
    near = datetime.now(UTC) + timedelta(seconds=4)
    far = datetime.now(UTC) + timedelta(seconds=66)

    answers = [moved(service, *to) for to in zip(ids, (near, far), strict=True)]

    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == {"object": "email", "id": ids[0]}
    service.wait_for_state(ids, "sent", patience_s=120)
    late = [left_after(fake, *one) for one in zip(ids, (near, far), strict=True)]
    assert min(late) >= 0
    assert max(late) <= PRECISE_S
    print(f"\nmoved to 4 and 66 s: {late[0]:.2f} and {late[1]:.2f} s after their time")


def test_one_that_is_moved_on_in_time_does_not_go_at_its_old_time(
    service: Service, fake: AsProcess
) -> None:
    email_id = service.accept(scheduled_at="in 3 seconds")
    at = datetime.now(UTC) + timedelta(seconds=8)

    assert moved(service, email_id, at).status == 200

    service.wait_for_state(email_id, "sent")
    assert 0 <= left_after(fake, email_id, at) <= PRECISE_S


def test_a_move_and_a_claim_at_once_send_it_once(
    service: Service, fake: AsProcess
) -> None:
    """Whoever comes second is told; whichever it is, nothing leaves before its time."""
    at = datetime.now(UTC) + timedelta(seconds=4)
    ids = [service.accept(scheduled_at=at.isoformat()) for _ in range(20)]
    later = datetime.now(UTC) + timedelta(seconds=9)

    time.sleep(max(0.0, at.timestamp() - time.time() - 0.2))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: moved(service, one, later), ids))

    service.wait_for_state(ids, "sent")
    moves = {one: answer.status for one, answer in zip(ids, answers, strict=True)}
    assert set(moves.values()) <= {200, 409}
    for email_id, status in moves.items():
        due = later if status == 200 else at
        assert left_after(fake, email_id, due) >= 0
    print(f"\n{list(moves.values()).count(200)} of 20 moved in time")


@pytest.mark.parametrize("force", [False, True])
def test_a_cancellation_and_a_claim_at_once_agree(
    service: Service, fake: AsProcess, *, force: bool
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=3)
    ids = [service.accept(scheduled_at=at.isoformat()) for _ in range(20)]

    def cancel(email_id: str) -> int:
        path = f"/api/emails/{email_id}/cancel"
        return service.request("POST", path, {"force": force}).status

    time.sleep(max(0.0, at.timestamp() - time.time() - 0.05))
    with ThreadPoolExecutor(8) as pool:
        told = dict(zip(ids, pool.map(cancel, ids), strict=True))

    cancelled = [one for one, status in told.items() if status == 200]
    service.wait_for_state(cancelled, "cancelled")
    service.wait_for_state([one for one in ids if one not in cancelled], "sent")
    taken = [t["email_id"] for t in fake.taken]
    assert sorted(taken) == sorted(set(ids) - set(cancelled))
    print(f"\n{len(cancelled)} of 20 cancelled in time, the others sent once")
