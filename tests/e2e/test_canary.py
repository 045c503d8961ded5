"""Nothing that is secret or personal gets out: not into a log, a metric or Redis.

One run with everything that goes wrong in it; every value is a canary, which is then
searched for in every log, every /metrics, in all that Redis ever got to see, in what
commands print, and in MongoDB where nothing of it may be.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e import caged
from tests.e2e.caged import METRICS_KEY, RELAY_LOGIN, SECRETS, Caged, Client
from tests.e2e.canaries import (
    Listening,
    address,
    all_of,
    canary,
    needles,
    stored,
    sung,
)
from tests.e2e.service import PATIENCE_S, Service
from tests.fake_smtp import FakeSmtp


@dataclass
class Run:
    """What is left of the run."""

    service: Service
    listening: Listening
    client: Client


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Let everything happen once."""
    with (
        FakeSmtp(login=RELAY_LOGIN) as relay,
        Caged(tmp_path_factory.mktemp("canary"), relay) as service,
        Listening(service.redis.url) as listening,
    ):
        client = Client(service)
        caged.what_keys_are_for(client)
        caged.what_is_sent(service)
        caged.what_goes_together(client)
        caged.what_is_changed(client)
        caged.what_is_forgotten(client, relay)
        caged.what_is_refused_by_providers(service, relay)
        caged.what_never_arrives(service)
        caged.what_crashes(service)
        caged.what_operators_type(client)
        caged.what_clients_do_wrong(service)
        caged.what_waits(service)
        caged.what_happens_while_stores_are_away(service)
        yield Run(service, listening, client)


def ports_of(service: Service, name: str) -> list[str]:
    log = re.sub(r"\x1b\[[0-9;]*m", "", service.log(name))
    return re.findall(r"metrics\.listening .*port=(\d+)", log)


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_a_canary_is_found_in_every_disguise(before: str) -> None:
    whole = f"{before}{address('to')} and more"

    assert sung(whole.encode())
    assert sung(base64.b64encode(whole.encode()))
    assert sung(whole.encode().hex().encode())
    assert sung(json.dumps({"to": whole}).encode())
    assert not sung(b"nothing here")


def test_no_log_has_a_canary_in_it(run: Run) -> None:
    logs = sorted(run.service.folder.glob("*.log"))

    found = {log.name: sung(log.read_bytes()) for log in logs}

    assert {"web.log", "worker.log", "router.log", "scheduler.log"} <= set(found)
    assert all(log.stat().st_size for log in logs if log.name == "worker.log")
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_no_metric_has_a_canary_in_it(run: Run) -> None:
    urls = [f"http://127.0.0.1:{run.service.port}/metrics"]
    for name in ("worker", "router"):
        ports = ports_of(run.service, name)
        assert ports, name
        urls += [f"http://127.0.0.1:{port}/metrics" for port in ports]
    for url in urls:
        request = urllib.request.Request(
            url, headers={"Authorization": f"Bearer {METRICS_KEY}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert sung(answer.read()) == [], url


def test_redis_never_got_to_see_a_canary(run: Run) -> None:
    held = {key: sung(value) for key, value in all_of(run.service.redis.url).items()}

    for kind in (".DQ", ".XQ", "breaker"):
        assert any(kind in key for key in held), (kind, sorted(held))
    assert {key: hits for key, hits in held.items() if hits} == {}
    assert len(run.listening.said) > 500
    assert sung(b"\n".join(run.listening.said)) == []


def test_a_key_is_printed_when_it_is_made_and_never_again(run: Run) -> None:
    for name, secret in run.client.keys.items():
        printed = {
            words: output.count(secret.encode())
            for words, output in run.client.printed.items()
        }

        (made,) = [words for words in printed if f"keys create {name}" in words]
        assert printed.pop(made) == 1
        assert not any(printed.values())


def test_no_key_is_in_a_log_a_store_or_a_command_of_redis(run: Run) -> None:
    secrets = [secret.partition("_")[2][5:] for secret in run.client.keys.values()]
    wanted = needles(*secrets, *SECRETS)
    service = run.service
    places = {log.name: log.read_bytes() for log in service.folder.glob("*.log")}
    places |= all_of(service.redis.url)
    places["commands"] = b"\n".join(run.listening.said)

    found = {place: sung(data, wanted) for place, data in places.items()}
    kept = [
        hit for _, data in stored(service.mongodb.url) for hit in sung(data, wanted)
    ]

    assert len(secrets) == 4
    assert {place: hits for place, hits in found.items() if hits} == {}
    assert kept == []


def test_mongodb_has_no_idempotency_key_of_a_client(run: Run) -> None:
    wanted = needles(canary("idempotencykey"))
    kept = list(stored(run.service.mongodb.url))

    assert [name for name, _ in kept if name == "idempotency"]
    assert [hit for _, data in kept for hit in sung(data, wanted)] == []


def test_no_command_prints_a_secret(run: Run) -> None:
    wanted = needles(*SECRETS)

    assert len(run.client.printed) > 12
    for words, output in run.client.printed.items():
        assert sung(output, wanted) == [], words


def test_no_command_prints_what_an_email_says_but_those_that_are_asked_to(
    run: Run,
) -> None:
    shortened = needles(f"{canary('to')}@", canary("second"), canary("subject"))

    for words, output in run.client.printed.items():
        if words == "list --recipients":
            assert b"c***@" in output
            assert sung(output, shortened) == []
        elif not words.startswith("show "):
            assert sung(output) == [], words


def test_nothing_of_an_erased_address_is_left_in_mongodb(run: Run) -> None:
    wanted = needles(address("forgotten"), canary("forgotten"))
    erased = run.client.printed[f"erase --address {address('forgotten')}"]
    kept = list(stored(run.service.mongodb.url))

    assert re.findall(rb"\d+", erased)[:2] == [b"8", b"0"]
    assert {"emails", "idempotency", "sandbox_inbox"} <= {name for name, _ in kept}
    found = [(name, hit) for name, data in kept for hit in sung(data, wanted)]
    assert found == []
