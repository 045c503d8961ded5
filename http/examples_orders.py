"""Examples of lists, orders and providers; tests hold them against the models."""

from __future__ import annotations

from typing import Any

from .examples import EMAIL

_ID = EMAIL["id"]
_AT = EMAIL["created_at"]

#: What a list shows of an email.
LISTED: dict[str, Any] = {
    name: value
    for name, value in EMAIL.items()
    if name
    not in {
        "html",
        "text",
        "headers",
        "attachments",
        "reason_detail",
        "redriven_at",
        "bound_to",
        "recipients",
        "attempts",
        "events",
        "possible_duplicates",
        "confirmed_duplicates",
    }
}

#: A page of emails.
LIST: dict[str, Any] = {"object": "list", "has_more": False, "data": [LISTED]}

#: A page of dead letters.
DEAD_LIST: dict[str, Any] = {
    "object": "list",
    "has_more": False,
    "data": [
        {
            **LISTED,
            "last_event": "failed",
            "state": "failed",
            "reason": "expired",
            "dead_at": _AT,
            "sent_at": None,
        }
    ],
}

#: The answer to an order about one email.
CHANGED: dict[str, Any] = {"object": "email", "id": _ID}

#: Bodies of orders, as OpenAPI's `examples`.
RESCHEDULES: dict[str, Any] = {
    "instant": {
        "summary": "To an instant",
        "value": {"scheduled_at": "2030-01-31T09:00:00Z"},
    },
    "delay": {"summary": "From now", "value": {"scheduled_at": "in 2 hours"}},
}
FORCES: dict[str, Any] = {
    "usual": {"summary": "Only if nothing went out", "value": {}},
    "force": {"summary": "Though it may be out", "value": {"force": True}},
}
NOTHING: dict[str, Any] = {"usual": {"summary": "Nothing", "value": {}}}
REPLAYS: dict[str, Any] = {
    "count": {
        "summary": "Count what has failed for want of a provider",
        "value": {"reason": "no_provider", "dry_run": True},
    },
    "some": {
        "summary": "Let a few of one provider go again",
        "value": {"provider": "sendgrid", "since": "2030-01-31T00:00:00Z", "limit": 10},
    },
}

#: What a replay came to.
REPLAYED: dict[str, Any] = {
    "object": "replay",
    "dry_run": False,
    "found": 1,
    "has_more": False,
    "replayed": [_ID],
    "refused": [],
    "stopped": None,
}

#: One provider.
PROVIDER: dict[str, Any] = {
    "object": "provider",
    "name": "sendgrid",
    "breaker": "closed",
    "retry_at": None,
    "resume_at": None,
    "drained": False,
    "window": {
        "calls": 40,
        "failures": 1,
        "failure_rate": 0.025,
        "p50_ms": 120,
        "p95_ms": 410,
    },
    "rate_per_s": 0.7,
    "refuses_from": [],
    "queued": 3,
    "parked": 0,
}

#: All providers.
PROVIDERS: dict[str, Any] = {"object": "list", "has_more": False, "data": [PROVIDER]}

#: Where an email would go.
ROUTING: dict[str, Any] = {
    "object": "routing",
    "carriable": True,
    "provider": "mailgun",
    "probes": [],
    "wait_until": None,
    "waiting_for": [],
    "verdicts": [
        {"provider": "sendgrid", "why": "breaker_open", "until": _AT},
        {"provider": "mailgun", "why": "chosen", "until": None},
    ],
}
