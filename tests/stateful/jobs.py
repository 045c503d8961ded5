"""What a process may be asked to do, as jobs: each use case, of what is there now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from postroom.domain.archive import DeadLetters
from postroom.domain.email import Email
from postroom.domain.errors import (
    NotStoredError,
    PostroomError,
    StorageUnsureError,
    UncarriableError,
)
from postroom.domain.hint import Hint
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

    def of(self, kind: str, which: int, *, flag: bool = False, turn: int = 0) -> Job:
        """Return what a word and a number stand for just now.

        Args:
            kind: One of the words below.
            which: Picks an email, a message, a call or a provider.
            flag: By force, the truth, or sooner.
            turn: 1 for the second of two at once: another provider or answer.
        """
        email_id = self._an_id(which)
        provider = NAMES[(which + turn) % len(NAMES)]
        makers: dict[str, Callable[[], Job]] = {
            "post": self.a_post,
            "sweep": lambda: self._job("sweep", self.world.offer),
            "retain": lambda: self._job("retain", self.world.retain),
            "release": lambda: self._a_release(which),
            "deliver": lambda: self._a_copy(which),
            "news": lambda: self.some_news(which, is_true=flag or bool(turn)),
            "claim": lambda: self._a_claim(email_id, provider),
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

    def some_news(self, which: int, *, is_true: bool) -> Job:
        """A provider tells of a call: the truth, or what it had answered."""
        calls = self.world.journal.calls
        if not calls:
            return _NOTHING
        call = calls[which % len(calls)]
        outcome: Outcome = call.truth if is_true else call.answer

        def tell() -> Any:
            return self.world.settle(
                self.world.settle.store.load(call.email_id),
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

    def _a_claim(self, email_id: str, provider: str) -> Job:
        """A hint from nowhere: a right that nobody gave."""
        email = self.world.store.load(email_id)
        if email is None or provider not in self.world.names:
            return _NOTHING
        hint = Hint.of(email)
        return self._job("claim", lambda: self.world.attempt(provider, hint))

    def _a_reconcile(self, email_id: str) -> Job:
        return self._job("reconcile", lambda: self.world.reconcile(email_id))

    def _a_release(self, which: int) -> Job:
        name = self.world.names[which % len(self.world.names)]
        return self._job("release", lambda: self.world.release(name))

    def _a_copy(self, which: int) -> Job:
        message = self.world.take(which, stays=True)
        return self.world.a_delivery(message) if message else _NOTHING

    def _an_id(self, which: int) -> str:
        """Return the id of one of the emails; of none, if there is none."""
        ids = [email.email_id for email in self.world.store.all()]
        return ids[which % len(ids)] if ids else "0" * 24

    def _job(self, label: str, work: Any) -> Job:
        return Job(label=label, work=work)


_NOTHING = Job(label="nothing", work=lambda: None)
