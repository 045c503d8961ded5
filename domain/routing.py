"""Which provider may have an email next, and why no other: one function for all.

The router routes by it, the API explains by it, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .email import Delivery, Routing
from .policy import LONGEST_OFFER_WAIT


class BreakerState(StrEnum):
    """Closed: calls pass. Open: refused. Half-open: one is let through to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProfile:
    """What a configured provider can carry at all.

    Attributes:
        name: Its key in the settings, as in ``sendgrid`` or ``backup``.
        kind: Which adapter it is.
        max_size_bytes: Largest decoded email.
        max_recipients: Most recipients of one email.
        max_attachments: Most attachments, or ``None`` for no limit.
        splits_recipients: Whether envelope and headers are separate, so that a part
            of the recipients can be tried again without the others seeing it.
        key_ttl_s: How long it honours an idempotency key, in seconds; 0 for never.
        only_pinned: It takes what is pinned to it and nothing else, and is no choice
            for any other email.
    """

    name: str
    kind: str
    max_size_bytes: int
    max_recipients: int
    max_attachments: int | None = None
    splits_recipients: bool = False
    key_ttl_s: int = 0
    only_pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a provider does, as last seen by this process.

    Attributes:
        state: The breaker's state.
        retry_at: While not closed: when the next probe may be let through.
        resume_at: Paused until then, as the provider asked (429).
        drained: An operator took it out of use.
        refuses_from: From domains it refused lately, each with the end of that memory.
    """

    state: BreakerState = BreakerState.CLOSED
    retry_at: datetime | None = None
    resume_at: datetime | None = None
    drained: bool = False
    refuses_from: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of an email's history matters to routing; a hint can carry it.

    Attributes:
        tries: Attempts of the current round, by provider.
        excluded: Providers that refused this email's From since the last redrive.
        unbuildable: Providers that found they could not make a request of it.
        resting: When each provider that was tried may have this email again.
        part_sent: Some recipients have it: the others must get it without those
            seeing it again.
        redriven: An operator has had something mended: what providers refused to
            others lately is no reason against it.
        bound_to: The only provider that may have it, since it may be out there and
            a repetition there does no harm.
        bound_until: When that ends: the life of its idempotency key.
    """

    tries: Mapping[str, int] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    unbuildable: frozenset[str] = frozenset()
    resting: Mapping[str, datetime] = field(default_factory=dict)
    part_sent: bool = False
    redriven: bool = False
    bound_to: str | None = None
    bound_until: datetime | None = None


class Why(StrEnum):
    """Why a provider is, or is not, the one."""

    CHOSEN = "chosen"
    #: Could have it, but another goes first.
    NOT_FIRST = "not_first"
    PINNED_ELSEWHERE = "pinned_elsewhere"
    #: It takes only what is pinned to it.
    NOT_PINNED = "not_pinned"
    TOO_LARGE = "too_large"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    TOO_MANY_ATTACHMENTS = "too_many_attachments"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    UNBUILDABLE = "unbuildable"
    #: Part of its recipients have it, and here the others would not go alone.
    CANNOT_SPLIT = "cannot_split"
    #: It may be out at another provider, which alone can repeat it without harm.
    BOUND_ELSEWHERE = "bound_elsewhere"
    #: It may be out here, and its idempotency key is too old to repeat it.
    KEY_SPENT = "key_spent"
    BREAKER_OPEN = "breaker_open"
    PAUSED = "paused"
    DRAINED = "drained"
    #: This email has just failed there and is to come back later.
    BACKING_OFF = "backing_off"


#: Reasons that no waiting mends.
INELIGIBLE = frozenset(
    {
        Why.PINNED_ELSEWHERE,
        Why.NOT_PINNED,
        Why.TOO_LARGE,
        Why.TOO_MANY_RECIPIENTS,
        Why.TOO_MANY_ATTACHMENTS,
        Why.SENDER_NOT_ALLOWED,
        Why.UNBUILDABLE,
        Why.CANNOT_SPLIT,
        Why.BOUND_ELSEWHERE,
        Why.KEY_SPENT,
    },
)

#: Reasons that pass: the email waits for them.
TEMPORARY = frozenset(
    {Why.BREAKER_OPEN, Why.PAUSED, Why.DRAINED, Why.BACKING_OFF},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What routing says of one provider for one email.

    Attributes:
        until: When this reason ends, where that is known.
    """

    provider: str
    why: Why
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where an email goes now.

    Attributes:
        provider: The one to hand it to, or ``None`` if none can have it now.
        probes: Open providers that are due for a probe and come before ``provider``,
            the one to prefer first: whoever wins the right to probe goes there.
        wait_until: With no provider: when to look again; ``None`` if nothing can
            ever carry it.
        waiting_for: With no provider: whose return would release it. Empty if it
            only waits for the end of its own back-off.
        verdicts: One of each provider that could be chosen, in order of preference.
    """

    provider: str | None
    probes: tuple[str, ...] = ()
    wait_until: datetime | None = None
    waiting_for: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def judge(
    profile: ProviderProfile,
    health: Health,
    routing: Routing,
    standing: Standing,
    *,
    pin: str | None,
    now: datetime,
) -> Verdict | None:
    """Return why a provider cannot have an email now, or ``None`` if it can.

    What no waiting mends is said before what passes.
    """
    why = _ineligible(profile, routing, pin) or _unfit(profile, standing, now)
    if why is not None:
        return Verdict(provider=profile.name, why=why)
    refused_until = health.refuses_from.get(routing.from_domain)
    is_remembered = refused_until is not None and refused_until > now
    if profile.name in standing.excluded or (is_remembered and not standing.redriven):
        return Verdict(
            provider=profile.name,
            why=Why.SENDER_NOT_ALLOWED,
            until=refused_until,
        )
    away = _away(profile.name, health, now)
    rest = standing.resting.get(profile.name)
    if rest is None or rest <= now:
        return away
    # Said before the provider's own trouble: such an email is no good as its probe.
    until = max(rest, away.until) if away and away.until else rest
    return Verdict(provider=profile.name, why=Why.BACKING_OFF, until=until)


def is_able(profile: ProviderProfile, routing: Routing, *, pin: str | None) -> bool:
    """Return whether a provider could carry an email that nothing has happened to."""
    return _ineligible(profile, routing, pin) is None


def choose_provider(
    profiles: Sequence[ProviderProfile],
    health: Mapping[str, Health],
    routing: Routing,
    standing: Standing,
    *,
    pin: str | None,
    delivery: Delivery,
    now: datetime,
) -> Choice:
    """Decide where an email goes now.

    Of the providers that can have it, the one with the fewest attempts in this
    round goes first, then the one that stands first in the settings. An open one
    whose time has come is offered as a probe if it would go before that; an email
    that must not go out twice is a probe only when nothing else can carry it, since
    a probe is the likeliest attempt to end unknown.

    Args:
        profiles: The configured providers, in order of preference.
        health: Of each of them; a missing one counts as healthy.
        routing: The email's facts.
        standing: Its attempts in this round.
        pin: The only provider that the client allows, if any.
        delivery: The email's preference.
        now: The store's time.

    Returns:
        A choice with one verdict of every provider that is a choice for this email.
    """
    verdicts: dict[str, Verdict | None] = {
        profile.name: judge(
            profile,
            health.get(profile.name, Health()),
            routing,
            standing,
            pin=pin,
            now=now,
        )
        for profile in profiles
        if not profile.only_pinned or profile.name == pin
    }

    order = {name: place for place, name in enumerate(verdicts)}

    def rank(name: str) -> tuple[int, int]:
        return standing.tries.get(name, 0), order[name]

    able = [name for name, verdict in verdicts.items() if verdict is None]
    best = min(able, key=rank, default=None)
    ripe = [name for name, verdict in verdicts.items() if _is_ripe(verdict, now)]
    probes = sorted(ripe, key=rank)
    if best is not None:
        is_careful = delivery is Delivery.AT_MOST_ONCE
        first = rank(best)
        probes = [] if is_careful else [n for n in probes if rank(n) < first]
    return _choice(verdicts, best, tuple(probes), now)


def _is_ripe(verdict: Verdict | None, now: datetime) -> bool:
    """Return whether an open provider's time for a probe has come."""
    if verdict is None or verdict.why is not Why.BREAKER_OPEN:
        return False
    return verdict.until is None or verdict.until <= now


def _choice(
    verdicts: Mapping[str, Verdict | None],
    best: str | None,
    probes: tuple[str, ...],
    now: datetime,
) -> Choice:
    told = tuple(
        verdict
        or Verdict(provider=name, why=Why.CHOSEN if name == best else Why.NOT_FIRST)
        for name, verdict in verdicts.items()
    )
    waiting = [v for v in told if v.why in TEMPORARY]
    return Choice(
        provider=best,
        probes=probes,
        wait_until=(
            min(max(v.until or now + LONGEST_OFFER_WAIT, now) for v in waiting)
            if best is None and waiting
            else None
        ),
        waiting_for=(
            tuple(v.provider for v in waiting if v.why is not Why.BACKING_OFF)
            if best is None
            else ()
        ),
        verdicts=told,
    )


def _ineligible(
    profile: ProviderProfile,
    routing: Routing,
    pin: str | None,
) -> Why | None:
    if pin is not None and pin != profile.name:
        return Why.PINNED_ELSEWHERE
    if pin is None and profile.only_pinned:
        return Why.NOT_PINNED
    if routing.size_bytes > profile.max_size_bytes:
        return Why.TOO_LARGE
    if routing.recipients > profile.max_recipients:
        return Why.TOO_MANY_RECIPIENTS
    most = profile.max_attachments
    if most is not None and routing.attachments > most:
        return Why.TOO_MANY_ATTACHMENTS
    return None


def _unfit(profile: ProviderProfile, standing: Standing, now: datetime) -> Why | None:
    """Return why a provider may not have an email after what happened to it so far."""
    if standing.bound_to not in {None, profile.name}:
        return Why.BOUND_ELSEWHERE
    if standing.bound_to is not None and not _lives(standing.bound_until, now):
        return Why.KEY_SPENT
    if standing.part_sent and not profile.splits_recipients:
        return Why.CANNOT_SPLIT
    return Why.UNBUILDABLE if profile.name in standing.unbuildable else None


def _lives(until: datetime | None, now: datetime) -> bool:
    return until is not None and now <= until


def _away(name: str, health: Health, now: datetime) -> Verdict | None:
    if health.drained:
        return Verdict(provider=name, why=Why.DRAINED)
    if health.resume_at is not None and health.resume_at > now:
        return Verdict(provider=name, why=Why.PAUSED, until=health.resume_at)
    if health.state is not BreakerState.CLOSED:
        return Verdict(provider=name, why=Why.BREAKER_OPEN, until=health.retry_at)
    return None
