"""The fake provider's side of HTTP: control, calls, and how answers go wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.fake_rules import (
    Mode,
    Rule,
    answer_of,
    parsed,
    recorded,
    shown,
    turned_away,
    whose,
)

if TYPE_CHECKING:
    from tests.fake_provider import FakeProvider

#: The longest that a hanging call is kept, in seconds: no test waits as long.
HANG_S = 300.0


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False
    fake: FakeProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what is tested."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        self.request = self.server.fake.opened(self.request)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.fake.closed(self.request)
            if isinstance(self.request, ssl.SSLSocket):
                self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
        """Say nothing."""

    def do_GET(self) -> None:
        fake = self.server.fake
        match urlsplit(self.path).path:
            case "/_journal":
                self._json(200, {"taken": [asdict(taken) for taken in fake.taken]})
            case "/_calls":
                self._json(200, {"calls": [shown(call) for call in fake.calls]})
            case _:
                self._json(404, {"message": "no such path"})

    def do_DELETE(self) -> None:
        self.server.fake.script()
        self._json(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        match self.path:
            case "/_control":
                self._control(body)
            case "/_reset":
                self.server.fake.reset()
                self._json(200, {})
            case "/_keys":
                self.server.fake.keys.honoured = bool(json.loads(body)["honoured"])
                self._json(200, {})
            case _:
                self._call(body)

    def _control(self, body: bytes) -> None:
        try:
            given = json.loads(body)
            rules = [
                Rule(**{**rule, "mode": Mode(rule.get("mode", "accept"))})
                for rule in (given if isinstance(given, list) else [given])
            ]
        except (TypeError, ValueError, AttributeError) as ex:
            self._json(400, {"message": str(ex)})
            return
        self.server.fake.script(*rules)
        self._json(200, {})

    def _call(self, body: bytes) -> None:
        kind, account = whose(self.path)
        if kind is None:
            # What Mailgun answers on a path that it does not know.
            self._write(answer_of(200, "Mailgun Magnificent API", {}))
            return
        if refused := turned_away(kind, self.headers):
            self._write(recorded(kind, refused))
            return
        try:
            call = parsed(
                kind, account, path=self.path, headers=self.headers, body=body
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            self._write(recorded(kind, "bad_request"))
            return
        rule, ruling = self.server.fake.decide(call)
        delay_s = 0 if ruling.is_refusal else rule.delay_ms / 1000
        stops = bool(delay_s) and self.server.fake.wait(delay_s)
        if ruling.takes:
            self.server.fake.keys.end(call)
        if stops:
            self.close_connection = True
            return
        success = recorded(kind, ruling.answer, message_id=ruling.message_id)
        self._answer(rule, success)

    def _answer(self, rule: Rule, success: bytes) -> None:
        answer = success
        if rule.status is not None or rule.body is not None:
            body = (rule.body or "") + " " * rule.fill_bytes
            answer = answer_of(rule.status or 200, body, rule.headers)
        match rule.mode:
            case Mode.ACCEPT | Mode.STATUS:
                self._write(answer)
            case Mode.HANG:
                self._hang()
            case Mode.DROP:
                self._reset()
            case Mode.CUT:
                at = rule.cut_at if rule.cut_at is not None else len(answer) // 2
                self._write(answer[:at])
                self.close_connection = True
            case Mode.GARBAGE:
                self._write(b"\x16\x03\x01 this is not HTTP \xff\xfe\r\n\r\n")
                self.close_connection = True
            case Mode.SLOW:
                self._drip(answer, rule.pause_ms / 1000)
            case Mode.RAW:
                self._write(rule.raw.encode("latin-1"))
                self.close_connection = True

    def _hang(self) -> None:
        """Wait until the client gives up, or the server stops."""
        self.close_connection = True
        self.connection.settimeout(HANG_S)
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    def _reset(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError):
            self.rfile.close()
            self.connection.close()

    def _drip(self, answer: bytes, pause_s: float) -> None:
        for index in range(len(answer)):
            self._write(answer[index : index + 1])
            if self.server.fake.wait(pause_s):
                self.close_connection = True
                return

    def _json(self, status: int, what: Mapping[str, Any]) -> None:
        self._write(
            answer_of(status, json.dumps(what), {"Content-Type": "application/json"})
        )

    def _write(self, answer: bytes) -> None:
        try:
            self.connection.sendall(answer)
        except OSError:
            self.close_connection = True
