"""Nothing that is secret or personal gets out: not into a log, a metric or Redis.

One run with everything that goes wrong in it; every value is a canary, which is then
searched for in every log, every /metrics, and in all that Redis ever got to see.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import poisonous
from tests.e2e.canaries import Listening, address, all_of, canary, sung
from tests.e2e.service import PATIENCE_S, Service
from tests.fake_provider import Mode, Rule
from tests.fake_smtp import FakeSmtp
from tests.fake_smtp import Rule as RelayRule
from tests.ports import a_port

KEY = canary("apikey").ljust(40, "k")
METRICS_KEY = canary("metricskey").ljust(40, "k")
RELAY_LOGIN = (canary("relayuser"), canary("relaypassword"))

PROVIDERS = ("sendgrid", "mailgun", "resend", "smtp")


def an_email(**fields: Any) -> dict[str, Any]:
    """Give an email of which every value is a canary."""
    return {
        "from": f"{canary('sendername')} <{canary('sender')}@example.org>",
        "to": [f"{canary('name')} <{address('to')}>", address("second")],
        "cc": address("cc"),
        "bcc": [address("bcc")],
        "reply_to": address("reply"),
        "subject": canary("subject"),
        "text": f"Dear {canary('text')}",
        "html": f"<p>{canary('html')}</p>",
        "headers": {f"X-{canary('headername')}": canary("header")},
        "tags": [{"name": canary("tagname"), "value": canary("tag")}],
        "metadata": {canary("metakey"): canary("metadata")},
        "attachments": [
            {
                "filename": f"{canary('file')}.txt",
                "content": base64.b64encode(canary("content").encode() * 3).decode(),
                "content_id": canary("cid"),
            }
        ],
    } | fields


class Caged(Service):
    """A service with four providers, whose secrets are canaries."""

    def __init__(self, folder: Path, relay: FakeSmtp) -> None:
        user, password = RELAY_LOGIN
        login = f"{user}:{password}"
        super().__init__(
            folder,
            POSTROOM_PROVIDERS=",".join(PROVIDERS),
            POSTROOM_API_KEY=KEY,
            POSTROOM_METRICS_KEY=METRICS_KEY,
            POSTROOM_METRICS_PORT=str(a_port()),
            SENDGRID_API_KEY=f"SG.{canary('sendgridkey')}",
            MAILGUN_API_KEY=f"key-{canary('mailgunkey')}",
            RESEND_API_KEY=f"re_{canary('resendkey')}",
            SMTP_URL=relay.url.replace("://", f"://{login}@"),
        )

    @property
    def environ(self) -> dict[str, str]:
        return super().environ | {"RESEND_API_URL": self.fake.url}

    @property
    def lines(self) -> dict[str, str]:
        lines = super().lines
        return lines | {"worker": poisonous.line(lines["worker"])}


@dataclass
class Run:
    """What is left of the run."""

    service: Service
    listening: Listening
    accepted: list[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Let everything happen once."""
    with (
        FakeSmtp(login=RELAY_LOGIN) as relay,
        Caged(tmp_path_factory.mktemp("canary"), relay) as service,
        Listening(service.redis.url) as listening,
    ):
        accepted = [
            *what_is_sent(service),
            *what_is_refused_by_providers(service, relay),
            *what_never_arrives(service),
            *what_waits(service),
            *what_crashes(service),
        ]
        what_clients_do_wrong(service)
        what_happens_while_stores_are_away(service)
        yield Run(service, listening, accepted)


def accept(service: Service, **fields: Any) -> str:
    answer = service.request("POST", "/api/emails", an_email(**fields))
    assert answer.status == 201, answer
    email_id: str = answer.body["id"]
    return email_id


def what_is_sent(service: Service) -> list[str]:
    """Send by each provider."""
    ids = [accept(service, provider=name) for name in PROVIDERS]
    service.wait_for_state(ids, "sent")
    return ids


def what_is_refused_by_providers(service: Service, relay: FakeSmtp) -> list[str]:
    """Let providers say no in words that quote the email."""
    told = f"{canary('echo')}: {address('to')} is on our list, {canary('text')}"
    body = '{"message": "%s", "errors": [{"message": "%s"}]}' % (told, told)  # noqa: UP031
    ids = []
    for status in (400, 401, 429, 500, 503):
        service.fake.script(Rule(mode=Mode.STATUS, status=status, body=body, times=2))
        ids.append(accept(service))
        service.wait_for_state(ids[-1:], "failed" if status == 400 else "sent")
    service.fake.reset()
    for code in ("550 5.1.1", "451 4.7.1", "530 5.7.0"):
        relay.script(RelayRule(reply=f"{code} <{address('to')}> {told}", times=3))
        ids.append(accept(service, provider="smtp"))
        service.wait_until(lambda: service.email(ids[-1])["attempts"], "an attempt")
    relay.script()
    return ids


def what_never_arrives(service: Service) -> list[str]:
    """Let calls hang, break off and be answered with nonsense."""
    ids = []
    for mode in (Mode.HANG, Mode.DROP, Mode.CUT, Mode.GARBAGE):
        service.fake.script(Rule(mode=mode, times=1))
        ids.append(accept(service, delivery="at_most_once"))
    service.fake.reset()
    return ids


def what_waits(service: Service) -> list[str]:
    """Leave emails in Redis as delayed messages, and in MongoDB for later."""
    return [
        accept(service, scheduled_at="in 50 seconds"),
        accept(service, scheduled_at="in 2 hours"),
    ]


def what_crashes(service: Service) -> list[str]:
    """Raise what nobody expects, in words that hold the whole email."""
    (service.folder / poisonous.FAULT).touch()
    email_id = accept(service, subject=poisonous.RAISING)
    service.wait_until(
        lambda: "RuntimeError" in service.log("worker"), "the crash in the log"
    )
    (service.folder / poisonous.FAULT).unlink()
    return [email_id]


def what_clients_do_wrong(service: Service) -> None:
    """Ask for what cannot be had, with canaries in every place."""
    wrong = f"Bearer {canary('wrongkey')}"
    where = f"/{canary('path')}/{address('path')}?to={address('query')}"
    faulty = an_email(
        to=[f"{address('bad')}, {address('worse')}"],
        subject=f"{canary('subject')}\r\nBcc: {address('injected')}",
        headers={f"{canary('name')}\r\nBcc": address("header")},
        scheduled_at=canary("time"),
        **{canary("unknown"): canary("field")},
    )
    asked = [
        ("POST", "/api/emails", faulty, {}),
        ("POST", "/api/emails", [canary("list")], {}),
        ("POST", "/api/emails", an_email(), {"Authorization": wrong}),
        ("POST", "/api/emails", an_email(), {"Content-Type": canary("type")}),
        ("POST", where, an_email(), {}),
        ("GET", where, None, {"X-Request-Id": f"<{canary('requestid')}>"}),
        ("GET", f"/api/emails/{canary('id')}", None, {"Accept": canary("accept")}),
        ("DELETE", "/api/emails", None, {"User-Agent": canary("agent")}),
        ("POST", "/api/emails", an_email(), {"Idempotency-Key": canary("key") * 30}),
        ("GET", f"/api/emails?to={address('query')}", None, {}),
    ]
    for method, path, body, headers in asked:
        answer = service.request(method, path, body, headers)
        assert answer.status < 500, answer
    assert raw(service, b'{"to": "' + canary("half").encode()) == 400


def raw(service: Service, body: bytes) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}/api/emails",
        data=body,
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {KEY}",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=PATIENCE_S)
    caught.value.close()
    return caught.value.code


def what_happens_while_stores_are_away(service: Service) -> None:
    """Accept while Redis does not answer, and fail while MongoDB is gone."""
    service.redis.pause()
    try:
        accept(service)
    finally:
        service.redis.resume()
    service.mongodb.kill9()
    answer = service.request("POST", "/api/emails", an_email())
    assert answer.status in (500, 503), answer
    assert canary("") not in str(answer.body)
    service.mongodb.start()
    service.wait_until_ready()


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
    assert run.listening.commands > 500
    assert run.listening.heard == []
