"""A walk over failpoints on a running service: what was armed, for which email.

The emails are accepted by the service `Accept` in the test's own process, with an id
that is known before: so a point can be armed for one email, and no other sets it off.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from bson import ObjectId
from pymongo.collection import Collection

from postroom.adapters.chance import SystemChance
from postroom.adapters.memory_hints import MemoryHints
from postroom.adapters.settings import Settings
from postroom.adapters.wiring import Parts, build
from postroom.http.auth import OWNER
from postroom.http.fields import Context
from postroom.http.new_email import read_email
from postroom.http.wsgi import accept_of, options_of
from tests.e2e.counting import emails_of
from tests.e2e.forked import ForkedService
from tests.failpoints import arm
from tests.fake_smtp import FakeSmtp

#: Bound on the wait until a point is reached, in seconds. What leads there may be lost
#: with a process that another lane kills; then another email is sent that way.
REACH_S = 20.0

#: The same where a lease has to end first.
REACH_LAPSED_S = 30.0

#: How many emails are sent the way of one point at most.
TRIES = 4

#: Bound on any other wait of a step, in seconds; only a fault gets there.
PATIENCE_S = 60.0

AT_LEAST_ONCE, AT_MOST_ONCE = "at_least_once", "at_most_once"

_OPEN = ("scheduled", "queued", "sending", "unknown")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One point, and an email that leads a process there.

    Attributes:
        point: Its full name.
        number: Makes the email's recipient and sender, together with ``attempt``.
        attempt: Counted from 1: the email of an earlier one did not lead there.
    """

    point: str
    delivery: str
    number: int
    attempt: int = 1

    @property
    def call(self) -> str:
        return self.point.rpartition(".")[0]

    @property
    def when(self) -> str:
        return self.point.rpartition(".")[2]

    @property
    def recipient(self) -> str:
        return f"step{self.number}.{self.attempt}@example.com"

    @property
    def domain(self) -> str:
        return f"step{self.number}-{self.attempt}.example"

    @property
    def name(self) -> str:
        return f"{self.point}[{self.delivery}]"

    def attempts(self) -> list[Step]:
        """Return this step as it is tried again and again."""
        return [replace(self, attempt=number) for number in range(1, TRIES + 1)]


@dataclass(kw_only=True)
class Row:
    """What came of a step.

    Attributes:
        accepted: Whether somebody was told that the email is in good hands.
        fault: Why the point was not reached, if it was not.
        recovered_s: From the kill until the email was final or held.
    """

    step: Step
    email_id: str | None = None
    accepted: bool = False
    fired_at: float | None = None
    fault: str | None = None
    state: str | None = None
    is_held: bool = False
    outcomes: tuple[str, ...] = ()
    recovered_s: float | None = None
    sends: int = 0


@dataclass(frozen=True)
class _Known:
    """Chance that gives an email an id which was drawn before."""

    known: str
    drawn: SystemChance = field(default_factory=SystemChance)

    def email_id(self) -> str:
        return self.known

    def attempt_id(self) -> str:
        return self.drawn.attempt_id()

    def jitter(self) -> float:
        return self.drawn.jitter()


class Walk:
    """The verbs of the steps; each lane of them has a thread of its own.

    Attributes:
        rows: Of the last attempt of each step, by its name.
        missed: Of those before, whose emails are not to be lost either.
        left: What is open after all.
    """

    def __init__(
        self,
        service: ForkedService,
        parts: Parts,
        emails: Collection[dict[str, Any]],
        client: redis.Redis,
    ) -> None:
        self.service = service
        self.parts = parts
        self.redis = client
        self.rows: dict[str, Row] = {}
        self.missed: list[Row] = []
        self.left: list[dict[str, Any]] = []
        self._emails = emails

    def run(self, steps: Iterable[Step], go_of: Callable[[Step], Go]) -> None:
        """Take one step after the other; what is in the way of one is noted."""
        for first in steps:
            for step in first.attempts():
                row = self.rows[step.name] = Row(step=step)
                try:
                    go_of(step)(self, step)
                except Exception as ex:  # noqa: BLE001 - of a thread; the test tells it
                    row.fault = f"{type(ex).__name__}: {ex}"
                if row.fired_at is not None or row.fault is None:
                    break
                if step.attempt < TRIES:
                    self.missed.append(row)

    # Emails

    def new_id(self, step: Step) -> str:
        """Draw the id of a step's email."""
        email_id = SystemChance().email_id()
        self.rows[step.name].email_id = email_id
        return email_id

    def accept(
        self, step: Step, email_id: str, *, hinted: bool = True, **fields: Any
    ) -> None:
        """Accept a step's email; without a hint only the sweep finds it."""
        self.accept_one(
            email_id, hinted=hinted, delivery=step.delivery, to=step.recipient, **fields
        )
        self.rows[step.name].accepted = True

    def accept_one(self, email_id: str, *, hinted: bool = True, **fields: Any) -> None:
        """Accept an email as the API does."""
        options = options_of(self.parts.settings)
        context = Context(
            limits=options.limits,
            clock=self.parts.clock.now,
            providers=tuple(self.parts.providers),
        )
        body = {"subject": "Hi", "text": "Hello", **fields}
        new = read_email(body, context, owner=OWNER, default_from=options.default_from)
        accept = replace(accept_of(self.parts), chance=_Known(email_id))
        if not hinted:
            accept = replace(accept, hints=MemoryHints())
        accept(new)

    def stored(self, email_id: str) -> dict[str, Any]:
        found = self._emails.find_one({"_id": ObjectId(email_id)})
        assert found is not None, f"there is no email {email_id}"
        return found

    def wait_for(self, email_id: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
        self.until(
            lambda: is_so(self.stored(email_id)), lambda: str(self.stored(email_id))
        )

    def wait_for_state(self, email_id: str, *states: str) -> None:
        self.wait_for(email_id, lambda email: email["state"] in states)

    def wait_for_end(self, email_id: str) -> None:
        """Wait until an email is final, or held."""
        self.wait_for(
            email_id,
            lambda email: (
                email["state"] not in _OPEN or email.get("waiting_for") == "operator"
            ),
        )

    def drain(self, patience_s: float) -> list[dict[str, Any]]:
        """Wait until nothing is open; return what is open all the same.

        Held email does not count, nor what is not to be sent for a while.
        """
        later = datetime.now(UTC) + timedelta(seconds=patience_s)
        is_open = {
            "state": {"$in": _OPEN},
            "waiting_for": {"$ne": "operator"},
            "$nor": [{"state": "scheduled", "not_before": {"$gt": later}}],
        }
        give_up = time.monotonic() + patience_s
        while (left := list(self._emails.find(is_open))) and time.monotonic() < give_up:
            time.sleep(0.1)
        return left

    # Points

    def arm(self, step: Step, group: str, match: str = "") -> Path:
        """Arm a step's point in the processes of a group."""
        return arm(self.service.armed(group), step.point, match=match)

    def arm_before(
        self, point: str, group: str, match: str, *, order: str = "kill"
    ) -> Path:
        """Arm a point that leads to the step's own."""
        return arm(self.service.armed(group), point, order=order, match=match)

    def wait_until_fired(
        self, step: Step, armed: Path, patience_s: float = REACH_S
    ) -> None:
        """Wait until a process was killed there, and note when."""
        self.wait_until_gone(armed, patience_s)
        self.rows[step.name].fired_at = time.time()

    def wait_until_gone(self, armed: Path, patience_s: float = REACH_S) -> None:
        is_gone = lambda: not armed.exists()  # noqa: E731 - two words
        try:
            self.until(is_gone, lambda: f"{armed.name} to be reached", patience_s)
        finally:
            armed.unlink(missing_ok=True)

    def until(
        self,
        is_so: Callable[[], bool],
        what: Callable[[], str],
        patience_s: float = PATIENCE_S,
    ) -> None:
        give_up = time.monotonic() + patience_s
        while not is_so():
            assert time.monotonic() < give_up, f"waited in vain: {what()}"
            time.sleep(0.02)

    # Afterwards

    def fill(self, relay: FakeSmtp) -> None:
        """Note in each row what is stored of its email, and how often it was sent."""
        sends = self._sends(relay)
        for row in (*self.rows.values(), *self.missed):
            row.sends = sends[row.step.recipient]
            email = self._emails.find_one(_names(row))
            if email is not None:
                _note(row, email)

    def _sends(self, relay: FakeSmtp) -> Counter[str]:
        """Return how often each recipient got something, from whichever provider."""
        taken = [to for one in self.service.fake.taken for to in one["recipients"]]
        relayed = [to for one in relay.taken for to in one.recipients]
        kept = [to for one in self.parts.inbox.latest(500) for to in one["recipients"]]
        return Counter([*taken, *relayed, *kept])


Go = Callable[[Walk, Step], None]


@contextlib.contextmanager
def walking(service: ForkedService) -> Iterator[Walk]:
    """Give a walk over a running service. Its own process has no failpoints."""
    with (
        contextlib.closing(build(Settings.from_env(service.environ))) as parts,
        emails_of(service) as emails,
        redis.Redis.from_url(service.redis.url) as client,
    ):
        yield Walk(service, parts, emails, client)


def in_lanes(
    walk: Walk, lanes: Mapping[str, Sequence[Step]], go_of: Callable[[Step], Go]
) -> dict[str, float]:
    """Walk all lanes at once, each in its order; return how long each took, in s."""
    began, took = time.monotonic(), {}

    def run(lane: str) -> None:
        walk.run(lanes[lane], go_of)
        took[lane] = time.monotonic() - began

    threads = [threading.Thread(target=run, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _names(row: Row) -> dict[str, Any]:
    """Return what finds a step's email: one that is erased has no recipient."""
    if row.email_id:
        return {"_id": ObjectId(row.email_id)}
    return {"recipients.addr_spec": row.step.recipient}


def _note(row: Row, email: Mapping[str, Any]) -> None:
    row.state = email["state"]
    row.is_held = email.get("waiting_for") == "operator"
    row.outcomes = tuple(a["outcome"] for a in email.get("attempts", []))
    settled: datetime = email.get("final_at") or email["updated_at"]
    if row.fired_at is not None:
        at = settled.replace(tzinfo=settled.tzinfo or UTC).timestamp()
        row.recovered_s = max(0.0, at - row.fired_at)
