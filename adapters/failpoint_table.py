"""Where the failpoints are: every call that leaves a process, by who makes it.

A test reads the services and compares: a new call is in this table, or it fails.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Everything that leaves a process, by who calls: ``port.method``. Services by their
#: name; ``worker`` to ``scheduler`` are what a process does beside them; ``http`` to
#: ``sandbox`` are within a provider's ``send``: connected and nothing of the email out,
#: or all of it out and the answer not read; ``intake`` is within a transaction.
CALLS: Mapping[str, tuple[str, ...]] = {
    "accept": ("hints.route", "store.insert"),
    "accept_together": (
        "hints.route_all",
        "intake.insert_together",
        "intake.recall",
    ),
    "route": (
        "board.elect_probe",
        "board.health",
        "hints.reconcile",
        "hints.route",
        "hints.send",
        "store.apply",
        "store.load",
    ),
    "attempt": (
        "board.health",
        "board.permit",
        "hints.route",
        "providers.send",
        "store.apply",
        "store.load",
    ),
    "verdicts": (
        "board.pause",
        "board.remember_refused_sender",
        "board.report",
        "hints.release",
    ),
    "settle": (
        "board.health",
        "hints.reconcile",
        "hints.route",
        "store.apply",
        "store.load",
    ),
    "reconcile": ("hints.reconcile", "hints.route", "store.apply", "store.load"),
    "offer": (
        "board.health",
        "hints.has_forgotten",
        "hints.reconcile_all",
        "hints.release",
        "hints.remember",
        "hints.route_all",
        "hints.waiting",
        "store.apply_all",
        "store.due",
        "store.hasten",
        "store.parked",
    ),
    "release": (
        "board.may_release",
        "board.view",
        "hints.release",
        "hints.route",
        "store.apply",
        "store.parked",
    ),
    "retain": (
        "retention.erase",
        "retention.final_before",
        "retention.remove_expired",
        "retention.remove_keys",
        "retention.remove_orphans",
    ),
    "cancel": ("store.apply", "store.load"),
    "reschedule": ("hints.route", "store.apply", "store.load"),
    "redrive": ("hints.route", "store.apply", "store.load"),
    "mark_sent": ("store.apply", "store.load"),
    "replay": ("archive.dead_letters", "hints.route_all"),
    "providers": (
        "archive.parked_count",
        "hints.release",
        "panel.drain",
        "panel.reset",
        "panel.resume",
        "panel.trip",
        "panel.view",
        "queues.backlog",
        "queues.clear",
    ),
    "listing": ("archive.dead_page", "archive.find"),
    "erase": ("erasure.addressed_to", "erasure.erase_whole", "store.load"),
    "explain": ("board.health",),
    "find": ("archive.dead_letters", "archive.find", "store.load"),
    "doctor": (
        "archive.counts",
        "archive.dead_count",
        "heartbeats.ages",
        "panel.view",
        "store.due",
    ),
    "self_check": ("inspector.redis", "inspector.store", "queues.backlog"),
    "watch": ("heartbeats.ages",),
    "audit": (
        "books.accepted",
        "books.contradictions",
        "books.oldest_due",
        "books.stored",
        "books.unsettled",
    ),
    "show": ("store.load",),
    "authenticate": ("ring.find", "ring.is_empty"),
    "throttle": ("limit.take",),
    "create_key": ("ring.add",),
    "list_keys": ("ring.all",),
    "revoke_key": ("ring.revoke",),
    "ready": ("heartbeats.ages", "store.is_writable"),
    "worker": (
        "heartbeats.beat",
        "broker.fetch",
        "broker.enqueue",
        "broker.ack",
        "broker.nack",
        "broker.requeue",
    ),
    "router": (
        "heartbeats.beat",
        "broker.fetch",
        "broker.enqueue",
        "broker.ack",
        "broker.nack",
        "broker.requeue",
    ),
    "sweep": ("heartbeats.beat",),
    "metrics": ("board.view",),
    "scheduler": ("broker.enqueue",),
    "http": ("request",),
    "smtp": ("dot",),
    "sandbox": ("inbox.keep",),
    "intake": ("emails", "key", "commit"),
}

#: All of them, before and after.
POINTS: tuple[str, ...] = tuple(
    f"{owner}.{call}.{when}"
    for owner, calls in CALLS.items()
    for call in calls
    for when in ("before", "after")
)
