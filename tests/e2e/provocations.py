"""How each failpoint is reached: one way for each call, in a lane of its own.

Steps of one lane are taken one after the other, lanes beside each other. What would be
in another's way is in the same lane, or at a provider of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postroom.adapters.hints import MEMORY_KEY
from postroom.domain.hint import Hint
from tests.e2e.forked import COMMANDS, ROUTER, WEB
from tests.e2e.walk import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    REACH_LAPSED_S,
    Go,
    Step,
    Walk,
)
from tests.fake_provider import Mode, Rule, recorded

#: The providers, best first, and what their workers go through.
KILLED = {"before": "one", "after": "other"}  # killed one after the other
ONE = KILLED["before"]  # where an email goes first that may go anywhere
CALM = "calm"  # spared: takes what one of the others had
SLOW = "slow"  # stopped, for a while or for good
PARKED = {"before": "parking", "after": "drained"}  # taken out of use
PROBING = "probing"  # its breaker is opened
KEYED = "keyed"  # takes idempotency keys
RELAY = "relay"  # over SMTP
SPARE = "spare"  # has no email, for an operator's orders

#: How old a process's picture of the breakers may be, in seconds.
SNAPSHOT_S = 0.3

#: As many parked emails as a slice of a release has at its slowest pace.
SLICE = 20

#: How long a message is delayed that is to be found in hand, in seconds.
DELAY_S = 6

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


# Through a worker


def first_choice(
    group: str = ONE, *, of_any: bool = False, pin: str | None = None, **fields: Any
) -> Go:
    """Arm the point in a group of processes, then accept an email.

    Args:
        group: Which processes are to come there.
        of_any: Whether its call shows no email, so that any of them may lead there.
        pin: The only provider that may have it.
        fields: More of the request.
    """

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        armed = walk.arm(step, group, "" if of_any else email_id)
        walk.accept(step, email_id, provider=pin, **fields)
        walk.wait_until_fired(step, armed)

    return go


def in_a_worker(*, waits: bool = False) -> Go:
    """Arm the point in a worker, and accept an email for its provider.

    Args:
        waits: Whether it is tried again soon, so that the next kill could meet it.
    """

    def go(walk: Walk, step: Step) -> None:
        provider = KILLED[step.when]
        first_choice(provider, pin=provider)(walk, step)
        if waits:
            walk.wait_for_end(walk.rows[step.name].email_id or "")

    return go


def fetched(group: str | None = None, queue: str = "", **fields: Any) -> Go:
    """Before a look into a queue, and after the one that found the email."""

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        provider = KILLED[step.when]
        looks = f"'{queue or f'send.{provider}'}'"
        match = looks if step.when == "before" else email_id
        armed = walk.arm(step, group or provider, match)
        walk.accept(step, email_id, **({"provider": provider} | fields))
        walk.wait_until_fired(step, armed)
        walk.wait_for_end(email_id)

    return go


def unlisted(group: str, *, pin: str | None = None) -> Go:
    """The provider knows nothing of the email's sender."""

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        armed = walk.arm(step, group, step.domain if group != ROUTER else "")
        sender = {"from": f"post@{step.domain}"}
        walk.accept(step, email_id, provider=pin, **sender)
        walk.wait_until_fired(step, armed)

    return go


def misled(walk: Walk, step: Step) -> None:
    """A hint leads to a provider that may not have the email."""
    email_id = walk.new_id(step)
    armed = walk.arm(step, ONE, email_id)
    walk.accept(step, email_id, hinted=False, provider=CALM)
    email = walk.parts.store.load(email_id)
    assert email is not None
    walk.parts.hints.send(ONE, Hint.of(email))
    walk.wait_until_fired(step, armed)


def overtaken(walk: Walk, step: Step) -> None:
    """A worker is stopped before it records, until its lease is over and settled."""
    email_id = walk.new_id(step)
    armed = walk.arm(step, SLOW, email_id)
    stopped = walk.arm_before("settle.store.apply.before", SLOW, email_id, order="stop")
    walk.accept(step, email_id, provider=SLOW)
    walk.wait_until_gone(stopped)
    walk.wait_for(email_id, lambda email: email["state"] != "sending")
    for name in walk.service.group(SLOW):
        walk.service.signal(name, signal.SIGCONT)
    walk.wait_until_fired(step, armed, REACH_LAPSED_S)


def stopping(group: str, delay_queue: str, **fields: Any) -> Go:
    """All processes of a group are told to stop, one with a delayed message."""

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        walk.accept(step, email_id, **fields)
        if group != ROUTER:
            walk.wait_for(email_id, _is_refused)
        walk.until(
            lambda: not walk.redis.exists(f"dramatiq:{delay_queue}"),
            lambda: f"{delay_queue} to be fetched",
        )
        armed = walk.arm(step, group)
        for name in walk.service.group(group):
            os.kill(walk.service.pids[name], signal.SIGTERM)
        walk.wait_until_fired(step, armed)

    return go


def _is_refused(email: Mapping[str, Any]) -> bool:
    return email["state"] == "queued" and len(email["attempts"]) == 1


# Through a router


def unhinted(*, of_any: bool = False) -> Go:
    """An email without a hint, which only the sweep finds."""

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        armed = walk.arm(step, ROUTER, "" if of_any else email_id)
        walk.accept(step, email_id, hinted=False, provider=CALM)
        walk.wait_until_fired(step, armed)

    return go


def forgotten(walk: Walk, step: Step) -> None:
    """Redis has forgotten, and an email without a hint is open."""
    email_id = walk.new_id(step)
    armed = walk.arm(step, ROUTER)
    walk.accept(step, email_id, hinted=False, provider=CALM)
    walk.redis.delete(MEMORY_KEY)
    walk.wait_until_fired(step, armed)


def abandoned(walk: Walk, step: Step) -> None:
    """A worker dies before it asks for its unknown email to be looked at."""
    email_id = walk.new_id(step)
    armed = walk.arm(step, ROUTER, email_id)
    before = walk.arm_before("settle.hints.reconcile.before", CALM, email_id)
    walk.accept(step, email_id, provider=CALM)
    walk.wait_until_gone(before)
    walk.wait_until_fired(step, armed, REACH_LAPSED_S)


def doubted(walk: Walk, step: Step) -> None:
    """After three unknown attempts the wait for word is longer than a lease."""
    email_id = walk.new_id(step)
    walk.accept(step, email_id, provider=CALM)
    walk.wait_for(
        email_id,
        lambda email: [a["outcome"] for a in email["attempts"]] == ["unknown"] * 3,
    )
    armed = walk.arm(step, ROUTER, email_id)
    before = walk.arm_before("attempt.store.apply.after", CALM, email_id)
    walk.wait_until_gone(before)
    walk.wait_until_fired(step, armed, REACH_LAPSED_S)


def unbindable(walk: Walk, step: Step) -> None:
    """An email is bound to a provider that is drained before it is tried again."""
    email_id = walk.new_id(step)
    armed = walk.arm(step, ROUTER, email_id)
    before = walk.arm_before("sandbox.inbox.keep.before", KEYED, email_id)
    walk.accept(step, email_id, provider=KEYED)
    walk.wait_until_gone(before)
    with drained(walk, KEYED):
        walk.wait_until_fired(step, armed, REACH_LAPSED_S)


def parked(walk: Walk, step: Step) -> None:
    """The only provider of an email is drained."""
    provider = PARKED[step.when]
    with drained(walk, provider):
        email_id = walk.new_id(step)
        armed = walk.arm(step, ROUTER, email_id)
        walk.accept(step, email_id, provider=provider)
        walk.wait_until_fired(step, armed)
    walk.parts.hints.release(provider)
    walk.wait_for_end(email_id)


def released(*, of_any: bool = False, others: int = 0, hinted: bool = True) -> Go:
    """A provider is resumed for which emails are parked."""

    def go(walk: Walk, step: Step) -> None:
        provider = PARKED[step.when]
        with drained(walk, provider):
            email_id = walk.new_id(step)
            walk.accept(step, email_id, provider=provider)
            for number in range(others):
                to = f"other{number}.{step.recipient}"
                walk.accept_one(walk.parts.chance.email_id(), to=to, provider=provider)
            walk.until(
                lambda: len(walk.parts.store.parked(provider, limit=100)) > others,
                lambda: "all to be parked",
            )
            armed = walk.arm(step, ROUTER, f"'{provider}'" if of_any else email_id)
        if hinted:
            walk.parts.hints.release(provider)
        walk.wait_until_fired(step, armed)
        walk.wait_for_end(email_id)

    return go


@contextlib.contextmanager
def drained(walk: Walk, provider: str) -> Iterator[None]:
    """Take a provider out of use."""
    walk.parts.board.drain(provider)
    time.sleep(SNAPSHOT_S)  # by then every process knows
    try:
        yield
    finally:
        walk.parts.board.resume(provider)


def tripped(group: str, *, of_any: bool = False) -> Go:
    """The breaker of an email's only provider is open."""

    def go(walk: Walk, step: Step) -> None:
        walk.parts.board.trip(PROBING)
        time.sleep(SNAPSHOT_S)
        email_id = walk.new_id(step)
        armed = walk.arm(step, group, "" if of_any else email_id)
        walk.accept(step, email_id, provider=PROBING)
        try:
            walk.wait_until_fired(step, armed)
        finally:
            walk.parts.board.reset(PROBING)
        walk.wait_for_end(email_id)

    return go


# Through the API and the command


def posted(walk: Walk, step: Step) -> None:
    """A client POSTs an email, and is perhaps left without an answer."""
    armed = walk.arm(step, WEB)
    with contextlib.suppress(OSError):
        answer = walk.service.post(
            to=[step.recipient], delivery=step.delivery, provider=CALM
        )
        walk.rows[step.name].accepted = answer.status == 201
    walk.wait_until_fired(step, armed)


def asked_for(path: str) -> Go:
    """A client asks for something, and again if it is left without an answer."""

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        walk.accept(step, email_id, provider=CALM)
        armed = walk.arm(step, WEB)
        url = path.format(email_id)
        with contextlib.suppress(OSError):
            walk.service.request("GET", url)
        walk.wait_until_fired(step, armed)
        assert walk.service.request("GET", url).status == 200

    return go


def commanded(
    *words: str,
    state: str | None = None,
    environ: Mapping[str, str] = {},
    **fields: Any,
) -> Go:
    """A command is killed, and then run again.

    Args:
        words: Of the command; ``{}`` stands for the email's id.
        state: What the email is to have come to before.
        environ: For the command only.
        fields: Of the email.
    """

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        walk.accept(step, email_id, **({"provider": CALM} | fields))
        if state is not None:
            walk.wait_for(email_id, lambda email: email["state"] == state)
        if state == "unknown":
            walk.wait_for_end(email_id)
        command = [word.format(email_id) for word in words]
        group = COMMANDS[step.when]
        armed = walk.arm(step, group)
        code = walk.service.command(*command, group=group, **environ)
        walk.wait_until_fired(step, armed)
        assert code == -signal.SIGKILL
        # It does the same again, or finds that it was done; a doctor may find more.
        code = walk.service.command(*command, group=group, **environ)
        assert code >= 0, f"{command} was killed again"

    return go


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
    lost = {"rules": LOST, "deliveries": _LEAST}
    yield "settle.hints.reconcile", Way(go=claimed, **lost, **one)
    yield "worker.broker.fetch", Way(go=fetched(), **both)
    yield "worker.broker.ack", Way(go=claimed, **both)
    yield "worker.broker.enqueue", Way(go=unclaimed, rules=BUSY, **one)
    yield "worker.broker.nack", Way(go=claimed, rules=WRONG, ends="failed", **one)
    # These go to another provider then.
    yield "attempt.hints.route", Way(go=misled, lane="worker.before")
    onwards = Way(go=first_choice(), rules=BUSY, lane="worker.before")
    yield "settle.hints.route", onwards
    elsewhere = Way(go=unlisted(ONE), rules=STRANGER, lane="worker.before")
    yield "verdicts.board.remember_refused_sender", elsewhere
    yield "settle.store.load", Way(go=overtaken, lane="slow", deliveries=_LEAST)
    stops = stopping(SLOW, f"send.{SLOW}.DQ", provider=SLOW)
    yield "worker.broker.requeue", Way(go=stops, rules=RESTING, lane="slow")
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
    lost = {"rules": LOST, "deliveries": _LEAST}
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
    yield "offer.hints.reconcile", Way(go=abandoned, **lost, **one)
    for call in ("store.apply", "hints.route"):
        yield f"offer.{call}", Way(go=unhinted(), **one)
    for call in ("hints.has_forgotten", "store.due", "board.health", "store.parked"):
        yield f"offer.{call}", Way(go=unhinted(of_any=True), **one)
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
    many = released(of_any=True, others=SLICE - 1)
    yield "release.hints.release", Way(go=many, lane="parking", apart=True)
    yield "sweep.heartbeats.beat", Way(go=unhinted(of_any=True), **one)
    yield "router.heartbeats.beat", Way(go=any_one, lane="router.beat")
    yield "router.broker.fetch", Way(go=fetched(ROUTER, "router", provider=CALM), **one)
    yield "router.broker.ack", Way(go=any_one, **one)
    soon = first_choice(ROUTER, pin=CALM, scheduled_at="in 1 second")
    yield "router.broker.enqueue", Way(go=soon, **one)
    given_up = unlisted(ROUTER, pin=CALM)
    yield "router.broker.nack", Way(go=given_up, rules=STRANGER, ends="failed", **one)
    later = {"provider": CALM, "scheduled_at": f"in {DELAY_S} seconds"}
    yield (
        "router.broker.requeue",
        Way(go=stopping(ROUTER, "router.DQ", **later), lane="stopping"),
    )


def _in_web_and_command() -> Iterator[tuple[str, Way]]:
    for call in ("store.insert", "hints.route"):
        yield f"accept.{call}", Way(go=posted, lane="web", in_both=True)
    yield "show.store.load", Way(go=asked_for("/api/emails/{}"), lane="web")
    for call in ("store.is_writable", "heartbeats.ages"):
        yield f"ready.{call}", Way(go=asked_for("/ready"), lane="web")
    yield "metrics.board.view", Way(go=asked_for("/metrics"), lane="web")
    retried = commanded("postroom", "retry", "{}", state="failed")
    for call in ("store.load", "store.apply", "hints.route"):
        yield f"redrive.{call}", Way(go=retried, rules=WRONG, lane="errand")
    marked = commanded("postroom", "mark-sent", "{}", state="unknown")
    held = {"rules": TAKEN_AND_LOST, "deliveries": _MOST}
    for call in ("store.load", "store.apply"):
        yield f"mark_sent.{call}", Way(go=marked, lane="command", apart=True, **held)
    waiting = {"state": "scheduled", "scheduled_at": "in 1 hour"}
    taken_back = commanded("errand", "cancel", "{}", **waiting)
    for call in ("store.load", "store.apply"):
        yield f"cancel.{call}", Way(go=taken_back, lane="errand", ends="cancelled")
    moved = commanded("errand", "reschedule", "{}", "1.5", **waiting)
    for call in ("store.load", "store.apply", "hints.route"):
        yield f"reschedule.{call}", Way(go=moved, lane="errand")
    yield "scheduler.broker.enqueue", Way(go=commanded("errand", "tick"), lane="errand")
    looked = Way(go=commanded("errand", "watch"), lane="errand")
    yield "watch.heartbeats.ages", looked
    erased = commanded("errand", "retain", environ={"POSTROOM_KEEP_BODY_D": "0"})
    for call in ("final_before", "erase", "remove_expired", "remove_orphans"):
        yield f"retain.retention.{call}", Way(go=erased, lane="errand")
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
    "replay.archive.dead_letters": "dead-letters replay --dry-run",
    "providers.panel.view": "providers list",
    "providers.archive.parked_count": "providers list",
    "providers.panel.trip": f"providers trip {SPARE}",
    "providers.panel.reset": f"providers reset {SPARE}",
    "providers.hints.release": f"providers reset {SPARE}",
    "providers.panel.drain": f"providers drain {SPARE}",
    "providers.panel.resume": f"providers resume {SPARE}",
    "providers.queues.clear": "providers forget gone",
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
