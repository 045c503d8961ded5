"""The first email: is everything up, and the way of one email as it happens.

It goes through the API as anybody's does, pinned to the sandbox, so that no real
provider is asked to carry it.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import urllib3

from .errors import StackError

#: How long an email to the sandbox may take, in seconds; it takes well under one.
PATIENCE_S = 30.0

_PAUSE_S = 0.02
_TIMEOUT = urllib3.Timeout(total=6.0)
_FINAL = {"sent", "failed", "cancelled", "suppressed"}

_TEXT = """\
Postroom works on this machine.

This email came in over HTTP, was kept in MongoDB, went by Redis to the router and to a
worker, and was "sent" by the sandbox, a provider that only keeps what it is given.
"""


class Api:
    """The running service, asked over HTTP."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        """Name the service; ``api_key`` goes with each request."""
        self.url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and body; status 0 if nothing answered in JSON."""
        return self._ask("GET", path)

    def post(self, path: str, body: Mapping[str, object]) -> tuple[int, dict[str, Any]]:
        """Return status and body; status 0 if nothing answered in JSON."""
        return self._ask("POST", path, json=body)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _ask(
        self, method: str, path: str, **body: object
    ) -> tuple[int, dict[str, Any]]:
        try:
            answer = self._pool.request(
                method,
                self.url + path,
                headers=self._headers,
                **body,  # type: ignore[arg-type]  # json= only
            )
            content = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return 0, {}
        return answer.status, content if isinstance(content, dict) else {}


def missing_parts(api: Api) -> list[str]:
    """Return what ``/ready`` finds missing; empty when all is up."""
    status, body = api.get("/ready")
    if status == 0:
        return ["web"]
    degraded = [str(part) for part in body.get("degraded", ())]
    return degraded or ([] if status == 200 else ["mongo"])


def sandbox_of(providers: str) -> str | None:
    """Return the name of the sandbox in POSTROOM_PROVIDERS, or ``None``.

    Examples:
        >>> sandbox_of("sendgrid, trial=sandbox")
        'trial'
    """
    for item in providers.split(","):
        name, _, kind = item.strip().partition("=")
        if (kind or name) == "sandbox":
            return name
    return None


def send(api: Api, *, provider: str, pause: Callable[[float], object]) -> Iterator[str]:
    """Send one email and yield its steps as they are seen.

    Args:
        api: The running service.
        provider: The name of a sandbox: it alone may carry this email.
        pause: Waits some seconds between two looks; may raise to break off.

    Raises:
        StackError: It was not accepted.
    """
    started = time.monotonic()
    status, answer = api.post(
        "/api/emails",
        {
            "from": "Postroom <postroom@example.com>",
            "to": ["you@example.com"],
            "subject": "Welcome to Postroom",
            "text": _TEXT,
            "provider": provider,
        },
    )
    if status == 401:
        yield "no welcome email: there are keys, and POSTROOM_API_KEY is not one"
        return
    if status != 201:
        said = answer.get("message", "no answer")
        raise StackError(f"the welcome email was not accepted: {status}, {said}")
    email_id = answer["id"]
    yield f"accepted as {email_id}"
    shown = 0
    while True:
        _, email = api.get(f"/api/emails/{email_id}")
        steps = steps_of(email)
        yield from steps[shown:]
        shown = len(steps)
        if email.get("state") in _FINAL:
            return
        if time.monotonic() - started > PATIENCE_S:
            # A sandbox told to fail is why: the service itself is well, so it stays.
            yield f"not sent yet: {email.get('state', 'not found')}"
            return
        pause(_PAUSE_S)


def steps_of(email: Mapping[str, Any]) -> list[str]:
    """Return what an email has been through after it was accepted, oldest first.

    Examples:
        >>> steps_of({"state": "sending", "attempts": [{"provider": "sandbox"}]})
        ['routed to sandbox', 'claimed by a worker']
    """
    steps = []
    attempts = email.get("attempts") or []
    if attempts:
        steps += [f"routed to {attempts[0]['provider']}", "claimed by a worker"]
    match email.get("state"):
        case "sent":
            steps.append(f"sent by {attempts[-1]['provider']}" if attempts else "sent")
        case state if state in _FINAL:
            steps.append(f"{state}: {email.get('reason')}")
    return steps
