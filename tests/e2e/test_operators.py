"""The operators' verbs as processes, on a running service."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.domain.conservation import hour_of
from tests.e2e.service import PATIENCE_S, Service
from tests.fake_rules import Mode, Rule
from tests.ports import ports_in_a_row

#: Once open, a breaker stays so for longer than any test: only an order closes it.
LONG = {"POSTROOM_BREAKER_RESET_S": "3600", "POSTROOM_BREAKER_WINDOW_S": "3600"}

#: Two processes of the API behind one port.
TWO = {"WEB_CONCURRENCY": "2"}

HELLO = ("--to", "ada@example.com", "--subject", "Hello", "--text", "It works.")


@pytest.fixture(scope="module")
def slow_to_heal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # The worker takes one of the two, the router the other.
    watched = {"POSTROOM_METRICS_PORT": str(ports_in_a_row(2))}
    folder = tmp_path_factory.mktemp("operators")
    with Service(folder, **LONG, **TWO, **watched) as running:
        yield running


def run(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "postroom", *words],
        env=service.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def document(service: Service, *words: str) -> Any:
    result = run(service, *words, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_an_email_from_the_command_line_is_followed_to_its_end(
    slow_to_heal: Service,
) -> None:
    result = run(slow_to_heal, "send", *HELLO, "--wait", "--timeout", "60")

    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "sent"
    assert slow_to_heal.email(result.stdout.strip())["state"] == "sent"


def test_a_mended_reason_and_a_replay_send_a_dead_letter(
    slow_to_heal: Service,
) -> None:
    service = slow_to_heal
    service.fake.script(Rule(mode=Mode.STATUS, status=400, body='{"errors": []}'))
    failed = run(service, "send", *HELLO, "--wait", "--timeout", "60")
    email_id = failed.stdout.strip()
    assert (failed.returncode, service.email(email_id)["state"]) == (1, "failed")
    service.fake.reset()

    dead = document(service, "dead-letters", "list", "--since", "1h")
    replayed = document(service, "dead-letters", "replay", "--reason", "refused")

    assert [email["id"] for email in dead["data"]] == [email_id]
    assert replayed["replayed"] == [email_id]
    service.wait_for_state(email_id, "sent")


def test_after_an_outage_a_reset_lets_parked_email_go(slow_to_heal: Service) -> None:
    service = slow_to_heal
    service.fake.script(Rule(mode=Mode.STATUS, status=503))
    ids = [service.accept() for _ in range(30)]
    names = ("sendgrid", "mailgun")

    def all_parked() -> bool:
        return all(service.email(i)["waiting_for"] == "provider" for i in ids)

    service.wait_until(all_parked, "all parked")
    seen = document(service, "providers", "list")["data"]
    assert [(p["name"], p["breaker"]) for p in seen] == [(n, "open") for n in names]
    assert run(service, "doctor").returncode == 1
    service.fake.reset()

    for name in names:
        assert document(service, "providers", "reset", name)["breaker"] == "closed"

    service.wait_for_state(ids, "sent")
    assert len({taken["email_id"] for taken in service.fake.taken} & set(ids)) == 30
    assert run(service, "doctor").returncode == 0


def test_a_drained_provider_gets_nothing(slow_to_heal: Service) -> None:
    service = slow_to_heal
    assert document(service, "providers", "drain", "sendgrid")["drained"]
    service.fake.reset()

    service.wait_for_state([service.accept() for _ in range(5)], "sent")

    assert {taken["provider"] for taken in service.fake.taken} == {"mailgun"}
    assert not document(service, "providers", "resume", "sendgrid")["drained"]


# What monitors see.


def metrics(text: bytes) -> dict[str, float]:
    """Return each sample by what stands before its value."""
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines)}


def of_web(service: Service) -> dict[str, float]:
    answer = service.request("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return metrics(answer.body)


def of_process(service: Service, name: str) -> dict[str, float]:
    """Ask a worker or a router where its log says that it listens."""
    found = re.findall(r"metrics\.listening .*port=(\d+)", plain(service.log(name)))
    assert found, service.log(name)
    url = f"http://127.0.0.1:{found[-1]}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return metrics(answer.read())


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def total(samples: dict[str, float], start: str, *parts: str) -> float:
    """Add up what begins so and has all these labels."""
    return sum(
        value
        for name, value in samples.items()
        if name.startswith(start) and all(part in name for part in parts)
    )


POSTED = ("postroom_http_request_seconds_count", 'method="POST"', 'status="201"')
ACCEPTED = ("postroom_conservation_emails", 'part="accepted"')
STORED = ("final", "open", "held", "astray")


def test_both_processes_of_the_api_tell_what_both_have_done(
    slow_to_heal: Service,
) -> None:
    service = slow_to_heal
    before = total(of_web(service), *POSTED)
    service.wait_for_state([service.accept() for _ in range(20)], "sent")

    told = {total(of_web(service), *POSTED) for _ in range(10)}

    assert told == {before + 20}


def test_workers_tell_what_they_did_with_the_providers(slow_to_heal: Service) -> None:
    service = slow_to_heal
    accepted = ("postroom_attempts_total", 'outcome="accepted"')
    before = total(of_process(service, "worker"), *accepted)

    service.wait_for_state([service.accept() for _ in range(5)], "sent")

    service.wait_until(
        lambda: total(of_process(service, "worker"), *accepted) == before + 5,
        "five attempts",
    )
    router = of_process(service, "router")
    assert router["postroom_store_up"] == 1
    assert total(router, "postroom_breaker_state", 'provider="mailgun"') == 1


def test_a_monitor_and_the_audit_see_a_document_that_vanished(
    slow_to_heal: Service,
) -> None:
    service = slow_to_heal
    email_id = service.accept()
    service.wait_for_state(email_id, "sent")

    def all_counted() -> bool:
        samples = of_web(service)
        stored = sum(
            total(samples, "postroom_conservation_emails", f'part="{part}"')
            for part in STORED
        )
        return total(samples, *ACCEPTED) == stored == len(service.documents())

    service.wait_until(all_counted, "the ledger")
    assert total(of_web(service), "postroom_conservation_gap") == 0
    assert document(service, "audit")["gap"] == 0

    service.remove(email_id)

    service.wait_until(
        lambda: total(of_web(service), "postroom_conservation_gap") == 1, "the gap"
    )
    result = run(service, "audit")
    assert result.returncode == 1
    assert f"{hour_of(email_id):%Y-%m-%dT%H:00:00Z}" in result.stderr


def test_a_web_process_that_stops_leaves_nothing_uncounted(
    slow_to_heal: Service,
) -> None:
    service = slow_to_heal
    service.wait_until(lambda: uncounted(service) == 0, "the ledger")
    for _ in range(7):
        service.accept()

    service.signal("web", signal.SIGTERM)
    service.processes["web"].wait(PATIENCE_S)

    assert uncounted(service) == 0
    service.start("web")
    service.wait_until_ready()


def uncounted(service: Service) -> int:
    report = json.loads(run(service, "audit", "--json").stdout)
    return sum(hour["uncounted"] for hour in report["hours"])
