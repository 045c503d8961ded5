"""Composition root of the worker processes: what dramatiq and periodiq load.

Each function builds from the environment what one kind of process needs:
``send`` the configured ``send.*`` queues, ``router`` everything that no slow provider
may hold up, ``schedule`` the clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

from dramatiq import Middleware

from ..adapters import logs
from ..adapters.bell import ring
from ..adapters.metrics_listener import listen
from ..adapters.metrics_page import MetricsPage
from ..adapters.settings import Settings
from ..adapters.shared_script import share_trips
from ..adapters.turns import take_turns
from ..adapters.wiring import Parts, build, tell
from ..domain.errors import SettingsError
from ..domain.ports import Heartbeats
from ..services import rules
from ..services.attempt import Attempt
from ..services.audit import Audit
from ..services.health import Verdicts
from ..services.offer import Offer
from ..services.reconcile import Reconcile
from ..services.release import Release
from ..services.retain import Retain
from ..services.route import Route
from ..services.self_check import SelfCheck, Watch, start
from ..services.settle import Settle
from .broker import SteadyBroker, build_broker
from .graceful_stop import GracefulStop
from .provider_router import declare_router
from .pulse import Pulse
from .quiet_start import QuietStart
from .reconcile import declare_reconcile, declare_release
from .retention import retaining
from .second_chance import SecondChance
from .send import declare_send
from .serving import Serving
from .shares import ThreadShares
from .sweep import declare_sweep

#: How often a process leaves a sign of life; ``/ready`` misses it after 60 s.
BEAT_EVERY = timedelta(seconds=10)

#: How often a router erases what is old, and how long after its start first: then it
#: has a backlog to route.
RETAIN_EVERY = timedelta(minutes=5)
RETAIN_FIRST = timedelta(seconds=30)

#: How often a router makes the self-checks again, and how long after its start first:
#: by then the other processes have started, and the clock has ticked.
WATCH_EVERY = timedelta(minutes=5)
WATCH_FIRST = timedelta(seconds=150)


def send() -> None:
    """Set up a process for the send queues of the configured providers."""
    parts = _parts()
    pulse = Pulse()
    serving = Serving(_heartbeats(parts, "worker"))
    pulse.every(BEAT_EVERY, serving.beat)
    shares = ThreadShares(parts.names, most=parts.settings.concurrency)
    broker = _broker(parts, "worker", serving, pulse, shares)
    _show_metrics(parts)
    attempt = parts.failpoints.fit(_attempt(parts))
    for name in parts.providers:
        declare_send(broker, name, attempt, parts.settings.policy)


def router() -> None:
    """Set up a process for router, sweep and reconcile."""
    parts = _parts(queues=True)
    fit = parts.failpoints.fit
    pulse = Pulse()
    pulse.every(BEAT_EVERY, _beat(parts, "router"))
    broker = _broker(parts, "router", pulse)
    _show_metrics(parts)
    _declare_router(broker, parts)
    sweep = declare_sweep(broker, fit(_offer(parts)), _heartbeats(parts, "sweep"))
    pulse.every(parts.settings.sweep_every, sweep)
    pulse.every(RETAIN_EVERY, retaining(fit(_retain(parts))), first=RETAIN_FIRST)
    pulse.every(WATCH_EVERY, fit(_watch(parts)), first=WATCH_FIRST)
    declare_reconcile(broker, fit(_reconcile(parts)), parts.settings.policy)
    declare_release(broker, fit(_release(parts)), parts.settings.policy)


def schedule() -> None:
    """Set up the clock's process: it only sends what is due by the clock."""
    parts = _parts()
    broker = _broker(parts, "scheduler")
    offer = parts.failpoints.fit(_offer(parts))
    declare_sweep(broker, offer, _heartbeats(parts, "sweep"))


def _parts(*, queues: bool = False) -> Parts:
    try:
        settings = Settings.from_env(os.environ)  # noqa: TID251  # a composition root
        logs.configure(settings.env, secrets=settings.secrets)
        parts = build(settings, in_worker=True)
        check = SelfCheck(parts.premises)
        start(check, tell, queues=queues, without={rules.KEYS})
    except SettingsError as ex:
        raise SystemExit(f"postroom: {ex}") from None
    return parts


def _broker(parts: Parts, owner: str, *middleware: Middleware) -> SteadyBroker:
    ours = [GracefulStop(), QuietStart(), SecondChance(), *middleware]
    broker = build_broker(parts.broker_client, ours, bell_client=parts.bell_client)
    share_trips(ring(take_turns(broker)))
    return parts.failpoints.fit_broker(owner, broker)


def _show_metrics(parts: Parts) -> None:
    """Answer `/metrics`, if there is a port for it."""
    settings = parts.settings
    if settings.metrics_port is None:
        return
    audit = Audit(books=parts.books, clock=parts.clock, policy=settings.policy)
    page = MetricsPage(parts.failpoints.fit(audit), parts.breakers)
    listen(settings.metrics_port, page, key=settings.metrics_key)


def _beat(parts: Parts, part: str) -> Callable[[], None]:
    heartbeats = _heartbeats(parts, part)
    return lambda: heartbeats.beat(part)


def _heartbeats(parts: Parts, owner: str) -> Heartbeats:
    return parts.failpoints.guard(owner, "heartbeats", parts.heartbeats)


def _declare_router(broker: SteadyBroker, parts: Parts) -> None:
    route = Route(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        board=parts.board,
        profiles=parts.profiles,
        policy=parts.settings.policy,
    )
    declare_router(broker, parts.failpoints.fit(route), parts.settings.policy)


def _attempt(parts: Parts) -> Attempt:
    fit, policy = parts.failpoints.fit, parts.settings.policy
    verdicts = Verdicts(board=parts.board, hints=parts.hints, policy=policy)
    settle = Settle(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        chance=parts.chance,
        board=parts.board,
        profiles=parts.profiles,
        policy=policy,
    )
    return Attempt(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        chance=parts.chance,
        board=parts.board,
        providers=parts.providers,
        policy=policy,
        settle=fit(settle),
        verdicts=fit(verdicts),
    )


def _offer(parts: Parts) -> Offer:
    return Offer(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        board=parts.board,
        profiles=parts.profiles,
        policy=parts.settings.policy,
        horizon=2 * parts.settings.sweep_every,
    )


def _reconcile(parts: Parts) -> Reconcile:
    return Reconcile(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        policy=parts.settings.policy,
    )


def _release(parts: Parts) -> Release:
    return Release(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        board=parts.board,
        profiles=parts.profiles,
        policy=parts.settings.policy,
    )


def _watch(parts: Parts) -> Watch:
    return Watch(
        check=SelfCheck(parts.premises), heartbeats=parts.heartbeats, tell=tell
    )


def _retain(parts: Parts) -> Retain:
    return Retain(
        retention=parts.retention,
        clock=parts.clock,
        policy=parts.settings.policy,
    )
