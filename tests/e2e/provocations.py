"""What leads a process to a failpoint, with an email that is then followed.

Each arms the point of its step, does something, and returns when a process was killed
there. A lane's steps come one after the other; what would be in another's way is in the
same lane, or at a provider of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

from postroom.adapters.hints import MEMORY_KEY
from postroom.domain.hint import Hint
from tests.e2e.forked import COMMANDS, ERRANDS, ROUTER, WEB
from tests.e2e.nursery import ERRAND
from tests.e2e.walk import (
    REACH_LAPSED_S,
    Go,
    Step,
    Walk,
)

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

#: More parked emails than a slice of a release has at the pace of this walk.
SLICE = 40

#: After how long the server gives up what a killed process has left in its middle, and
#: some more, in seconds.
ABANDONED_S = 90.0

#: How long a message is delayed that is to be found in hand, in seconds.
DELAY_S = 6

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
        sender: dict[str, Any] = {"from": f"post@{step.domain}"}
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


def repeated(walk: Walk, step: Step) -> None:
    """A client POSTs an email under a key, and repeats it until it is answered."""
    armed = walk.arm(step, WEB)
    body = {
        "to": step.recipient,
        "subject": "Hi",
        "text": "Hello",
        "delivery": step.delivery,
        "provider": CALM,
    }
    headers = {"Idempotency-Key": f"{step.name} {step.attempt}"}

    def is_answered() -> bool:
        with contextlib.suppress(OSError):
            answer = walk.service.request("POST", "/api/emails", body, headers)
            return answer.status == 201
        return False

    def is_reached() -> bool:
        # Another lane may have killed the process that was to take it.
        return not armed.exists() or is_answered() or not armed.exists()

    walk.until(is_reached, lambda: f"{armed.name} to be reached", REACH_LAPSED_S)
    walk.wait_until_fired(step, armed)
    walk.until(is_answered, lambda: "an answer", ABANDONED_S)
    walk.rows[step.name].accepted = True


def asked_for(path: str, body: object = None) -> Go:
    """A client asks for something, and again if it is left without an answer.

    Args:
        path: ``{}`` stands for the email's id.
        body: To be posted; without one it is only looked at.
    """
    method = "GET" if body is None else "POST"

    def go(walk: Walk, step: Step) -> None:
        email_id = walk.new_id(step)
        walk.accept(step, email_id, provider=CALM)
        armed = walk.arm(step, WEB)
        url = path.format(email_id)
        with contextlib.suppress(OSError):
            walk.service.request(method, url, body)
        walk.wait_until_fired(step, armed)
        assert walk.service.request(method, url, body).status == 200

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
        group = ERRANDS if words[0] == ERRAND else COMMANDS[step.when]
        armed = walk.arm(step, group)
        code = walk.service.command(*command, group=group, **environ)
        walk.wait_until_fired(step, armed)
        assert code == -signal.SIGKILL
        # It does the same again, or finds that it was done; a doctor may find more.
        code = walk.service.command(*command, group=group, **environ)
        assert code >= 0, f"{command} was killed again"

    return go
