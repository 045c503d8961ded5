"""Stops with sends in hand: of process groups by SIGTERM, and of MongoDB."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.e2e.load import Load, sends
from tests.e2e.service import PATIENCE_S, Service
from tests.fake_provider import AsProcess, Rule

#: Sends in hand at the stop: all threads of the worker.
IN_HAND = 16

#: How long the provider takes for each: a stop must outlast it. In seconds.
CALL_S = 3.5

#: When the stop is asked for again, in seconds after the first time.
AGAIN_AFTER_S = (0.3, 2.5)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that waits longer for its providers than they take."""
    settings = {
        "POSTROOM_PROVIDER_TIMEOUT_S": "8",
        "POSTROOM_LEASE_S": "30",
        "POSTROOM_PROVIDERS": "sendgrid",  # alone it may have all threads
    }
    with Service(tmp_path_factory.mktemp("stopping"), **settings) as running:
        yield running


def stop(service: Service, *names: str) -> None:
    """Signal these lines' process groups, as many hosts do, and see them end."""
    for name in names:
        service.signal(name, signal.SIGTERM)
    for name in names:
        service.processes[name].wait(PATIENCE_S)


def assert_sent_once(service: Service, fake: AsProcess, ids: Sequence[str]) -> None:
    service.wait_for_state(ids, "sent")
    counts = sends(fake)
    assert {email_id: counts[email_id] for email_id in ids} == dict.fromkeys(ids, 1)
    for email_id in ids:
        assert not service.email(email_id)["possible_duplicate"]


def test_a_stopped_worker_finishes_what_it_has_in_hand_however_often_it_is_told(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(delay_ms=round(CALL_S * 1000)))
    ids = [service.accept(subject=f"no. {n}") for n in range(IN_HAND)]
    service.wait_until(lambda: len(fake.calls) >= IN_HAND, "all of them in hand")
    late = [service.accept(subject=f"late {n}") for n in range(4)]

    began = time.monotonic()
    service.signal("worker", signal.SIGTERM)
    for after_s in AGAIN_AFTER_S:
        time.sleep(max(0.0, began + after_s - time.monotonic()))
        service.signal("worker", signal.SIGTERM)
    code = service.processes["worker"].wait(PATIENCE_S)
    stopped_s = time.monotonic() - began

    in_hand = [call["email_id"] for call in fake.calls]
    emails = [service.email(email_id) for email_id in in_hand]
    fake.script()
    service.start("worker")
    assert code == 0
    assert {email["state"] for email in emails} == {"sent"}
    outcomes = [a["outcome"] for email in emails for a in email["attempts"]]
    assert outcomes == ["accepted"] * IN_HAND
    assert_sent_once(service, fake, ids + late)
    print(f"\n{IN_HAND} in hand, SIGTERM: stopped after {stopped_s:.1f} s, all sent")


def test_a_stopped_web_process_keeps_what_it_took_and_refuses_the_rest(
    service: Service, fake: AsProcess
) -> None:
    with Load(service, pause_s=0.01) as load:
        load.wait_for(20)
        stop(service, "web")
    service.start("web")
    service.wait_until_ready()

    assert load.answers[503] > 0
    # What was still in the queue of the port when it closed is reset.
    gone = {"ConnectionRefusedError", "ConnectionResetError"}
    assert set(load.answers) <= {201, 503, *gone}
    assert_sent_once(service, fake, load.accepted)
    print(f"\nweb stopped under load: {dict(load.answers)}")


@pytest.mark.parametrize("name", ["router", "scheduler"])
def test_a_stopped_line_loses_nothing(
    service: Service, fake: AsProcess, name: str
) -> None:
    with Load(service, pause_s=0.01) as load:
        load.wait_for(20)
        stop(service, name)
        load.wait_for(20)
        service.start(name)
        load.wait_for(20)

    assert set(load.answers) == {201}
    assert_sent_once(service, fake, load.accepted)


def test_all_lines_stopped_at_once_and_started_again_lose_nothing(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(delay_ms=1000))
    lines = list(service.processes)
    with Load(service, pause_s=0.01) as load:
        load.wait_for(100)
        stop(service, *lines)
    for name in lines:
        service.start(name)
    service.wait_until_ready()

    assert_sent_once(service, fake, load.accepted)
    print(f"\nall stopped under load: {dict(load.answers)}")


def test_results_are_recorded_when_mongodb_was_away_meanwhile(
    service: Service, fake: AsProcess
) -> None:
    fake.script(Rule(delay_ms=1500))
    ids = [service.accept(subject=f"no. {n}") for n in range(IN_HAND)]
    service.wait_until(lambda: len(fake.calls) >= IN_HAND, "all of them in hand")

    service.mongodb.kill9()
    time.sleep(3)  # their answers come in meanwhile
    service.mongodb.start()

    service.wait_for_state(ids, "sent")
    emails = [service.email(email_id) for email_id in ids]
    outcomes = [[a["outcome"] for a in email["attempts"]] for email in emails]
    assert outcomes == [["accepted"]] * IN_HAND
    assert all(sends(fake)[email_id] == 1 for email_id in ids)
