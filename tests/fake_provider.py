"""A fake email provider over real sockets: SendGrid's, Mailgun's and Resend's HTTP.

In a test, in the same process::

    with FakeProvider() as fake:
        ...SendgridSettings(api_url=fake.url)...
        fake.script(Rule(provider="sendgrid", mode=Mode.STATUS, status=500, times=2))
        fake.taken      # what was accepted (Taken), in order
        fake.calls      # every call, accepted or not (Call), in order
        fake.connections  # how many connections were opened; fake.open: those now open

As a process, for end-to-end tests (run from the root of the repository)::

    python -m tests.fake_provider --port 9000 --journal FILE     # port 0: a free one
    python -m tests.fake_provider --no-keys ...                  # honour no keys

It prints `listening on http://127.0.0.1:PORT` and runs until SIGTERM. `AsProcess`
starts, kills and restarts one from a test.

Point `SENDGRID_API_URL`, `MAILGUN_API_URL` and `RESEND_API_URL` at it. A path in front
makes another account: `http://127.0.0.1:PORT/backup` is the provider `backup` in rules,
journal and calls; without one it is `sendgrid`, `mailgun` or `resend`, by the path that
is called.

Control, from any process, JSON in and out::

    POST   /_control   a rule or a list of rules; they replace all earlier ones
    DELETE /_control   no rules: every call is accepted
    GET    /_journal   {"taken": [...]}: all that was accepted, in order
    GET    /_calls     {"calls": [...]}: every call, with the request as it was parsed
    POST   /_reset     forget rules, calls, keys and journal (the file stays)
    POST   /_keys      {"honoured": false}: honour no keys from now on; true: do again

A rule (all fields are optional; the first that matches a call is used)::

    {"provider": "*",          whose calls, "*" for all
     "recipient": null,        only calls that address this addr_spec
     "times": null,            only so many calls, then the rule is spent
     "mode": "accept",         or status, hang, drop, cut, garbage, slow, raw
     "accepts": null,          whether the email is taken all the same (it is written to
                               the journal BEFORE the answer): true for accept and slow
     "delay_ms": 0,            before any answer
     "status": null, "body": null, "headers": {},   the answer, if not the usual success
     "raw": "",                mode raw: these characters (latin-1), then the end
     "cut_at": null,           mode cut: so many bytes of the answer (default: half)
     "pause_ms": 100,          mode slow: between two bytes
     "chance": 1.0,            only this share of the calls, the others look further
     "fill_bytes": 0}          so many spaces after the body, if that is given

`drop` resets the connection without an answer, `hang` never answers, `cut` ends in the
middle of the answer. "Before" or "after accepting" is `accepts`.

The journal file has one JSON object a line, flushed and fsynced before the answer
leaves: provider, email_id, message_id, recipients, subject, digest, at (epoch seconds),
key, body. `digest` is `digest_of(recipients, subject, text, html)`, `body` a digest of
the request as it came.

Resend's `Idempotency-Key` is honoured; `tests/fake_keys.py` says how.

The file of `--refusals` has a line for each call that a rule answered with a 4xx:
email_id, status, at. `--seed` repeats what `chance` draws.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import ssl
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from tests.fake_http import Handler, Server
from tests.fake_keys import Keys, Ruling, body_of
from tests.fake_process import AsProcess
from tests.fake_rules import (
    PAYLOADS,
    Call,
    Mode,
    Rule,
    Taken,
    digest_of,
    recorded,
)

__all__ = [
    "PAYLOADS",
    "AsProcess",
    "Call",
    "FakeProvider",
    "Mode",
    "Rule",
    "Taken",
    "digest_of",
    "recorded",
]


class FakeProvider:
    """The server: start and stop it with `with`, or `start` and `stop`."""

    def __init__(
        self,
        *,
        port: int = 0,
        journal: Path | None = None,
        refusals: Path | None = None,
        seed: int | None = None,
        tls: ssl.SSLContext | None = None,
        keys: bool = True,
    ) -> None:
        self.calls: list[Call] = []
        self.taken: list[Taken] = []
        self.connections = 0
        self._rules: list[Rule] = []
        self._spent: list[int] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.open: set[socket.socket] = set()
        self.keys = Keys(honoured=keys)
        if journal and journal.exists():
            self.keys.read(journal)
        self._journal = journal.open("ab") if journal else None
        self._refusals = refusals.open("ab") if refusals else None
        self._draw = random.Random(seed)  # noqa: S311 - a test's
        self._server = Server(("127.0.0.1", port), Handler)
        self._server.fake = self
        self._tls = tls
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            still_open = list(self.open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        for file in (self._journal, self._refusals):
            if file:
                file.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def script(self, *rules: Rule) -> None:
        """Replace all rules; none: every call is accepted."""
        with self._lock:
            self._rules = list(rules)
            self._spent = [0] * len(rules)

    def reset(self) -> None:
        with self._lock:
            self._rules, self._spent = [], []
            self.calls, self.taken = [], []
            self.keys.forget()

    def close_idle(self) -> None:
        """Close every open connection, as a server does with quiet ones."""
        with self._lock:
            still_open = list(self.open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> bool:
        """Wait, unless the server stops: returns whether it does."""
        return self._stopping.wait(seconds)

    def opened(self, connection: socket.socket) -> socket.socket:
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self.connections += 1
            self.open.add(connection)
        return connection

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self.open.discard(connection)

    def decide(self, call: Call) -> tuple[Rule, Ruling]:
        """Note the call, pick its rule, and take the email if that says so."""
        ruling = Ruling(message_id=uuid.uuid4().hex[:22])
        with self._lock:
            rule = self._rule_for(call)
            self.calls.append(replace(call, mode=rule.mode))
            if rule.takes_it:
                ruling = self.keys.begin(call, ruling)
            elif 400 <= (rule.status or 0) < 500:
                self._note_refusal(call, rule)
            if ruling.takes:
                self._take(call, ruling.message_id)
        return rule, ruling

    def _note_refusal(self, call: Call, rule: Rule) -> None:
        if self._refusals:
            said = {"email_id": call.email_id, "status": rule.status, "at": call.at}
            self._refusals.write(json.dumps(said).encode() + b"\n")
            self._refusals.flush()

    def _rule_for(self, call: Call) -> Rule:
        for index, rule in enumerate(self._rules):
            if (
                rule.provider in {"*", call.provider}
                and (rule.recipient is None or rule.recipient in call.recipients)
                and (rule.times is None or self._spent[index] < rule.times)
                and (rule.chance >= 1 or self._draw.random() < rule.chance)
            ):
                self._spent[index] += 1
                return rule
        return Rule()

    def _take(self, call: Call, message_id: str) -> None:
        taken = Taken(
            provider=call.provider,
            email_id=call.email_id,
            message_id=message_id,
            recipients=call.recipients,
            subject=call.subject,
            digest=digest_of(call.recipients, call.subject, call.text, call.html),
            at=call.at,
            key=call.key,
            body=body_of(call),
        )
        if self._journal:
            self._journal.write(json.dumps(asdict(taken)).encode() + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())
        self.taken.append(taken)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_provider")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--no-keys", dest="keys", action="store_false")
    parser.add_argument("--refusals", type=Path)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with FakeProvider(**vars(given)) as fake:
        print(f"listening on {fake.url}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
