"""What load balancers, monitors and readers ask, as the OpenAPI document has it."""

from __future__ import annotations

from .answers import HealthAnswer, ReadyAnswer
from .examples import HEALTH, READY
from .openapi_parts import Family, Part, Paths, answer, operation
from .options import Options


def _describe(_options: Options) -> Paths:
    return {
        "/health": {"get": _health("health"), "head": _health("headHealth")},
        "/ready": {"get": _ready("ready"), "head": _ready("headReady")},
        "/openapi.json": {"get": _document("openapi")},
        "/api/openapi.json": {"get": _document("openapiOlder")},
        "/metrics": {"get": _metrics()},
    }


SERVICE = Family(
    name="Service",
    description="For load balancers and monitors.",
    answered=(HealthAnswer, ReadyAnswer),
    describe=_describe,
)


def _health(name: str) -> Part:
    return operation(
        name,
        "Say who is there",
        scope=None,
        answers={200: answer("It is there.", HealthAnswer, HEALTH)},
    )


def _ready(name: str) -> Part:
    accepted = answer(
        "Mail is accepted; `degraded` only delays it.",
        ReadyAnswer,
        READY,
    )
    refused = answer(
        "Mail cannot be stored now.",
        ReadyAnswer,
        {**READY, "ready": False},
    )
    return operation(
        name,
        "Say whether mail is accepted",
        scope=None,
        answers={200: accepted, 503: refused},
    )


def _document(name: str) -> Part:
    media = {"application/json": {"schema": {"type": "object"}}}
    return operation(
        name,
        "This document",
        scope=None,
        answers={200: {"description": "OpenAPI 3.1.", "content": media}},
    )


def _metrics() -> Part:
    # Two forms of text, by the Accept header.
    media = {"text/plain": {"schema": {"type": "string"}}}
    shown = {
        "description": "What Prometheus reads, in the form that it asks for.",
        "content": media,
    }
    part = operation(
        "metrics",
        "Show all metrics",
        scope="admin",
        answers={200: shown},
    )
    part["security"].append({"monitor": []})
    return part
