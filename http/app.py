"""The WSGI application: routes and middleware, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import falcon

from ..domain.ports import Clock
from ..services.accept import Accept
from ..services.accept_together import AcceptTogether
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
from ..services.show import Show
from ..services.throttle import Throttle
from . import errors
from .auth import Auth
from .batch import BatchCollection
from .dead_letters import DeadLetterCollection, DeadLetterReplay
from .docs import Asset, Description, Page, ToDocs
from .email_orders import EmailCancel, EmailRetry
from .emails import EmailCollection, EmailItem
from .explain import RoutingExplanation
from .health import Health, Readiness
from .large_bodies import LargeBodies
from .metrics import Metrics, MetricsPage
from .middleware import Compression, Cors, RequestLog, SecurityHeaders, Stopping
from .openapi import document
from .options import Options
from .providers import ProviderCollection, ProviderOrder
from .sandbox import Inbox, SandboxPage

Application = falcon.App[falcon.Request, falcon.Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases that the resources call, one each.

    Attributes:
        inbox: What the sandbox provider sent; ``None`` leaves its page out.
        metrics: All metrics as text, with its content type.
    """

    authenticate: Authenticate
    throttle: Throttle
    accept: Accept
    accept_together: AcceptTogether
    show: Show
    listing: Listing
    reschedule: Reschedule
    cancel: Cancel
    redrive: Redrive
    erase: Erase
    replay: Replay
    providers: Providers
    explain: Explain
    ready: Ready
    inbox: Inbox | None
    clock: Clock
    metrics: MetricsPage


def create_app(services: Services, options: Options) -> Application:
    """Return the application over these services."""
    app = Application(middleware=list(_middleware(services, options)))
    app.req_options.strip_url_path_trailing_slash = True
    errors.install(app)
    for path, resource in _routes(services, options):
        app.add_route(path, resource)
    return app


def _middleware(services: Services, options: Options) -> Iterator[Any]:
    """Give the middleware, outermost first: answers pass through it backwards."""
    yield RequestLog()
    yield SecurityHeaders()
    if options.cors_origins:
        yield Cors(options.cors_origins)
    yield Compression()
    yield Stopping()
    yield LargeBodies()
    yield Auth(
        services.authenticate, services.throttle, metrics_key=options.metrics_key
    )


def _routes(services: Services, options: Options) -> Iterator[tuple[str, object]]:
    emails = EmailCollection(
        services.accept, services.accept_together, services.listing, options
    )
    batch = BatchCollection(services.accept_together, options)
    email = EmailItem(services.show, services.reschedule, services.erase, options)
    # The older service had the singular.
    for path in ("/api/emails", "/api/email"):
        yield path, emails
        yield f"{path}/batch", batch
        yield f"{path}/{{email_id}}", email
    one = "/api/emails/{email_id}"
    yield f"{one}/cancel", EmailCancel(services.cancel, options)
    yield f"{one}/retry", EmailRetry(services.redrive, options)

    yield "/api/dead-letters", DeadLetterCollection(services.listing)
    yield "/api/dead-letters/replay", DeadLetterReplay(services.replay, options)
    yield "/api/routing/explain", RoutingExplanation(services.explain, options)
    yield from _provider_routes(services.providers, options)

    yield "/health", Health()
    yield "/ready", Readiness(services.ready)
    yield "/metrics", Metrics(services.metrics)

    description = Description(document(options))
    docs = Page()
    for prefix in ("", "/api"):
        yield f"{prefix}/openapi.json", description
        yield f"{prefix}/docs", docs
    yield "/docs/assets/{name}", Asset()
    to_docs = ToDocs()
    yield "/", to_docs
    yield "/api", to_docs

    if options.development and services.inbox is not None:
        yield "/sandbox", SandboxPage(services.inbox)


def _provider_routes(
    providers: Providers, options: Options
) -> Iterator[tuple[str, object]]:
    yield "/api/providers", ProviderCollection(providers)
    orders = {
        "trip": providers.trip,
        "reset": providers.reset,
        "drain": providers.drain,
        "resume": providers.resume,
    }
    for verb, order in orders.items():
        yield f"/api/providers/{{name}}/{verb}", ProviderOrder(order, options)
