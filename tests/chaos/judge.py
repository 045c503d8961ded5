"""The verdict on a run: pure, from what the client was told and the provider took.

What the store says counts only against itself: a ``sent`` that the provider never saw,
a copy that it does not explain. That an email is held, failed or cancelled excuses it
from having been sent only where somebody outside bears that out: the client was told
so, the provider refused it, or its own wish not to be sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.chaos.cases import Case, Keyed, cases_of, keyed_of
from tests.chaos.evidence import DONE, REFUSED, UNSURE, Evidence, Send

#: How much earlier than its time an email may leave, in seconds: the store keeps
#: times in milliseconds, and its clock is read over a connection that is made slow.
EARLY_S = 0.05


#: How a client takes an email back.
CANCELS = ("cancel", "cancel_by_force")


# One function for each figure: what one email adds to it


def lost(case: Case) -> int:
    """Never sent, and nobody was told that it would not be."""
    return int(not case.sends and not _is_excused(case))


def _is_excused(case: Case) -> bool:
    stored = case.document
    if any(case.had(verb, DONE) for verb in CANCELS):
        return True
    if stored is None:
        return False
    if stored.is_held:
        is_bounded = stored.unknown_attempts > case.max_unknown
        return case.is_careful or is_bounded
    if stored.state == "cancelled":
        return any(case.had(verb, UNSURE) for verb in CANCELS)
    return stored.state == "failed" and case.was_refused


def docs_missing(case: Case) -> int:
    """Answered with 201, and the store has never heard of it."""
    return int(case.document is None)


def false_sent(case: Case) -> int:
    """The store says sent; the provider never took it."""
    return int(_state(case) == "sent" and not case.sends)


def at_most_once_twice(case: Case) -> int:
    """Sent again, though its client asked for once at most."""
    return int(case.is_careful and len(case.sends) > 1)


def sent_after_cancel(case: Case) -> int:
    """Sent at all, though a client was told that it is cancelled, nothing being out.

    One that was cancelled by force may be out: that is what the force is for.
    """
    return int(case.had("cancel", DONE) and bool(case.sends))


def sent_before_time(case: Case) -> int:
    """Sent before the time that its client had been told last."""
    return int(any(send.at < _earliest(case, send) - EARLY_S for send in case.sends))


def _earliest(case: Case, send: Send) -> float:
    """Return when an email might leave, by what its client knew of it by then.

    A move whose caller was not told may have happened, and whoever was told of a move
    after the send was told wrong.
    """
    candidates = [case.post.scheduled_at or 0.0]
    for verb in case.verbs:
        if verb.name != "reschedule" or verb.to is None:
            continue
        if verb.answer == DONE:
            candidates = [verb.to]
        elif verb.answer == UNSURE and verb.asked_at < send.at:
            candidates.append(verb.to)
    return min(candidates)


def wrong_content(case: Case) -> int:
    """Not what the client asked for, or not to whom."""
    return int(any(send.digest != case.post.digest for send in case.sends))


def unexplained_duplicates(case: Case) -> int:
    """Sent more often than the store's record of possible copies explains."""
    recorded = case.document.possible_duplicates if case.document else 0
    return int(len(case.sends) - 1 > recorded)


def extra_sends(case: Case) -> int:
    """Further copies."""
    return max(0, len(case.sends) - 1)


def unknown_attempts(case: Case) -> int:
    """Attempts whose outcome is not known in the end."""
    return case.document.unknown_attempts if case.document else 0


def held_though_never_sent(case: Case) -> int:
    """Held for an operator, and the provider never took it."""
    return int(bool(case.document and case.document.is_held) and not case.sends)


def failed_though_sent(case: Case) -> int:
    """A dead letter, or cancelled, though a provider took it."""
    return int(bool(case.sends) and _state(case) in {"failed", "cancelled"})


def held(case: Case) -> int:
    """Held for an operator."""
    return int(bool(case.document and case.document.is_held))


def still_open(case: Case) -> int:
    """Neither final nor held when the wait for that was over."""
    return int(bool(case.document and case.document.is_open))


def cancelled(case: Case) -> int:
    """Cancelled, and its client was told so."""
    return int(case.had("cancel", DONE))


def cancels_refused(case: Case) -> int:
    """The client was told that it is too late to cancel."""
    return int(case.had("cancel", REFUSED))


def moved(case: Case) -> int:
    """Moved to another time, and its client was told so."""
    return int(case.had("reschedule", DONE))


def odd_answers(case: Case) -> int:
    """Asked to be cancelled, moved or redriven, and answered with a fault of ours."""
    return sum(v.answer not in {DONE, REFUSED, UNSURE} for v in case.verbs)


def redriven(case: Case) -> int:
    """A dead letter that was let go again."""
    return int(case.had("redrive", DONE))


def cancelled_by_force(case: Case) -> int:
    """Cancelled though it might be out."""
    return int(case.had("cancel_by_force", DONE))


def repeats(case: Case) -> int:
    """Asked for again under its key, and answered as accepted."""
    return case.repeats


def idempotency_twice(keyed: Keyed) -> int:
    """Asked for under one key, and two emails, or one that is sent twice.

    A copy after an attempt that nobody knows the outcome of is none of the key's. That
    the same request is taken for another one is as wrong.
    """
    is_one = len(keyed.ids) <= 1 and not keyed.is_denied
    return int(not is_one or keyed.sends - 1 > keyed.recorded)


def _state(case: Case) -> str | None:
    return case.document.state if case.document else None


Figure = Callable[[Case], int]

#: Any of these is a broken promise: to whom an accepted email belongs.
OF_EMAILS: Mapping[str, Figure] = {
    "lost": lost,
    "docs_missing": docs_missing,
    "false_sent": false_sent,
    "at_most_once_twice": at_most_once_twice,
    "sent_after_cancel_200": sent_after_cancel,
    "sent_before_time": sent_before_time,
    "wrong_content": wrong_content,
    "unexplained_duplicates": unexplained_duplicates,
}

#: And these: to whoever asks under a key.
OF_KEYS: Mapping[str, Callable[[Keyed], int]] = {
    "idempotency_twice": idempotency_twice,
}

#: All of them.
FATAL = (*OF_EMAILS, *OF_KEYS)

#: These tell what the faults have cost.
TOLD: Mapping[str, Figure] = {
    "extra_sends": extra_sends,
    "unknown_attempts": unknown_attempts,
    "failed_though_sent": failed_though_sent,
    "held": held,
    "held_though_never_sent": held_though_never_sent,
    "still_open": still_open,
    "cancelled": cancelled,
    "cancels_refused": cancels_refused,
    "cancelled_by_force": cancelled_by_force,
    "moved": moved,
    "redriven": redriven,
    "repeats": repeats,
    "odd_answers": odd_answers,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures, and of those that break a promise whose they are.

    Attributes:
        accepted: Emails whose client was told so.
        figures: By name.
        guilty: By figure, the ids of the emails.
    """

    accepted: int
    figures: Mapping[str, int]
    guilty: Mapping[str, tuple[str, ...]]

    @property
    def is_kept(self) -> bool:
        return not any(self.figures[name] for name in FATAL)


def judge(evidence: Evidence, *, max_unknown: int = 3) -> Verdict:
    """Return the verdict.

    Args:
        evidence: Of a run that has ended and drained.
        max_unknown: The setting of that name.
    """
    cases = cases_of(evidence, max_unknown=max_unknown)
    keyed = keyed_of(evidence)
    by_email = {**OF_EMAILS, **TOLD}
    figures = {n: sum(map(figure, cases)) for n, figure in by_email.items()}
    figures |= {n: sum(map(figure, keyed)) for n, figure in OF_KEYS.items()}
    strangers = _strangers(evidence)
    figures["wrong_content"] += len(strangers)
    guilty = {
        name: tuple(case.post.email_id or "" for case in cases if figure(case))
        for name, figure in OF_EMAILS.items()
    }
    guilty["wrong_content"] += strangers
    for name, of_key in OF_KEYS.items():
        found = (one.ids for one in keyed if of_key(one))
        guilty[name] = tuple("+".join(sorted(ids)) for ids in found)
    return Verdict(
        accepted=len(cases),
        figures=figures,
        guilty={name: ids for name, ids in guilty.items() if ids},
    )


def _strangers(evidence: Evidence) -> tuple[str, ...]:
    """Return what was sent that nobody ever asked for, whatever the answer was."""
    asked = {post.digest for post in evidence.posts}
    known = {post.email_id for post in evidence.posts if post.is_accepted}
    return tuple(
        send.email_id or send.message_id
        for send in evidence.sends
        if send.email_id not in known and send.digest not in asked
    )
