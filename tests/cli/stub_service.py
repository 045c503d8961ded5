"""A web process that answers as Postroom does, for tests of what starts it."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

EMAIL_ID = "66f000000000000000000001"
ATTEMPT = {"provider": "sandbox", "outcome": "accepted"}
WAY = [
    {"state": "queued", "attempts": []},
    {"state": "sending", "attempts": [ATTEMPT]},
    {"state": "sent", "attempts": [ATTEMPT]},
]


class Handler(BaseHTTPRequestHandler):
    looks = 0

    def do_GET(self) -> None:
        if self.path == "/ready":
            missing = [] if Path("worker-was-here").exists() else ["worker"]
            self.answer(200, {"degraded": missing})
        elif self.path == f"/api/emails/{EMAIL_ID}":
            self.answer(200, WAY[min(Handler.looks, len(WAY) - 1)])
            Handler.looks += 1
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["provider"] == "sandbox":
            self.answer(201, {"id": EMAIL_ID})
        else:
            self.answer(400, {"message": f"unknown provider {body['provider']}"})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer.allow_reuse_address = True
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
