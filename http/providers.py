"""Providers: how each does, and orders to its breaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import falcon

from ..services.providers import Providers, ProviderStatus
from .fields import Context
from .options import Options
from .orders import NoneIn, read_order
from .provider_answers import provider_answer, provider_list
from .queries import no_parameters


class ProviderCollection:
    """`GET /api/providers`."""

    needs: ClassVar[Mapping[str, str]] = {"GET": "read"}

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show all configured providers, the one to prefer first."""
        no_parameters(req)
        statuses = self._providers()

        resp.content_type = falcon.MEDIA_JSON
        resp.data = provider_list(statuses).to_json()


class ProviderOrder:
    """`POST /api/providers/NAME/VERB`: one instance for each verb."""

    needs: ClassVar[Mapping[str, str]] = {"POST": "admin"}

    def __init__(
        self, order: Callable[[str], ProviderStatus], options: Options
    ) -> None:
        self._order = order
        self._context = Context(limits=options.limits)

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Give the order, and show how the provider is after it."""
        read_order(req, NoneIn, self._context)
        status = self._order(name)

        resp.content_type = falcon.MEDIA_JSON
        resp.data = provider_answer(status).to_json()
