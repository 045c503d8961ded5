"""Two weaker designs, for the same faults and the same judge: what the rest is worth.

What is often built: store, enqueue, answer; then look at the status, send, set the
status, and leave the rest to Dramatiq's retries (`bare`). `sweep` also enqueues again
whatever was not sent after a while. Neither has a claim, a lease or a record of
attempts, and neither knows of cancelling, moving and `at_most_once`.

`lines` are the processes that they run; the settings are those of the service.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import urllib3
from bson import ObjectId
from dramatiq.brokers.redis import RedisBroker
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection

#: The sweep's period, and how old what it takes is at least, in seconds.
SWEEP_EVERY_S, OLD_S = 2.0, 10.0

#: The provider's timeout, in seconds, where the settings name none.
TIMEOUT_S = 15.0

HTTP = urllib3.PoolManager(retries=False, maxsize=64)


def lines(design: str) -> dict[str, str]:
    """Return the processes of a design, as a Procfile has them."""
    worker = "dramatiq tests.chaos.baseline:broker --processes 1 --threads "
    found = {
        "web": "gunicorn --workers 1 --threads 8 'tests.chaos.baseline:app()' "
        "--bind 127.0.0.1:$PORT",
        "worker": worker + "${WORKER_THREADS:-32}",
    }
    if design == "sweep":
        found["scheduler"] = "python -m tests.chaos.baseline"
    return found


def broker() -> RedisBroker:
    """Set up Dramatiq as its documentation does; what the worker imports."""
    made = RedisBroker(url=os.environ["REDIS_URL"])
    dramatiq.set_broker(made)
    made.declare_actor(_actor(made))
    return made


def _actor(made: RedisBroker) -> dramatiq.Actor[..., Any]:
    emails = _emails()

    @dramatiq.actor(
        broker=made,
        actor_name="send",
        max_retries=10,
        min_backoff=500,
        max_backoff=3000,
    )
    def send(email_id: str) -> None:
        key = {"_id": ObjectId(email_id)}
        email = emails.find_one(key)
        if email is None or email["state"] != "queued":
            return
        status = _call(email_id, email)
        if status not in {202, 400}:
            raise RuntimeError(f"the provider said {status}")
        state = "sent" if status == 202 else "failed"
        emails.update_one(key, {"$set": {"state": state}, "$unset": {"due_at": ""}})

    return send


def _call(email_id: str, email: Mapping[str, Any]) -> int:
    contents = (("text/plain", email["text"]), ("text/html", email.get("html")))
    answer = HTTP.request(
        "POST",
        os.environ["SENDGRID_API_URL"] + "/v3/mail/send",
        headers={"Authorization": "Bearer test"},
        timeout=float(os.environ.get("POSTROOM_PROVIDER_TIMEOUT_S", TIMEOUT_S)),
        json={
            "personalizations": [{"to": [{"email": one} for one in email["to"]]}],
            "from": {"email": "post@example.org"},
            "subject": email["subject"],
            "content": [{"type": kind, "value": v} for kind, v in contents if v],
            "custom_args": {"postroom_email_id": email_id},
        },
    )
    return answer.status


def _emails() -> Collection[dict[str, Any]]:
    client = MongoClient[dict[str, Any]](
        os.environ["MONGODB_URI"],
        connect=False,
        tz_aware=True,
        serverSelectionTimeoutMS=5000,
        socketTimeoutMS=5000,
        appname="postroom",
    )
    durable = WriteConcern(w="majority", j=True)
    return client.get_default_database().get_collection("emails", write_concern=durable)


class _App:
    """Stores, enqueues, and only then says 201."""

    def __init__(self) -> None:
        self._send = broker().get_actor("send")
        self._emails = _emails()

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        status, body = "200 OK", dict[str, Any](degraded=[])
        if environ["REQUEST_METHOD"] == "POST":
            size = int(environ["CONTENT_LENGTH"])
            status, body = self._post(json.loads(environ["wsgi.input"].read(size)))
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    def _post(self, email: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        now = datetime.now(UTC)
        at = email.pop("scheduled_at", None)
        due_at = datetime.fromisoformat(at) if at else now
        wait_ms = max(0, round((due_at - now) / timedelta(milliseconds=1)))
        try:
            stored = self._emails.insert_one(
                {**email, "state": "queued", "due_at": due_at}
            )
            email_id = str(stored.inserted_id)
            self._send.send_with_options(args=(email_id,), delay=wait_ms or None)
        except Exception as ex:  # noqa: BLE001 - whatever it was, it is no 201
            return "500 Internal Server Error", {"message": type(ex).__name__}
        return "201 Created", {"id": email_id}


def app() -> _App:
    """Return the web process's application."""
    return _App()


def sweep() -> None:
    """Enqueue again whatever was not sent after a while, for ever."""
    send, emails = broker().get_actor("send"), _emails()
    while True:
        old = datetime.now(UTC) - timedelta(seconds=OLD_S)
        try:
            for email in emails.find({"due_at": {"$lte": old}}, {"_id": 1}):
                send.send(str(email["_id"]))
        except Exception as ex:  # noqa: BLE001 - the next one may do better
            print(f"sweep: {type(ex).__name__}", flush=True)
        time.sleep(SWEEP_EVERY_S)


if __name__ == "__main__":
    sweep()
