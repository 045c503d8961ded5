"""A run in which everything happens once, and every value is a canary."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import poisonous
from tests.e2e.canaries import address, canary
from tests.e2e.service import PATIENCE_S, Answer, Service
from tests.fake_provider import Mode, Rule
from tests.fake_smtp import FakeSmtp
from tests.fake_smtp import Rule as RelayRule
from tests.ports import a_port

KEY = canary("apikey").ljust(40, "k")
METRICS_KEY = canary("metricskey").ljust(40, "k")
RELAY_LOGIN = (canary("relayuser"), canary("relaypassword"))

#: What nobody who reads a log, a metric or a store may find; see `Client` for more.
SECRETS = (
    KEY,
    METRICS_KEY,
    RELAY_LOGIN[1],
    *(canary(f"{name}key") for name in ("sendgrid", "mailgun", "resend")),
)

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
class Client:
    """Who has keys of `postroom keys create`, and types commands.

    Attributes:
        keys: The secrets, by what their holders are called.
        printed: All that commands printed, by what was typed.
    """

    service: Service
    keys: dict[str, str] = field(default_factory=dict)
    printed: dict[str, bytes] = field(default_factory=dict)

    def type(self, *words: str) -> bytes:
        """Type a command; return what it printed on both of its ways out."""
        done = subprocess.run(
            [Path(sys.executable).parent / "postroom", *words],
            env=self.service.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout
        self.printed[" ".join(words)] = done.stdout
        return done.stdout

    def make_key(self, name: str, *options: str) -> None:
        said = self.type("keys", "create", name, *options).decode()
        (self.keys[name],) = set(re.findall(r"pr_(?:live|test)_[\w-]{43}", said))

    def ask(
        self, name: str, method: str, path: str, body: object = None, **headers: str
    ) -> Answer:
        """Ask with the key of a holder."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        given["Authorization"] = f"Bearer {self.keys[name]}"
        return self.service.request(method, path, body, given)

    def accept(self, name: str, **fields: Any) -> str:
        answer = self.ask(name, "POST", "/api/emails", an_email(**fields))
        assert answer.status == 201, answer
        email_id: str = answer.body["id"]
        return email_id


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


def what_keys_are_for(client: Client) -> None:
    """Make keys, use them, also for what they are not for, and take one back."""
    client.make_key("shop", "--owner", "shop")
    client.make_key("boss", "--owner", "shop", "--scopes", "admin", "--json")
    client.make_key("test", "--owner", "shop", "--test")
    client.make_key("gone", "--owner", "shop", "--rate", "0.01", "--burst", "1")
    asked = [client.ask("gone", "POST", "/api/emails", an_email()) for _ in range(2)]
    asked.append(client.ask("shop", "GET", "/metrics"))
    listed = client.type("keys", "list").decode()
    (key_id,) = re.findall(r"^(\S+) +gone ", listed, re.MULTILINE)
    client.type("keys", "revoke", key_id)

    assert [answer.status for answer in asked] == [201, 429, 403]


def what_goes_together(client: Client) -> None:
    """Send batches, repeat them, and have them refused."""
    good = an_email(attachments=[])
    bad = {**good, "to": [f"{address('bad')}, {address('worse')}"]}
    named = {"Idempotency_Key": canary("idempotencykey")}
    permissive = {"x_batch_validation": "permissive"}
    path = "/api/emails/batch"
    asked = [
        client.ask("shop", "POST", path, [good, good], **named),
        client.ask("shop", "POST", path, [good, good], **named),
        client.ask("shop", "POST", path, [good], **named),
        client.ask("shop", "POST", path, [good, bad]),
        client.ask("shop", "POST", path, [bad, good], **permissive),
        client.ask("shop", "POST", path, [good], x_batch_validation=canary("valid")),
        client.ask("shop", "POST", "/api/emails", an_email(), **named),
        client.ask("shop", "POST", "/api/emails", an_email(), **named),
    ]
    assert [one.status for one in asked] == [200, 200, 409, 400, 200, 400, 201, 201]
    refusals = [str(one.body) for one in asked if one.status >= 400]
    told = [str(error) for one in asked for error in one.body.get("errors", [])]
    assert not [text for text in (*refusals, *told) if canary("") in text]


def what_is_changed(client: Client) -> None:
    """Move, cancel, retry, erase and explain emails, also where that is refused."""
    later = {"scheduled_at": "in 3 hours"}
    moved, sent = client.accept("shop", **later), client.accept("test")
    one, done = f"/api/emails/{moved}", f"/api/emails/{sent}"
    client.service.wait_until(
        lambda: client.ask("test", "GET", done).body["state"] == "sent", "sent"
    )
    asked = [
        client.ask("shop", "PATCH", one, {"scheduled_at": "in 4 hours"}),
        client.ask("shop", "PATCH", one, {"scheduled_at": canary("time")}),
        client.ask("shop", "POST", f"{one}/cancel", {canary("name"): True}),
        client.ask("shop", "POST", f"{one}/cancel"),
        client.ask("test", "POST", f"{done}/cancel"),
        client.ask("test", "POST", f"{done}/retry", {"force": True}),
        client.ask("shop", "POST", "/api/routing/explain", an_email()),
        client.ask("shop", "GET", f"/api/emails?to={address('to')}"),
        client.ask("shop", "GET", f"/api/emails?tag={canary('tag')}&x={canary('x')}"),
        client.ask("boss", "DELETE", one),
        client.ask("boss", "DELETE", one),
        client.ask("boss", "POST", "/api/dead-letters/replay", {}),
    ]
    assert [answer.status for answer in asked] == [
        *(200, 400, 400, 200, 409, 409, 200, 200, 400, 204, 204, 200)
    ]


def what_operators_type(client: Client) -> None:
    """Type each verb that looks at something."""
    email_id = client.accept("shop", scheduled_at="in 2 hours")
    client.type("doctor")
    client.type("doctor", "--json")
    client.type("audit")
    client.type("list", "--json")
    client.type("list", "--recipients")
    client.type("dead-letters", "list")
    client.type("providers", "list")
    client.type("show", email_id)
    client.type("retry", email_id)
    hello = ("--to", address("to"), "--subject", canary("subject"), "--text", "Hello")
    client.type("send", *hello)


def what_is_forgotten(client: Client, relay: FakeSmtp) -> None:
    """Write to one address in every way, and erase all of it."""
    who = address("forgotten")
    told = f'{{"message": "{who} is on our list", "errors": [{{"message": "{who}"}}]}}'
    to: dict[str, Any] = {"to": [who], "cc": [], "bcc": []}
    named = {"Idempotency_Key": canary("forgotten")}
    batch = [an_email(**to, attachments=[]), an_email(to=[who, "nobody"])]
    alone = an_email(**to, provider="sendgrid", text=f"Dear {who}{'x' * 70_000}")

    first = client.ask("shop", "POST", "/api/emails", alone, **named)
    together = client.ask(
        *("shop", "POST", "/api/emails/batch", batch),
        x_batch_validation="permissive",
        **named,
    )
    assert (first.status, together.status) == (201, 200)
    ids = [first.body["id"], *(one["id"] for one in together.body["data"])]
    wait_until_final(client, "shop", ids)
    client.service.fake.script(Rule(mode=Mode.STATUS, status=400, body=told, times=9))
    relay.script(RelayRule(reply=f"550 5.1.1 <{who}> is not here", times=1))
    ids = [client.accept("shop", **to, provider=name) for name in PROVIDERS]
    wait_until_final(client, "shop", ids)
    client.service.fake.reset()
    relay.script()
    wait_until_final(client, "test", [client.accept("test", **to)])
    taken_back = client.accept("shop", **to, scheduled_at="in 3 hours")
    assert client.ask("shop", "POST", f"/api/emails/{taken_back}/cancel").status == 200
    client.ask("shop", "POST", "/api/routing/explain", an_email(**to))

    client.type("erase", "--address", who)

    again = client.ask("shop", "POST", "/api/emails", alone, **named)
    assert again.body["id"] == first.body["id"]


def wait_until_final(client: Client, name: str, email_ids: list[str]) -> None:
    def all_are() -> bool:
        answers = [client.ask(name, "GET", f"/api/emails/{one}") for one in email_ids]
        return {answer.body["state"] for answer in answers} <= {"sent", "failed"}

    client.service.wait_until(all_are, "final")


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
