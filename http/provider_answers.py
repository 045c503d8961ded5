"""What is said of providers: how they do, and where an email would go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from ..domain.routing import BreakerState, Choice, Why
from ..services.providers import ProviderStatus
from .answers import Answer, Instant


class WindowAnswer(Answer):
    """The calls that its breaker counts now."""

    calls: int
    failures: int = Field(description="Calls that failed or were slow.")
    failure_rate: float | None = Field(
        description="Which part of the calls; null while there are none.",
    )
    p50_ms: int | None = Field(
        description="What half of the calls did not exceed, to within a class.",
    )
    p95_ms: int | None = Field(
        description="What 95 of 100 calls did not exceed, to within a class.",
    )


class ProviderAnswer(Answer):
    """One configured provider."""

    object: Literal["provider"] = "provider"
    name: str
    breaker: BreakerState
    retry_at: Instant | None = Field(
        description="While its breaker is open: when the next probe may go there.",
    )
    resume_at: Instant | None = Field(
        description="The provider asked for a pause until then.",
    )
    drained: bool
    window: WindowAnswer
    rate_per_s: float = Field(description="Calls a second, lately.")
    refuses_from: list[str] = Field(
        description="From domains that it refused within the last ten minutes.",
    )
    queued: int | None = Field(
        description=(
            "Messages in its queues: on their way to a worker, in hand, or waiting "
            "for a delay. Null if Redis did not tell."
        ),
    )
    parked: int | None = Field(
        description="Emails that wait for it. Null if the store did not tell.",
    )


class ProviderListAnswer(Answer):
    """All configured providers, the one to prefer first."""

    object: Literal["list"] = "list"
    has_more: bool = False
    data: list[ProviderAnswer]


class VerdictAnswer(Answer):
    """What routing says of one provider for this email."""

    provider: str
    why: Why
    until: Instant | None = Field(description="When that ends, where it is known.")


class RoutingAnswer(Answer):
    """Where an email would go now, and why not elsewhere."""

    object: Literal["routing"] = "routing"
    carriable: bool = Field(
        description="Whether waiting can help; if not, a POST of it is refused or it "
        "would fail.",
    )
    provider: str | None = Field(description="Where it would go now.")
    probes: list[str] = Field(
        description="Providers whose breaker waits for a probe: it may be that first.",
    )
    wait_until: Instant | None = Field(
        description="Without a provider: when to look again.",
    )
    waiting_for: list[str] = Field(
        description="Without a provider: whose return would let it go.",
    )
    verdicts: list[VerdictAnswer]


def provider_list(statuses: Iterable[ProviderStatus]) -> ProviderListAnswer:
    """Return how all providers do."""
    return ProviderListAnswer(data=[provider_answer(status) for status in statuses])


def provider_answer(status: ProviderStatus) -> ProviderAnswer:
    """Return how one provider does."""
    view, health = status.view, status.view.health
    return ProviderAnswer(
        name=status.name,
        breaker=health.state,
        retry_at=health.retry_at,
        resume_at=health.resume_at,
        drained=health.drained,
        window=WindowAnswer(
            calls=view.calls,
            failures=view.failures,
            failure_rate=round(view.failures / view.calls, 3) if view.calls else None,
            p50_ms=view.p50_ms,
            p95_ms=view.p95_ms,
        ),
        rate_per_s=view.rate_per_s,
        refuses_from=sorted(health.refuses_from),
        queued=status.queued,
        parked=status.parked,
    )


def routing_answer(choice: Choice) -> RoutingAnswer:
    """Return where an email would go."""
    return RoutingAnswer(
        carriable=choice.provider is not None or choice.wait_until is not None,
        provider=choice.provider,
        probes=list(choice.probes),
        wait_until=choice.wait_until,
        waiting_for=list(choice.waiting_for),
        verdicts=[
            VerdictAnswer(provider=each.provider, why=each.why, until=each.until)
            for each in choice.verdicts
        ],
    )
