"""One contract for the hints, two implementations: messages in Redis, and the twin."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import redis

from postroom.adapters import hints as hints_module
from postroom.adapters.hints import RedisHints
from postroom.adapters.memory_hints import MemoryHints
from postroom.cli.errors import ServersMissingError
from postroom.domain.email import Priority
from postroom.domain.errors import HintError
from postroom.domain.hint import Hint
from postroom.domain.ports import Hints
from tests.adapters.breakers.parts import at_once, impatient_client
from tests.builders import ALPHA, ID, a_hint, everything_set, seconds
from tests.servers import a_redis, skip_or_fail

THREADS = 8

#: Each kind of hint: how it is given, and the actor that gets it.
GIVEN: dict[str, tuple[Callable[[Hints, timedelta], None], str]] = {
    "route": (lambda hints, delay: hints.route(a_hint(), delay=delay), "router"),
    "send": (
        lambda hints, delay: hints.send(ALPHA, a_hint(), delay=delay),
        "send.alpha",
    ),
    "reconcile": (lambda hints, delay: hints.reconcile(ID, delay=delay), "reconcile"),
    "release": (lambda hints, delay: hints.release(ALPHA, delay=delay), "release"),
}

MS = timedelta(milliseconds=1)

#: As soon as may be, also where a clock or a rounding made less of it.
AT_ONCE = [timedelta(0), -seconds(5), seconds(0.0001)]


@dataclass(frozen=True)
class Waiting:
    """A hint that nobody has taken yet."""

    actor: str
    what: Hint | str
    is_delayed: bool


@dataclass(frozen=True)
class Stand:
    """Hints, a look at what waits, and ways to lose it.

    Attributes:
        away: Within it the other side does not answer.
    """

    hints: Hints
    waiting: Callable[[], list[Waiting]]
    empty: Callable[[], None]
    away: Callable[[], Any]

    def give(self, kind: str, delay: timedelta = timedelta(0)) -> None:
        GIVEN[kind][0](self.hints, delay)


def a_memory_stand() -> Stand:
    twin = MemoryHints()

    def waiting() -> list[Waiting]:
        # A queue counts in whole milliseconds; the twin keeps what it was told.
        return [Waiting(h.queue, h.what, h.delay >= MS) for h in twin.hinted]

    def empty() -> None:
        twin.hinted.clear()
        twin.forgotten = True

    @contextmanager
    def away() -> Iterator[None]:
        twin.away = True
        yield
        twin.away = False

    return Stand(twin, waiting, empty, away)


def a_redis_stand(server: Any) -> Stand:
    client = impatient_client(server.url)
    hints = RedisHints(client, providers=[ALPHA], away_s=0.0)
    hints.remember()

    @contextmanager
    def away() -> Iterator[None]:
        server.pause()
        yield
        server.resume()

    return Stand(hints, lambda: messages(client), client.flushall, away)


def messages(client: redis.Redis) -> list[Waiting]:
    """Return what lies in the queues, or waits for its turn; the delayed included."""
    found = []
    for key in client.scan_iter("dramatiq:*.msgs"):
        stored = client.hgetall(key)
        ids = client.lrange(key.removesuffix(b".msgs"), 0, -1)
        queue = key.removeprefix(b"dramatiq:").removesuffix(b".msgs").decode()
        for waiting in client.scan_iter(f"postroom:waiting:{queue}:*"):
            ids += client.lrange(waiting, 0, -1)
        found += [_read(json.loads(stored[message_id])) for message_id in ids]
    return found


def _read(message: dict[str, Any]) -> Waiting:
    (argument,) = message["args"]
    actor = message["actor_name"].replace("ProviderRouter", "router")
    what = argument if isinstance(argument, str) else Hint.from_message(argument)
    return Waiting(actor, what, "eta" in message["options"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a Redis that may be frozen and emptied."""
    try:
        server = a_redis(tmp_path_factory.mktemp("hints"))
    except ServersMissingError as ex:
        skip_or_fail(ex)
        return
    with server:
        yield server


@pytest.fixture(params=["memory", "redis"])
def stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stand:
    # A failed hint keeps the process from trying again for a while: not here.
    monkeypatch.setattr(hints_module, "HICCUP_S", 0.0)
    if request.param == "memory":
        return a_memory_stand()
    server = request.getfixturevalue("server")
    redis.Redis.from_url(server.url).flushall()
    return a_redis_stand(server)


class TestGiving:
    @pytest.mark.parametrize("kind", GIVEN)
    @pytest.mark.parametrize("delay", AT_ONCE)
    def test_a_hint_waits_for_its_actor(
        self, stand: Stand, kind: str, delay: timedelta
    ) -> None:
        stand.give(kind, delay)

        (waiting,) = stand.waiting()
        assert (waiting.actor, waiting.is_delayed) == (GIVEN[kind][1], False)

    @pytest.mark.parametrize("kind", GIVEN)
    def test_a_delayed_one_waits_for_its_time(self, stand: Stand, kind: str) -> None:
        stand.give(kind, seconds(20))

        (waiting,) = stand.waiting()
        assert (waiting.actor, waiting.is_delayed) == (GIVEN[kind][1], True)

    @pytest.mark.parametrize("count", [0, 1, 2, 1200])
    def test_many_are_given_in_one_go_and_each_after_its_delay(
        self, stand: Stand, count: int
    ) -> None:
        hints = [a_hint(email_id=f"{no:024x}") for no in range(count)]

        stand.hints.route_all([(h, seconds(20 * (i % 2))) for i, h in enumerate(hints)])
        stand.hints.reconcile_all([hint.email_id for hint in hints])

        waiting = stand.waiting()
        routed = [w for w in waiting if w.actor == "router"]
        assert len(waiting) == 2 * count
        assert sorted(w.what.email_id for w in routed if isinstance(w.what, Hint)) == [
            hint.email_id for hint in hints
        ]
        assert sum(w.is_delayed for w in routed) == count // 2
        assert {w.what for w in waiting if w.actor == "reconcile"} == {
            hint.email_id for hint in hints
        }

    def test_many_go_to_the_queues_of_their_priorities(self, stand: Stand) -> None:
        hints = [a_hint(priority=priority) for priority in Priority]

        stand.hints.route_all([(hint, seconds(0)) for hint in hints])
        one_by_one = sorted(w.actor for w in stand.waiting())
        stand.empty()
        for hint in hints:
            stand.hints.route(hint)

        assert sorted(w.actor for w in stand.waiting()) == one_by_one

    def test_what_arrives_is_what_was_given(self, stand: Stand) -> None:
        hint = Hint.of(everything_set())

        stand.hints.route(hint)
        stand.hints.send(ALPHA, hint)
        stand.hints.reconcile(ID)
        stand.hints.release(ALPHA)

        whats = {w.actor.partition(".")[0]: w.what for w in stand.waiting()}
        assert whats == {
            "router": hint,
            "send": hint,
            "reconcile": ID,
            "release": ALPHA,
        }

    @pytest.mark.parametrize(
        ("priority", "ending"),
        [(Priority.HIGH, ".high"), (Priority.NORMAL, ""), (Priority.LOW, ".low")],
    )
    def test_each_priority_has_actors_of_its_own(
        self, stand: Stand, priority: Priority, ending: str
    ) -> None:
        hint = replace(a_hint(), priority=priority)

        stand.hints.route(hint)
        stand.hints.send(ALPHA, hint)

        actors = {waiting.actor for waiting in stand.waiting()}
        assert actors == {f"router{ending}", f"send.alpha{ending}"}

    def test_the_same_hint_twice_is_two(self, stand: Stand) -> None:
        stand.give("route")
        stand.give("route")

        assert len(stand.waiting()) == 2

    @pytest.mark.parametrize("kind", GIVEN)
    def test_none_is_lost_that_many_threads_give_at_once(
        self, stand: Stand, kind: str
    ) -> None:
        at_once(*[lambda: stand.give(kind)] * THREADS)

        assert len(stand.waiting()) == THREADS


class TestWaiting:
    def test_hints_at_emails_are_counted_and_nothing_else(self, stand: Stand) -> None:
        for kind in GIVEN:
            stand.give(kind)
            stand.give(kind, seconds(20))
        many = [(a_hint(priority=priority), seconds(0)) for priority in Priority]
        stand.hints.route_all(many * 30)

        assert stand.hints.waiting() == 2 + 2 + len(Priority) * 30

    def test_without_any_there_are_none(self, stand: Stand) -> None:
        stand.give("release")

        assert stand.hints.waiting() == 0


class TestAway:
    @pytest.mark.parametrize("kind", GIVEN)
    def test_a_hint_that_is_not_taken_is_told(self, stand: Stand, kind: str) -> None:
        with stand.away(), pytest.raises(HintError):
            stand.give(kind)

    def test_so_is_a_question_that_is_not_answered(self, stand: Stand) -> None:
        with stand.away():
            with pytest.raises(HintError):
                stand.hints.has_forgotten()
            with pytest.raises(HintError):
                stand.hints.remember()
            with pytest.raises(HintError):
                stand.hints.waiting()

    def test_afterwards_hints_are_taken_again(self, stand: Stand) -> None:
        with stand.away(), pytest.raises(HintError):
            stand.give("route")

        stand.give("reconcile")

        assert "reconcile" in {waiting.actor for waiting in stand.waiting()}


class TestForgetting:
    def test_nothing_is_forgotten_while_all_goes_well(self, stand: Stand) -> None:
        stand.give("route")

        assert not stand.hints.has_forgotten()
        assert stand.waiting()

    def test_what_was_emptied_has_forgotten_until_all_is_offered(
        self, stand: Stand
    ) -> None:
        stand.give("route")
        stand.empty()

        assert stand.waiting() == []
        assert stand.hints.has_forgotten()
        assert stand.hints.has_forgotten()
        stand.hints.remember()
        assert not stand.hints.has_forgotten()

    def test_what_was_away_for_a_question_has_forgotten(self, stand: Stand) -> None:
        with stand.away(), pytest.raises(HintError):
            stand.hints.has_forgotten()

        assert stand.hints.has_forgotten()
        stand.hints.remember()
        assert not stand.hints.has_forgotten()

    @pytest.mark.parametrize(("failures", "forgotten"), [(1, False), (2, True)])
    def test_one_hint_that_fails_is_no_outage_and_two_are(
        self, stand: Stand, failures: int, forgotten: bool
    ) -> None:
        with stand.away():
            for _ in range(failures):
                with pytest.raises(HintError):
                    stand.give("route")

        assert stand.hints.has_forgotten() is forgotten

    def test_many_hints_that_fail_at_once_are_an_outage(self, stand: Stand) -> None:
        with stand.away(), pytest.raises(HintError):
            stand.hints.reconcile_all([ID, ID])

        assert stand.hints.has_forgotten()

    def test_many_may_say_that_all_is_offered(self, stand: Stand) -> None:
        stand.empty()

        at_once(*[stand.hints.remember] * THREADS)

        assert not stand.hints.has_forgotten()
