"""Composition root of the web process: settings, parts, services, application."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import Any

from gunicorn.arbiter import Arbiter

from ..adapters import logs
from ..adapters.metrics_page import MetricsPage
from ..adapters.settings import Environment, Settings
from ..adapters.wiring import Parts, build, tell
from ..domain.errors import ClockUnsureError, StartRefusedError
from ..services.accept import Accept
from ..services.accept_together import AcceptTogether
from ..services.audit import Audit
from ..services.authenticate import Authenticate
from ..services.cancel import Cancel
from ..services.erase import Erase
from ..services.explain import Explain
from ..services.listing import Listing
from ..services.providers import Providers
from ..services.ready import Ready
from ..services.redrive import Redrive
from ..services.replay import Replay
from ..services.reschedule import Reschedule
from ..services.self_check import SelfCheck, start
from ..services.show import Show
from ..services.throttle import Throttle
from .app import Application, Services, create_app
from .auth import digest
from .metrics import COUNTERS
from .options import Limits, Options


def create() -> Application:
    """Return the application for gunicorn: `'postroom.http.wsgi:create()'`.

    Raises:
        SettingsError: The environment is wrong; it lists every fault.
        SystemExit: A self-check refuses; gunicorn ends with its code.
    """
    settings = Settings.from_env(os.environ)  # noqa: TID251 - a composition root
    logs.configure(settings.env, secrets=settings.secrets)
    parts = build(settings)
    # What was accepted and not yet written to the ledger is written then.
    atexit.register(parts.close)
    try:
        start(SelfCheck(parts.premises), tell)
    except StartRefusedError as ex:
        sys.stderr.write(f"postroom: {ex}\n")
        # On any other code gunicorn would try again for ever.
        raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None
    with suppress(ClockUnsureError):
        # Its first look may take 2 s: no request should wait for that.
        parts.clock.now()
    options = options_of(settings)
    folder = os.environ.get(COUNTERS)  # noqa: TID251 - as above
    return create_app(services_of(parts, counters=folder), options)


def options_of(settings: Settings) -> Options:
    """Return what the settings say about the HTTP side."""
    key, metrics_key = settings.api_key, settings.metrics_key
    return Options(
        development=settings.env is Environment.DEVELOPMENT,
        api_key=None if key is None else digest(key.reveal()),
        metrics_key=None if metrics_key is None else digest(metrics_key.reveal()),
        default_from=settings.default_from,
        cors_origins=settings.cors_origins,
        limits=Limits(body_bytes=settings.max_body_bytes),
    )


def services_of(parts: Parts, *, counters: str | None = None) -> Services:
    """Return the use cases over these parts.

    Args:
        parts: Of this process.
        counters: The folder of the counters of all processes behind this port.
    """
    fit = parts.failpoints.fit
    audit = Audit(books=parts.books, clock=parts.clock, policy=parts.settings.policy)
    settings = parts.settings
    key = settings.api_key
    authenticate = Authenticate(
        ring=parts.keys,
        clock=parts.clock,
        setting=None if key is None else digest(key.reveal()),
        required=settings.env is Environment.PRODUCTION,
    )
    shared: dict[str, Any] = {"store": parts.store, "clock": parts.clock}
    hinting = shared | {"hints": parts.hints, "policy": parts.settings.policy}
    redrive = fit(Redrive(**hinting))
    return Services(
        authenticate=fit(authenticate),
        throttle=fit(Throttle(limit=parts.rates, rate=settings.rate)),
        accept=accept_of(parts),
        accept_together=fit(
            AcceptTogether(
                intake=parts.intake,
                hints=parts.hints,
                clock=parts.clock,
                chance=parts.chance,
                profiles=parts.profiles,
                policy=parts.settings.policy,
                ledger=parts.ledger,
            )
        ),
        show=fit(Show(store=parts.store)),
        listing=fit(Listing(archive=parts.archive)),
        reschedule=fit(Reschedule(**hinting)),
        cancel=fit(Cancel(**shared)),
        redrive=redrive,
        erase=fit(Erase(**shared, erasure=parts.erasure, policy=parts.settings.policy)),
        replay=fit(Replay(archive=parts.archive, hints=parts.hints, redrive=redrive)),
        providers=fit(providers_of(parts)),
        explain=fit(
            Explain(clock=parts.clock, board=parts.board, profiles=parts.profiles)
        ),
        ready=fit(Ready(store=parts.store, heartbeats=parts.heartbeats)),
        inbox=parts.inbox,
        clock=parts.clock,
        metrics=MetricsPage(fit(audit), parts.breakers, folder=counters),
    )


def providers_of(parts: Parts) -> Providers:
    """Return what shows the providers and gives them orders."""
    return Providers(
        panel=parts.board,
        archive=parts.archive,
        hints=parts.hints,
        queues=parts.premises.queues,
        names=tuple(parts.providers),
    )


def accept_of(parts: Parts) -> Accept:
    """Return what accepts an email, here and for the command."""
    accept = Accept(
        store=parts.store,
        hints=parts.hints,
        clock=parts.clock,
        chance=parts.chance,
        profiles=parts.profiles,
        policy=parts.settings.policy,
        ledger=parts.ledger,
    )
    return parts.failpoints.fit(accept)
