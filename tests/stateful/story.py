"""What happened in a world, for whoever has to find out why a promise broke."""

from __future__ import annotations

from datetime import datetime

from postroom.domain.email import Email
from tests.builders import NOW
from tests.stateful.journal import Call
from tests.stateful.world import World, Written


def told(world: World) -> str:
    """Return all writes and calls, in order of time, and where each email stands."""
    lines = [_of_write(written) for written in world.store.written]
    lines += [_of_call(call) for call in world.journal.calls]
    lines += [_of_email(email) for email in world.store.all()]
    return "\n".join(lines)


def _of_write(written: Written) -> str:
    before, after = written.change.before, written.change.after
    return (
        f"{_at(written.at)} {after.email_id[:4]} {written.by}: "
        f"{before.state} -> {after.state}, fence {after.fence}, "
        f"not before {_at(after.not_before)}, due {_at(after.due_at)}, "
        f"{len(after.attempts)} attempts"
    )


def _of_call(call: Call) -> str:
    repeat = " again" if call.is_repeat else ""
    return (
        f"{_at(call.at)} {call.email_id[:4]} {call.provider} was called for "
        f"{call.recipients} by {(call.attempt_id or '?')[:4]}, key {call.key}: "
        f"reached {call.reached}{repeat}, answered {call.answer}"
    )


def _of_email(email: Email) -> str:
    attempts = "".join(
        f"\n    {a.id[:4]} {a.provider} {a.outcome} {a.code} certain={a.certain} "
        f"from {_at(a.started_at)} to {_at(a.ended_at)}, key {a.key} "
        f"until {_at(a.key_until)}, for {a.recipients}"
        for a in email.attempts
    )
    copies = "".join(
        f"\n    {d.attempt_id[:4]} may be a copy of {[e[:4] for e in d.earlier]}"
        for d in email.possible_duplicates
    )
    return (
        f"{email.email_id[:4]} {email.delivery} is {email.state}, "
        f"waits for {email.waiting_for}, {[r.state.value for r in email.recipients]}"
        f"{attempts}{copies}"
    )


def _at(instant: datetime | None) -> str:
    return "-" if instant is None else f"{(instant - NOW).total_seconds():g} s"
