"""From settings to the parts that a process is made of; one set per process."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import redis
import structlog
from pymongo import MongoClient
from pymongo.database import Database

from ..domain.access import TEST_PROVIDER
from ..domain.check import Check, Result
from ..domain.inspection import Premises
from ..domain.ports import (
    Chance,
    Clock,
    Heartbeats,
    Hints,
    Provider,
)
from ..domain.ports_access import RateLimit
from ..domain.ports_erasure import Erasure
from ..domain.ports_intake import Intake
from ..domain.ports_retention import Retention
from ..domain.routing import BreakerState, ProviderProfile
from . import redis_clients
from .breaker_board import RedisBreakerBoard
from .chance import SystemChance
from .clock import ServerClock
from .failpoints import Failpoints
from .heartbeats import RedisHeartbeats
from .hints import AWAY_IN_WORKERS_S, AWAY_S, RedisHints
from .inspection import ServerInspector
from .mongo_archive import MongoArchive
from .mongo_books import MongoBooks
from .mongo_erasure import MongoErasure
from .mongo_intake import MongoIntake
from .mongo_keys import MongoKeyRing
from .mongo_ledger import MongoLedger
from .mongo_retention import MongoRetention
from .mongo_store import Document, MongoStore, connect, database_of
from .providers.registry import build_providers
from .rate_limit import RedisRateLimit
from .sandbox_inbox import MongoInbox
from .send_queues import RedisSendQueues
from .settings import Environment, Settings

log = structlog.get_logger()

#: Bound on one of the few searches of an audit, in seconds: a scrape waits for them.
AUDIT_SEARCH_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that touches the world, behind the ports.

    Attributes:
        broker_client: For Dramatiq's broker, which is not behind a port.
        bell_client: For what wakes its consumers.
        keys: Who may call the API.
        rates: How often.
        inbox: What ``sandbox`` sent, for the page that shows it.
        archive: The emails as people look for them.
        premises: What the self-checks look at.
        failpoints: What tests put around all of this; none without a folder for them.
        closing: Closes what was opened.
    """

    settings: Settings
    store: MongoStore
    intake: Intake
    retention: Retention
    erasure: Erasure
    ledger: MongoLedger
    books: MongoBooks
    hints: Hints
    clock: Clock
    chance: Chance
    board: RedisBreakerBoard
    providers: Mapping[str, Provider]
    heartbeats: Heartbeats
    keys: MongoKeyRing
    rates: RateLimit
    inbox: MongoInbox
    archive: MongoArchive
    premises: Premises
    broker_client: redis.Redis
    bell_client: redis.Redis
    failpoints: Failpoints
    closing: ExitStack

    def close(self) -> None:
        """Close all connections: for a command, which ends before its process may."""
        self.closing.close()

    def breakers(self) -> Mapping[str, BreakerState]:
        """Return the state of each provider's breaker, read now."""
        board = self.failpoints.guard("metrics", "board", self.board)
        return {name: board.view(name).health.state for name in self.names}

    @property
    def names(self) -> tuple[str, ...]:
        """The providers that are configured: without the one of the test keys."""
        return tuple(p.name for p in self.profiles if not p.only_pinned)

    @property
    def profiles(self) -> tuple[ProviderProfile, ...]:
        """What all providers can carry, in order of preference."""
        return tuple(provider.profile for provider in self.providers.values())


def build(settings: Settings, *, in_worker: bool = False) -> Parts:
    """Make the parts. Nothing is connected until it is used.

    Args:
        settings: Of this installation.
        in_worker: Whether emails are sent from here, and no client or operator waits.
    """
    failpoints = Failpoints(settings.failpoints_dir)
    closing = ExitStack()
    client: MongoClient[Document] = connect(settings.mongodb_uri.reveal())
    closing.callback(client.close)
    database = database_of(client)
    ledger = MongoLedger(database, writer=secrets.token_hex(8))
    closing.callback(ledger.close)  # before the client is closed
    keys = MongoKeyRing(database)
    closing.callback(keys.close)  # the same
    clock = ServerClock(client)
    closing.callback(clock.close)
    inbox = MongoInbox(database)
    names = _all_names(settings)
    broker_client = redis_clients.broker_client(settings)
    bell_client = redis_clients.bell_client(settings)
    hints_client = redis_clients.hints_client(settings, in_worker=in_worker)
    board_client = redis_clients.breaker_client(settings, in_worker=in_worker)
    beats_client = redis_clients.beats_client(settings)
    looks_client = redis_clients.looks_client(settings)
    rates_client = redis_clients.rates_client(settings)
    clients = (broker_client, hints_client, board_client, beats_client, looks_client)
    for each in (*clients, rates_client, bell_client):
        closing.callback(each.close)
    return Parts(
        settings=settings,
        store=MongoStore(database),
        intake=MongoIntake(database, around=failpoints.around),
        retention=MongoRetention(database),
        erasure=MongoErasure(database),
        ledger=ledger,
        books=MongoBooks(database, bound_s=AUDIT_SEARCH_S),
        hints=RedisHints(
            hints_client,
            providers=names,
            away_s=AWAY_IN_WORKERS_S if in_worker else AWAY_S,
        ),
        clock=clock,
        chance=SystemChance(),
        board=RedisBreakerBoard(
            board_client,
            names,
            fail_max=settings.breaker.fail_max,
            reset=settings.breaker.reset,
            window=settings.breaker.window,
            timeout=settings.policy.timeout,
            clock=clock,
        ),
        providers=build_providers(
            settings,
            inbox=failpoints.guard("sandbox", "inbox", inbox),
            clock=clock,
            around=failpoints.around,
        ),
        heartbeats=RedisHeartbeats(beats_client),
        keys=keys,
        rates=RedisRateLimit(rates_client),
        inbox=inbox,
        archive=MongoArchive(database),
        premises=_premises(settings, database, looks_client, failpoints),
        broker_client=broker_client,
        bell_client=bell_client,
        failpoints=failpoints,
        closing=closing,
    )


def _premises(
    settings: Settings,
    database: Database[Document],
    client: redis.Redis,
    failpoints: Failpoints,
) -> Premises:
    guard = failpoints.guard
    return Premises(
        inspector=guard("self_check", "inspector", ServerInspector(database, client)),
        queues=guard("self_check", "queues", RedisSendQueues(client)),
        policy=settings.policy,
        production=settings.env is Environment.PRODUCTION,
        providers=_all_names(settings),
        warnings=settings.warnings,
        has_setting_key=settings.api_key is not None,
    )


def _all_names(settings: Settings) -> tuple[str, ...]:
    return (*(provider.name for provider in settings.providers), TEST_PROVIDER)


def tell(check: Check) -> None:
    """Log what a self-check found doubtful or wrong."""
    fields = {"result": check.result.value, "found": check.found, "do": check.do}
    if check.result is Result.REFUSE:
        log.error("check.refused", check=check.name, **fields)
    else:
        log.warning("check.doubtful", check=check.name, **fields)
