"""The operators' verbs as processes, on a running service."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import PATIENCE_S, Service
from tests.fake_rules import Mode, Rule

#: Once open, a breaker stays so for longer than any test: only an order closes it.
LONG = {"POSTROOM_BREAKER_RESET_S": "3600", "POSTROOM_BREAKER_WINDOW_S": "3600"}

HELLO = ("--to", "ada@example.com", "--subject", "Hello", "--text", "It works.")


@pytest.fixture(scope="module")
def slow_to_heal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("operators"), **LONG) as running:
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
