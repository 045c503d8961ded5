"""The application over the in-memory twins, and requests to it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import falcon.testing

from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_board import MemoryBreakerBoard
from postroom.adapters.memory_erasure import MemoryErasure
from postroom.adapters.memory_hints import MemoryHints
from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.adapters.memory_store import MemoryStore
from postroom.adapters.rate_limit import LocalRateLimit
from postroom.domain.access import TEST_PROVIDER, Rate
from postroom.domain.errors import ClockUnsureError
from postroom.domain.policy import Policy
from postroom.domain.routing import ProviderProfile
from postroom.http.app import Services, create_app
from postroom.http.options import Options
from postroom.services.accept import Accept
from postroom.services.accept_together import AcceptTogether
from postroom.services.authenticate import Authenticate
from postroom.services.cancel import Cancel
from postroom.services.erase import Erase
from postroom.services.explain import Explain
from postroom.services.listing import Listing
from postroom.services.providers import Providers
from postroom.services.ready import OLDEST_BEAT, Ready
from postroom.services.redrive import Redrive
from postroom.services.replay import Replay
from postroom.services.reschedule import Reschedule
from postroom.services.show import Show
from postroom.services.throttle import Throttle

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)

SANDBOX = ProviderProfile(
    name="sandbox", kind="sandbox", max_size_bytes=20_000_000, max_recipients=1000
)


TEST_SANDBOX = replace(SANDBOX, name=TEST_PROVIDER, only_pinned=True)


class StillClock:
    """Stands still; ``lost`` once the store's time has not been seen."""

    def __init__(self) -> None:
        self.lost = False

    def now(self) -> datetime:
        if self.lost:
            raise ClockUnsureError("not seen")
        return NOW

    def monotonic(self) -> float:
        return 0.0


class CountingChance:
    def __init__(self) -> None:
        self.ids = 0

    def jitter(self) -> float:
        return 0.0

    def email_id(self) -> str:
        self.ids += 1
        return f"{self.ids:024x}"

    def attempt_id(self) -> str:
        return "a"


class GivenBeats:
    def __init__(self) -> None:
        self.given: dict[str, timedelta] | None = dict.fromkeys(
            OLDEST_BEAT, timedelta(0)
        )

    def beat(self, part: str) -> None: ...

    def ages(self) -> dict[str, timedelta] | None:
        return self.given


class GivenInbox:
    def __init__(self) -> None:
        self.emails: list[dict[str, Any]] = []

    def latest(self, limit: int) -> list[dict[str, Any]]:
        return self.emails[:limit]


class GivenQueues:
    def __init__(self) -> None:
        self.messages: dict[str, int] | None = {}

    def backlog(self) -> dict[str, int] | None:
        return self.messages

    def clear(self, provider: str) -> int | None:
        raise AssertionError(f"not over HTTP: {provider}")


@dataclass
class Stand:
    """Everything around one application."""

    options: Options = field(default_factory=Options)
    keys: MemoryKeyRing = field(default_factory=MemoryKeyRing)
    key_required: bool = False
    rate: Rate | None = None
    store: MemoryStore = field(default_factory=MemoryErasure)
    hints: MemoryHints = field(default_factory=MemoryHints)
    clock: StillClock = field(default_factory=StillClock)
    beats: GivenBeats = field(default_factory=GivenBeats)
    inbox: GivenInbox = field(default_factory=GivenInbox)
    profiles: tuple[ProviderProfile, ...] = (SANDBOX, TEST_SANDBOX)
    queues: GivenQueues = field(default_factory=GivenQueues)
    page: Callable[[str], tuple[bytes, str]] = lambda accept: (
        f"# asked for {accept}\n".encode(),
        "text/plain; charset=utf-8",
    )

    def __post_init__(self) -> None:
        parts: dict[str, Any] = {
            "hints": self.hints,
            "clock": self.clock,
            "chance": CountingChance(),
            "profiles": self.profiles,
            "policy": Policy(),
        }
        self.board = MemoryBreakerBoard(
            [profile.name for profile in self.profiles],
            fail_max=5,
            reset=timedelta(seconds=30),
            window=timedelta(seconds=60),
            timeout=Policy().timeout,
            clock=self.clock,
        )
        archive = MemoryArchive(self.store)
        # A test's own store may know nothing of erasing; then it is not asked to.
        erasure: Any = self.store
        shared: dict[str, Any] = {"store": self.store, "clock": self.clock}
        hinting = shared | {"hints": self.hints, "policy": Policy()}
        redrive = Redrive(**hinting)
        services = Services(
            authenticate=Authenticate(
                ring=self.keys,
                clock=self.clock,
                setting=self.options.api_key,
                required=self.key_required,
            ),
            throttle=Throttle(
                limit=LocalRateLimit(self.clock.monotonic), rate=self.rate
            ),
            accept=Accept(store=self.store, **parts),
            accept_together=AcceptTogether(intake=cast("Any", self.store), **parts),
            show=Show(store=self.store),
            listing=Listing(archive=archive),
            reschedule=Reschedule(**hinting),
            cancel=Cancel(**shared),
            redrive=redrive,
            erase=Erase(**shared, erasure=erasure, policy=Policy()),
            replay=Replay(archive=archive, hints=self.hints, redrive=redrive),
            providers=Providers(
                panel=self.board,
                archive=archive,
                hints=self.hints,
                queues=self.queues,
                names=[profile.name for profile in self.profiles],
            ),
            explain=Explain(clock=self.clock, board=self.board, profiles=self.profiles),
            ready=Ready(store=self.store, heartbeats=self.beats),
            inbox=self.inbox,
            clock=self.clock,
            metrics=self.page,
        )
        self.app = create_app(services, self.options)
        self.client = falcon.testing.TestClient(self.app)

    def post(self, body: object, **given: Any) -> falcon.testing.Result:
        return self.client.simulate_post("/api/emails", json=body, **given)

    def post_raw(self, body: bytes, **headers: str) -> falcon.testing.Result:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Type", "application/json")
        return self.client.simulate_post("/api/emails", body=body, headers=named)

    def get(self, path: str, **given: Any) -> falcon.testing.Result:
        return self.client.simulate_get(path, **given)


def a_body(**fields: Any) -> dict[str, Any]:
    """Give a valid body; a field set to `...` is left out."""
    body = {
        "from": "Acme <hello@acme.example>",
        "to": ["ada@example.com"],
        "subject": "Hi",
        "text": "Hello",
    } | fields
    return {name: value for name, value in body.items() if value is not ...}


def faults(result: falcon.testing.Result) -> set[tuple[str, str]]:
    """Give the (field, code) of each fault in an answer."""
    return {(fault["field"], fault["code"]) for fault in result.json["errors"]}
