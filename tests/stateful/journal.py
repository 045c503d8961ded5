"""The providers' side: what each was asked for and what it took. The judge.

Nothing here asks our store. A provider knows the truth of each call, says something
else where it is told to, and may tell the truth later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock

from postroom.adapters.clock import FakeClock
from postroom.domain.email import Email
from postroom.domain.errors import UnbuildableError
from postroom.domain.outcome import (
    Accepted,
    NotSent,
    Outcome,
    RecipientRefusal,
    RefusalKind,
    Refused,
    Unknown,
)
from postroom.domain.ports import Built
from postroom.domain.routing import ProviderProfile
from tests.builders import seconds
from tests.stateful.processes import current

#: What a provider says of a recipient, and what nobody may find once it is erased.
WORDS = "there is no 1@example.com here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a provider does with an email.

    Attributes:
        takes: Of so many recipients, the places of those who get it.
        says: Makes the answer, from the recipients' positions in the email.
        truth: The same for what the provider tells later; ``None`` for the answer.
        takes_time: How long the call lasts.
    """

    takes: Callable[[int], int] = lambda _: 0
    says: Callable[[Sequence[int]], Outcome]
    truth: Callable[[Sequence[int]], Outcome] | None = None
    takes_time: timedelta = timedelta(0)
    builds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as its provider saw it.

    Attributes:
        attempt_id: The claim that it was made by.
        reached: Recipients who get the email by it.
        send: Names the send that it is, or is a repetition of.
        is_repeat: It came with the key of an earlier send, and is none of its own.
        was_sent_before: It came with such a key, and the provider had forgotten it.
        answer: What was answered, whether anybody heard it or not.
        truth: What the provider tells of it later.
    """

    email_id: str
    attempt_id: str | None
    provider: str
    at: datetime
    recipients: tuple[int, ...]
    key: str | None
    email: Email = field(repr=False)
    reached: tuple[int, ...]
    send: int
    is_repeat: bool = False
    was_sent_before: bool = False
    answer: Outcome
    truth: Outcome


@dataclass
class Journal:
    """All calls to all providers, in order."""

    calls: list[Call] = field(default_factory=list)
    #: What each key was first used for, by provider and key.
    keys: dict[tuple[str, str], Call] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def sends(self, email_id: str) -> list[Call]:
        """Return the calls by which an email got to somebody."""
        return [
            call
            for call in self.calls
            if call.email_id == email_id and call.reached and not call.is_repeat
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A request, as a provider gets it."""

    email: Email = field(repr=False)
    recipients: tuple[int, ...]
    key: str | None


@dataclass
class JudgedProvider:
    """Implements ``Provider``, and writes down what becomes of each call."""

    profile: ProviderProfile
    clock: FakeClock
    journal: Journal
    behaviour: str = "accepts"

    def build(
        self, email: Email, *, recipients: Sequence[int], key: str | None = None
    ) -> Built:
        if not BEHAVIOURS[self.behaviour].builds:
            raise UnbuildableError("no such header", field="headers")
        letter = Letter(email=email, recipients=tuple(recipients), key=key)
        return Built(provider=self.profile.name, request=letter)

    def send(self, built: Built, *, timeout: timedelta) -> Outcome:
        letter: Letter = built.request
        behaviour = BEHAVIOURS[self.behaviour]
        process = current()
        call = Call(
            email_id=letter.email.email_id,
            attempt_id=process.attempt_id if process else None,
            provider=self.profile.name,
            at=self.clock.now(),
            recipients=letter.recipients,
            key=letter.key,
            email=letter.email,
            reached=letter.recipients[: behaviour.takes(len(letter.recipients))],
            send=-1,
            answer=behaviour.says(letter.recipients),
            truth=(behaviour.truth or behaviour.says)(letter.recipients),
        )
        with self.journal.lock:
            call = self._as_repeat(self._named(call))
            self.journal.calls.append(call)
        self.clock.advance(min(behaviour.takes_time, timeout))
        return call.answer

    def _named(self, call: Call) -> Call:
        """Give an accepted email the provider's name for it."""
        name = f"{self.profile.name}-{len(self.journal.calls)}"

        def named(outcome: Outcome) -> Outcome:
            has_name = isinstance(outcome, Accepted) and outcome.provider_message_id
            return replace(outcome, provider_message_id=name) if has_name else outcome

        return replace(
            call,
            send=len(self.journal.calls),
            answer=named(call.answer),
            truth=named(call.truth),
        )

    def _as_repeat(self, call: Call) -> Call:
        """Honour a key: what was sent with it is not sent again while it lives."""
        if call.key is None:
            return call
        place = (self.profile.name, call.key)
        first = self.journal.keys.get(place)
        if first is None or call.at > first.at + seconds(self.profile.key_ttl_s):
            if call.reached:
                call = replace(call, was_sent_before=first is not None)
                self.journal.keys[place] = call
            return call
        has_looked = isinstance(call.answer, Accepted) or _is_judged(call.answer)
        if not call.reached and not has_looked:
            return call
        return replace(
            call,
            reached=first.reached,
            send=first.send,
            is_repeat=True,
            answer=first.truth if has_looked else call.answer,
            truth=first.truth,
        )


def _is_judged(answer: Outcome) -> bool:
    """Whether a refusal is for the email's own sake: its key was looked up by then."""
    for_its_sake = {RefusalKind.PERMANENT, RefusalKind.SENDER}
    return isinstance(answer, Refused) and (
        answer.kind in for_its_sake or bool(answer.refused)
    )


def _accepted(_: Sequence[int]) -> Outcome:
    return Accepted(provider_message_id="to be named")


def _refused(kind: RefusalKind, *, certain: bool = True, **given: object) -> Outcome:
    words: dict[str, object] = {"code": "no", "detail": WORDS}
    return Refused(kind=kind, certain=certain, **words, **given)  # type: ignore[arg-type]


def _others(
    kind: RefusalKind, recipients: Sequence[int]
) -> tuple[RecipientRefusal, ...]:
    """Turn away all but the first."""
    return tuple(
        RecipientRefusal(index=i, kind=kind, code="no") for i in recipients[1:]
    )


def _all(count: int) -> int:
    return count


def _first(count: int) -> int:
    return min(count, 1)


NOT_TAKEN = Refused(
    kind=RefusalKind.TRANSIENT, certain=True, code="not_found", detail=WORDS
)

BEHAVIOURS = {
    "accepts": Behaviour(takes=_all, says=_accepted),
    "accepts_slowly": Behaviour(takes=_all, says=_accepted, takes_time=seconds(14)),
    "accepts_without_a_name": Behaviour(
        takes=_all, says=lambda _: Accepted(provider_message_id=None)
    ),
    "refuses": Behaviour(says=lambda _: _refused(RefusalKind.PERMANENT)),
    "refuses_for_now": Behaviour(says=lambda _: _refused(RefusalKind.TRANSIENT)),
    "throttles": Behaviour(
        says=lambda _: _refused(
            RefusalKind.TRANSIENT, throttled=True, retry_after=seconds(90)
        )
    ),
    "refuses_the_account": Behaviour(says=lambda _: _refused(RefusalKind.ACCOUNT)),
    "refuses_the_sender": Behaviour(says=lambda _: _refused(RefusalKind.SENDER)),
    "fails": Behaviour(
        says=lambda _: _refused(RefusalKind.TRANSIENT, certain=False),
        truth=lambda _: NOT_TAKEN,
    ),
    "fails_and_accepts": Behaviour(
        takes=_all,
        says=lambda _: _refused(RefusalKind.TRANSIENT, certain=False),
        truth=_accepted,
    ),
    "cannot_be_reached": Behaviour(says=lambda _: NotSent(cause="connection_refused")),
    "is_silent": Behaviour(
        says=lambda _: Unknown(cause="timeout"),
        truth=lambda _: NOT_TAKEN,
        takes_time=seconds(15),
    ),
    "is_silent_and_accepts": Behaviour(
        takes=_all,
        says=lambda _: Unknown(cause="timeout"),
        truth=_accepted,
        takes_time=seconds(15),
    ),
    "resets_and_accepts": Behaviour(
        takes=_all, says=lambda _: Unknown(cause="reset"), truth=_accepted
    ),
    "accepts_one": Behaviour(
        takes=_first,
        says=lambda to: Accepted(
            provider_message_id="to be named",
            refused=_others(RefusalKind.PERMANENT, to),
        ),
    ),
    "accepts_one_for_now": Behaviour(
        takes=_first,
        says=lambda to: Accepted(
            provider_message_id="to be named",
            refused=_others(RefusalKind.TRANSIENT, to),
        ),
    ),
    "resets_after_one": Behaviour(
        takes=_first,
        says=lambda to: Unknown(
            cause="reset", refused=_others(RefusalKind.PERMANENT, to)
        ),
        truth=lambda to: Accepted(
            provider_message_id="to be named",
            refused=_others(RefusalKind.PERMANENT, to),
        ),
    ),
    "refuses_each": Behaviour(
        says=lambda to: _refused(
            RefusalKind.TRANSIENT,
            refused=(
                RecipientRefusal(index=to[0], kind=RefusalKind.TRANSIENT, code="no"),
                *_others(RefusalKind.PERMANENT, to),
            ),
        )
    ),
    # What was built before, and is sent only now, it takes.
    "cannot_build": Behaviour(takes=_all, says=_accepted, builds=False),
}
