"""Providers and routing, as the OpenAPI document describes them."""

from __future__ import annotations

from .examples import NEW_EMAILS
from .examples_orders import NOTHING, PROVIDER, PROVIDERS, ROUTING
from .openapi_parts import Family, Part, Paths, answer, body_of, errors, operation
from .options import Options
from .orders import NoneIn
from .provider_answers import ProviderAnswer, ProviderListAnswer, RoutingAnswer
from .schemas import EmailIn

_NAME: Part = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "As in `POSTROOM_PROVIDERS`.",
    "schema": {"type": "string"},
    "example": "sendgrid",
}

_VERBS = {
    "trip": "Open its breaker: email goes elsewhere until a probe succeeds",
    "reset": "Close its breaker, end its pause, and let its parked email go",
    "drain": "Give it no more email until it is resumed",
    "resume": "End a drain or a pause, and let its parked email go",
}


def _describe(_options: Options) -> Paths:
    orders = {
        f"/api/providers/{{name}}/{verb}": {"post": _order(verb, summary)}
        for verb, summary in _VERBS.items()
    }
    return {
        "/api/providers": {"get": _list()},
        **orders,
        "/api/routing/explain": {"post": _explain()},
    }


PROVIDERS_FAMILY = Family(
    name="Providers",
    description="How each provider does, orders to its breaker, and where email goes.",
    asked=(NoneIn, EmailIn),
    answered=(ProviderAnswer, ProviderListAnswer, RoutingAnswer),
    describe=_describe,
)


def _list() -> Part:
    told = "All that are configured, the one to prefer first."
    return operation(
        "listProviders",
        "Show the providers",
        scope="read",
        answers={200: answer(told, ProviderListAnswer, PROVIDERS), **errors(400)},
    )


def _order(verb: str, summary: str) -> Part:
    return operation(
        f"{verb}Provider",
        summary,
        scope="admin",
        parameters=[_NAME],
        body=body_of(NoneIn, NOTHING, required=False),
        answers={
            200: answer("How it is after that.", ProviderAnswer, PROVIDER),
            **errors(404),
        },
    )


def _explain() -> Part:
    return operation(
        "explainRouting",
        "Say where an email would go now, and why not elsewhere",
        scope="send",
        body=body_of(EmailIn, NEW_EMAILS),
        answers={200: answer("Nothing is stored or sent.", RoutingAnswer, ROUTING)},
    )
