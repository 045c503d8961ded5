"""How each failpoint is reached: one way for each call, in a lane of its own.

Steps of one lane are taken one after the other, lanes beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.forked import ROUTER
from tests.e2e.provocations import (
    CALM,
    DELAY_S,
    KEYED,
    ONE,
    PROBING,
    RELAY,
    SLICE,
    SLOW,
    SPARE,
    abandoned,
    asked_for,
    commanded,
    doubted,
    fetched,
    first_choice,
    forgotten,
    in_a_worker,
    misled,
    overtaken,
    parked,
    posted,
    released,
    repeated,
    stopping,
    tripped,
    unbindable,
    unhinted,
    unlisted,
)
from tests.e2e.walk import AT_LEAST_ONCE, AT_MOST_ONCE, Go, Step
from tests.fake_provider import Mode, Rule, recorded

Rules = Callable[[Step], list[Rule]]


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a call is reached, and what is to become of the email.

    Attributes:
        rules: What the providers do with its recipient.
        ends: The state that it is to have at last.
        deliveries: With which it can be walked; in every run with the first.
        in_both: Whether every run walks it with each of them.
        apart: Whether the points before and after have a lane each.
    """

    go: Go
    lane: str
    rules: Rules = lambda _: []
    ends: str = "sent"
    deliveries: tuple[str, ...] = (AT_LEAST_ONCE, AT_MOST_ONCE)
    in_both: bool = False
    apart: bool = False


# What the providers do


def once(mode: Mode = Mode.STATUS, *, times: int = 1, **rule: Any) -> Rules:
    """Come to this with the first calls for the recipient."""
    return lambda step: [Rule(recipient=step.recipient, times=times, mode=mode, **rule)]


def answered(name: str) -> Rules:
    """Answer once as SendGrid was recorded."""
    head, _, body = recorded("sendgrid", name).partition(b"\r\n\r\n")
    return once(status=int(head.split()[1]), body=body.decode())


BUSY = once(status=503)
RESTING = once(status=503, headers={"Retry-After": str(DELAY_S)})
THROTTLED = once(status=429, headers={"Retry-After": "1"})
LOST = once(Mode.DROP)
LOST_THRICE = once(Mode.DROP, times=3)
TAKEN_AND_LOST = once(Mode.DROP, accepts=True)
WRONG = answered("bad_request")
STRANGER = answered("sender_identity")

#: What a client asks about, and does not send.
_NEW_EMAIL = {"to": "a@example.com", "subject": "Hi", "text": "Hello"}

#: An email that must not go twice is held where another one is sent again.
_LEAST = (AT_LEAST_ONCE,)
_MOST = (AT_MOST_ONCE,)


def _in_a_worker() -> Iterator[tuple[str, Way]]:
    one: dict[str, Any] = {"lane": "worker", "apart": True}
    both: dict[str, Any] = one | {"in_both": True}
    unclaimed, claimed = in_a_worker(waits=True), in_a_worker()
    yield "attempt.store.load", Way(go=unclaimed, **both)
    yield "attempt.store.apply", Way(go=unclaimed, **both)
    yield "attempt.board.health", Way(go=unclaimed, **one)
    yield "attempt.board.permit", Way(go=unclaimed, **both)
    yield "attempt.providers.send", Way(go=claimed, **both)
    yield "http.request", Way(go=claimed, **both)
    yield "verdicts.board.report", Way(go=claimed, **both)
    yield "settle.store.apply", Way(go=claimed, **both)
    yield "settle.board.health", Way(go=claimed, **one)
    lost: dict[str, Any] = {"rules": LOST, "deliveries": _LEAST}
    yield "settle.hints.reconcile", Way(go=claimed, **lost, **one)
    yield "worker.broker.fetch", Way(go=fetched(), **both)
    yield "worker.broker.ack", Way(go=claimed, **both)
    busy: dict[str, Any] = {"rules": BUSY, "deliveries": _LEAST}
    yield "worker.broker.enqueue", Way(go=unclaimed, **busy, **one)
    yield "worker.broker.nack", Way(go=claimed, rules=WRONG, ends="failed", **one)
    # These go to another provider then.
    yield "attempt.hints.route", Way(go=misled, lane="worker.before")
    onwards = Way(go=first_choice(), lane="worker.before", **busy)
    yield "settle.hints.route", onwards
    elsewhere = Way(go=unlisted(ONE), rules=STRANGER, lane="worker.before")
    yield "verdicts.board.remember_refused_sender", elsewhere
    yield "settle.store.load", Way(go=overtaken, lane="slow", deliveries=_LEAST)
    stops = stopping(SLOW, f"send.{SLOW}.DQ", provider=SLOW)
    yield (
        "worker.broker.requeue",
        Way(go=stops, rules=RESTING, lane="slow", deliveries=_LEAST),
    )
    beats = first_choice(RELAY, of_any=True, pin=CALM)
    yield "worker.heartbeats.beat", Way(go=beats, lane="worker.beat")
    throttled = first_choice(PROBING, pin=PROBING)
    yield "verdicts.board.pause", Way(go=throttled, rules=THROTTLED, lane="probing")
    closed = tripped(PROBING, of_any=True)
    yield "verdicts.hints.release", Way(go=closed, lane="probing")
    yield "smtp.dot", Way(go=first_choice(RELAY, pin=RELAY), lane="smtp", in_both=True)
    kept = first_choice(KEYED, pin=KEYED)
    yield "sandbox.inbox.keep", Way(go=kept, lane="keyed", in_both=True)


def _in_a_router() -> Iterator[tuple[str, Way]]:
    one: dict[str, Any] = {"lane": "router"}
    this, any_one = (first_choice(ROUTER, of_any=o, pin=CALM) for o in (False, True))
    lost: dict[str, Any] = {"rules": LOST, "deliveries": _LEAST}
    yield "route.board.health", Way(go=any_one, **one)
    yield "route.hints.send", Way(go=this, **one)
    yield "route.store.load", Way(go=parked, lane="parking", apart=True)
    yield "route.store.apply", Way(go=parked, lane="parking", apart=True)
    yield "route.board.elect_probe", Way(go=tripped(ROUTER), lane="probing")
    yield "route.hints.route", Way(go=tripped(ROUTER), lane="probing")
    unbound = Way(go=unbindable, lane="keyed", deliveries=_LEAST)
    yield "route.hints.reconcile", unbound
    for call in ("store.load", "store.apply", "hints.route"):
        yield f"reconcile.{call}", Way(go=this, **lost, **one)
    doubt = Way(
        go=doubted, rules=LOST_THRICE, lane="doubt", deliveries=_LEAST, apart=True
    )
    yield "reconcile.hints.reconcile", doubt
    yield "offer.hints.reconcile_all", Way(go=abandoned, **lost, **one)
    for call in ("store.apply_all", "hints.route_all"):
        yield f"offer.{call}", Way(go=unhinted(), **one)
    for call in ("hints.has_forgotten", "store.due", "board.health", "store.parked"):
        yield f"offer.{call}", Way(go=unhinted(of_any=True), **one)
    yield "offer.hints.waiting", Way(go=unhinted(of_any=True), **one)
    for call in ("store.hasten", "hints.remember"):
        yield f"offer.{call}", Way(go=forgotten, **one)
    found = released(of_any=True, hinted=False)
    yield "offer.hints.release", Way(go=found, lane="parking", apart=True)
    for call in ("board.view", "board.may_release", "store.parked"):
        yield (
            f"release.{call}",
            Way(go=released(of_any=True), lane="parking", apart=True),
        )
    for call in ("store.apply", "hints.route"):
        yield f"release.{call}", Way(go=released(), lane="parking", apart=True)
    many = released(of_any=True, others=SLICE)
    yield "release.hints.release", Way(go=many, lane="parking", apart=True)
    yield "sweep.heartbeats.beat", Way(go=unhinted(of_any=True), **one)
    yield "router.heartbeats.beat", Way(go=any_one, lane="router.beat")
    yield "router.broker.fetch", Way(go=fetched(ROUTER, "router", provider=CALM), **one)
    yield "router.broker.ack", Way(go=any_one, **one)
    soon = first_choice(ROUTER, pin=CALM, scheduled_at="in 1 second")
    yield "router.broker.enqueue", Way(go=soon, **one)
    given_up = unlisted(ROUTER, pin=CALM)
    yield "router.broker.nack", Way(go=given_up, rules=STRANGER, ends="failed", **one)
    later: dict[str, Any] = {"provider": CALM, "scheduled_at": f"in {DELAY_S} seconds"}
    yield (
        "router.broker.requeue",
        Way(go=stopping(ROUTER, "router.DQ", **later), lane="stopping"),
    )


def _in_web_and_command() -> Iterator[tuple[str, Way]]:
    for call in ("store.insert", "hints.route"):
        yield f"accept.{call}", Way(go=posted, lane="web", in_both=True)
    keyed: dict[str, Any] = {"go": repeated, "lane": "keys", "apart": True}
    for call in ("intake.recall", "intake.insert_together", "hints.route_all"):
        yield f"accept_together.{call}", Way(**keyed)
    for call in ("emails", "key", "commit"):
        yield f"intake.{call}", Way(**keyed)
    yield "show.store.load", Way(go=asked_for("/api/emails/{}"), lane="web")
    for call in ("store.is_writable", "heartbeats.ages"):
        yield f"ready.{call}", Way(go=asked_for("/ready"), lane="web")
    yield "listing.archive.find", Way(go=asked_for("/api/emails"), lane="web")
    dead = asked_for("/api/dead-letters")
    yield "listing.archive.dead_page", Way(go=dead, lane="web")
    explained = asked_for("/api/routing/explain", _NEW_EMAIL)
    yield "explain.board.health", Way(go=explained, lane="web")
    yield "metrics.board.view", Way(go=asked_for("/metrics"), lane="web")
    retried = commanded("postroom", "retry", "{}", state="failed")
    for call in ("store.load", "store.apply", "hints.route"):
        yield f"redrive.{call}", Way(go=retried, rules=WRONG, lane="errand")
    replayed = commanded("errand", "replay", "{}", state="failed")
    yield "replay.hints.route_all", Way(go=replayed, rules=WRONG, lane="errand")
    marked = commanded("postroom", "mark-sent", "{}", state="unknown")
    held: dict[str, Any] = {"rules": TAKEN_AND_LOST, "deliveries": _MOST}
    for call in ("store.load", "store.apply"):
        yield f"mark_sent.{call}", Way(go=marked, lane="command", apart=True, **held)
    waiting: dict[str, Any] = {"state": "scheduled", "scheduled_at": "in 1 hour"}
    taken_back = commanded("errand", "cancel", "{}", **waiting)
    for call in ("store.load", "store.apply"):
        yield f"cancel.{call}", Way(go=taken_back, lane="errand", ends="cancelled")
    moved = commanded("errand", "reschedule", "{}", "1.5", **waiting)
    for call in ("store.load", "store.apply", "hints.route"):
        yield f"reschedule.{call}", Way(go=moved, lane="errand")
    wiped = commanded("errand", "erase", "{}", state="sent")
    for call in ("store.load", "erasure.erase_whole"):
        yield f"erase.{call}", Way(go=wiped, lane="errand")
    yield "scheduler.broker.enqueue", Way(go=commanded("errand", "tick"), lane="errand")
    looked = Way(go=commanded("errand", "watch"), lane="errand")
    yield "watch.heartbeats.ages", looked
    erased = commanded("errand", "retain", environ={"POSTROOM_KEEP_BODY_D": "0"})
    for call in (
        "final_before",
        "erase",
        "remove_expired",
        "remove_orphans",
        "remove_keys",
    ):
        yield f"retain.retention.{call}", Way(go=erased, lane="errand")
    stranger = commanded("errand", "knock", f"pr_live_{'x' * 43}")
    yield "authenticate.ring.find", Way(go=stranger, lane="errand")
    nobody = commanded("errand", "knock")
    yield "authenticate.ring.is_empty", Way(go=nobody, lane="errand")
    counted = commanded("errand", "throttle")
    yield "throttle.limit.take", Way(go=counted, lane="errand")
    for call, words in _LOOKS.items():
        yield (
            call,
            Way(go=commanded("postroom", *words.split()), lane="command", apart=True),
        )


#: Commands that change no email. Orders to a provider are for one that has no email.
_LOOKS: Mapping[str, str] = {
    "find.store.load": "show {}",
    "find.archive.find": "list",
    "find.archive.dead_letters": "dead-letters list",
    "erase.erasure.addressed_to": "erase --address gone@example.org",
    "replay.archive.dead_letters": "dead-letters replay --dry-run",
    "providers.panel.view": "providers list",
    "providers.archive.parked_count": "providers list",
    "providers.panel.trip": f"providers trip {SPARE}",
    "providers.panel.reset": f"providers reset {SPARE}",
    "providers.hints.release": f"providers reset {SPARE}",
    "providers.panel.drain": f"providers drain {SPARE}",
    "providers.panel.resume": f"providers resume {SPARE}",
    "providers.queues.backlog": "providers list",
    "providers.queues.clear": "providers forget gone",
    "create_key.ring.add": "keys create somebody",
    "list_keys.ring.all": "keys list",
    "revoke_key.ring.revoke": "keys revoke key_1",
    "self_check.inspector.store": "doctor",
    "self_check.inspector.redis": "doctor",
    "self_check.queues.backlog": "doctor",
    "doctor.heartbeats.ages": "doctor",
    "doctor.panel.view": "doctor",
    "doctor.store.due": "doctor",
    "doctor.archive.dead_count": "doctor",
    "doctor.archive.counts": "doctor",
    "audit.books.accepted": "audit",
    "audit.books.contradictions": "audit",
    "audit.books.oldest_due": "audit",
    "audit.books.stored": "audit",
    "audit.books.unsettled": "audit",
}

#: For each call of the table how it is reached.
WAYS: Mapping[str, Way] = dict(
    (*_in_a_worker(), *_in_a_router(), *_in_web_and_command())
)
