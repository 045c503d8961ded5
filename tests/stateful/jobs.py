"""What a process may be asked to do, as jobs: each use case, of what is there now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from postroom.domain.acceptance import NewEmail
from postroom.domain.archive import DeadLetters
from postroom.domain.email import CLAIMABLE, Email, State
from postroom.domain.errors import (
    NotStoredError,
    PostroomError,
    StorageUnsureError,
    StoreError,
    UncarriableError,
    UncarriableItemsError,
)
from postroom.domain.hint import Hint
from postroom.domain.idempotency import KEEP_KEY, IdempotencyKey, Receipt, Route
from postroom.domain.outcome import Outcome
from tests.builders import (
    ALPHA,
    BETA,
    GAMMA,
    a_content,
    a_new_email,
    a_recipient,
    seconds,
)
from tests.stateful.world import Job, World

NAMES = (ALPHA, BETA, GAMMA)


class Jobs:
    """Makes jobs for a world. A number picks one of what there is."""

    def __init__(self, world: World) -> None:
        self.world = world

    def of(self, *kinds: str, which: int, flag: bool = False) -> list[Job]:
        """Return what some words and a number stand for just now.

        Args:
            kinds: Of each job one of the words below; all are about the same email.
            which: Picks an email, a message, a call or a provider.
            flag: By force, the truth, or sooner.
        """
        email_id = self._an_id(kinds, which)
        return [
            self._of(kind, email_id, which + turn, flag=flag)
            for turn, kind in enumerate(kinds)
        ]

    def _of(self, kind: str, email_id: str, which: int, *, flag: bool) -> Job:
        makers: dict[str, Callable[[], Job]] = {
            "post": self.a_post,
            "request": lambda: self.a_request(0),
            "sweep": lambda: self._job("sweep", self.world.offer),
            "retain": lambda: self._job("retain", self.world.retain),
            "release": lambda: self._a_release(which),
            "deliver": lambda: self._a_copy(email_id, which),
            "news": lambda: self._some_news(email_id, which, is_true=flag),
            "claim": lambda: self._a_claim(email_id, which),
            "reconcile": lambda: self._a_reconcile(email_id),
        }
        make = makers.get(kind)
        return make() if make else self._a_wish(kind, email_id, flag=flag)

    def a_post(
        self,
        *,
        wait_s: float = 0,
        recipients: int = 1,
        pin: str | None = None,
        **given: Any,
    ) -> Job:
        """A client posts an email and hears, or does not hear, what became of it."""
        name = f"email {len(self.world.posted)}"
        later = self.world.clock.now() + seconds(wait_s) if wait_s else None
        new = a_new_email(
            content=a_content(subject=name),
            recipients=tuple(
                a_recipient(addr_spec=f"{no}@example.com") for no in range(recipients)
            ),
            scheduled_at=later,
            provider=pin,
            **given,
        )
        self.world.posted[name] = new

        def failed(ex: PostroomError) -> None:
            known = NotStoredError | StorageUnsureError | UncarriableError
            assert isinstance(ex, known), ex
            if not isinstance(ex, StorageUnsureError):
                self.world.refused.add(name)

        return Job(
            label="post",
            work=lambda: self.world.accept(new),
            done=lambda email: self.world.accepted.add(email.email_id),
            failed=failed,
        )

    def a_request(self, which: int, *, wait_s: float = 0) -> Job:
        """A client asks for emails under a key; next time for the very same again."""
        value = f"key {which}"
        key = IdempotencyKey(owner="default", route=Route.BATCH, value=value)
        items = self.world.requests.setdefault(value, self._items(value, wait_s))

        def failed(ex: PostroomError) -> None:
            known = StoreError | UncarriableItemsError
            assert isinstance(ex, known), ex

        return Job(
            label="request",
            work=lambda: self.world.accept_together(items, key=key),
            done=lambda accepted: self._is_told(value, accepted.receipt),
            failed=failed,
        )

    def _items(self, value: str, wait_s: float) -> list[NewEmail]:
        later = self.world.clock.now() + seconds(wait_s) if wait_s else None
        names = [f"{value}, no. {no}" for no in range(2)]
        items = [
            a_new_email(content=a_content(subject=name), scheduled_at=later)
            for name in names
        ]
        self.world.posted |= dict(zip(names, items, strict=True))
        return items

    def _is_told(self, value: str, receipt: Receipt) -> None:
        """The answer is the first one again, for as long as the key is kept."""
        first = self.world.told.get(value, receipt)
        if receipt.email_ids != first.email_ids:
            emails = [self.world.store.load(each) for each in first.email_ids]
            at = self.world.store.came_in
            since = at[receipt.email_ids[0]] - at[first.email_ids[0]]
            assert since >= KEEP_KEY, "accepted twice"
            assert all(e is None or e.is_final for e in emails), "forgotten too soon"
        self.world.told[value] = receipt
        self.world.accepted |= set(receipt.email_ids)

    def _some_news(self, email_id: str, which: int, *, is_true: bool) -> Job:
        """A provider tells of a call: the truth, or what it had answered."""
        calls = [c for c in self.world.journal.calls if c.email_id == email_id]
        if not calls:
            return _NOTHING
        call = calls[which % len(calls)]
        outcome: Outcome = call.truth if is_true else call.answer

        def tell() -> Any:
            return self.world.settle(
                self.world.settle.store.load(email_id),
                attempt_id=call.attempt_id or "",
                outcome=outcome,
                latency=seconds(1),
            )

        return self._job("news", tell)

    def _a_wish(self, kind: str, email_id: str, *, flag: bool) -> Job:
        """Return what a client or an operator may ask for."""
        world = self.world
        match kind:
            case "cancel":
                return self._a_cancel(email_id, force=flag)
            case "reschedule":
                to = world.clock.now() + seconds(50 if flag else 300)
                return self._job(kind, lambda: world.reschedule(email_id, to=to))
            case "redrive":
                label = "redrive by force" if flag else "redrive"
                return self._job(label, lambda: world.redrive(email_id, force=flag))
            case "replay":
                query = DeadLetters()
                return self._job("redrive", lambda: world.replay(query, limit=10))
            case "erase":
                return self._job(kind, lambda: world.erase(email_id))
            case "mark":
                return self._job(kind, lambda: world.mark_sent(email_id))
            case _:
                raise ValueError(kind)

    def _a_cancel(self, email_id: str, *, force: bool) -> Job:
        def done(_: Email) -> None:
            self.world.cancelled[email_id] = force

        return Job(
            label="cancel by force" if force else "cancel",
            work=lambda: self.world.cancel(email_id, force=force),
            done=done,
        )

    def _a_claim(self, email_id: str, which: int) -> Job:
        """A hint from nowhere: a right that nobody gave."""
        email = self.world.store.load(email_id)
        if email is None:
            return _NOTHING
        hint, name = Hint.of(email), self._a_name(which)
        return self._job("claim", lambda: self.world.attempt(name, hint))

    def _a_reconcile(self, email_id: str) -> Job:
        return self._job("reconcile", lambda: self.world.reconcile(email_id))

    def _a_release(self, which: int) -> Job:
        name = self._a_name(which)
        return self._job("release", lambda: self.world.release(name))

    def _a_copy(self, email_id: str, which: int) -> Job:
        message = self.world.copy_of(email_id) or self.world.take(which, stays=True)
        return self.world.a_delivery(message) if message else _NOTHING

    def _a_name(self, which: int) -> str:
        return self.world.names[which % len(self.world.names)]

    def _an_id(self, kinds: Collection[str], which: int) -> str:
        """Return the id of one of the emails for which the most kinds make sense."""
        emails = self.world.store.all()
        fits = [sum(self._fits(kind, email) for kind in kinds) for email in emails]
        best = [e for e, fit in zip(emails, fits, strict=True) if fit == max(fits)]
        return best[which % len(best)].email_id if best else "0" * 24

    def _fits(self, kind: str, email: Email) -> bool:
        """Whether something could come of it: not where a job is for no email."""
        now = self.world.clock.now()
        is_open = email.state in CLAIMABLE
        is_unknown = email.state is State.UNKNOWN
        fits = {
            "claim": is_open and _has_come(email.not_before, now),
            "cancel": is_open or is_unknown,
            "mark": is_open or is_unknown,
            "reschedule": email.state is State.SCHEDULED,
            "erase": email.is_final,
            "redrive": email.dead_at is not None or is_unknown,
            "reconcile": not is_open and _has_come(email.due_at, now),
            "news": any(attempt.may_be_out for attempt in email.attempts),
        }
        return fits.get(kind, True)

    def _job(self, label: str, work: Any) -> Job:
        return Job(label=label, work=work)


_NOTHING = Job(label="nothing", work=lambda: None)


def _has_come(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now
