"""Which provider an email goes to, and why to no other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.email import Delivery, Routing
from postroom.domain.policy import LONGEST_OFFER_WAIT
from postroom.domain.routing import (
    INELIGIBLE,
    TEMPORARY,
    BreakerState,
    Choice,
    Health,
    ProviderProfile,
    Standing,
    Why,
    choose_provider,
    judge,
)
from tests.builders import (
    ALPHA,
    BETA,
    GAMMA,
    NOW,
    a_profile,
    a_routing,
    an_open_breaker,
    at,
)

PROFILES = (a_profile(ALPHA), a_profile(BETA))


def chosen(
    health: Mapping[str, Health] | None = None,
    standing: Standing | None = None,
    *,
    profiles: Sequence[ProviderProfile] = PROFILES,
    routing: Routing | None = None,
    pin: str | None = None,
    delivery: Delivery = Delivery.AT_LEAST_ONCE,
) -> Choice:
    return choose_provider(
        profiles,
        health or {},
        routing or a_routing(),
        standing or Standing(),
        pin=pin,
        delivery=delivery,
        now=NOW,
    )


def whys(choice: Choice) -> dict[str, str]:
    return {verdict.provider: verdict.why.value for verdict in choice.verdicts}


class TestOrder:
    def test_the_first_of_the_settings_goes_first(self) -> None:
        choice = chosen()

        assert choice.provider == ALPHA
        assert whys(choice) == {ALPHA: "chosen", BETA: "not_first"}
        assert choice.wait_until is None

    def test_fewer_attempts_in_the_round_go_before_preference(self) -> None:
        assert chosen(standing=Standing(tries={ALPHA: 1})).provider == BETA

    def test_equal_attempts_leave_the_order_of_the_settings(self) -> None:
        standing = Standing(tries={ALPHA: 2, BETA: 2})

        assert chosen(standing=standing).provider == ALPHA

    def test_a_pinned_email_goes_nowhere_else(self) -> None:
        choice = chosen({BETA: an_open_breaker()}, pin=BETA)

        assert choice.provider is None
        assert choice.waiting_for == (BETA,)
        assert whys(choice)[ALPHA] == "pinned_elsewhere"


class TestJudge:
    @pytest.mark.parametrize(
        ("given_", "why"),
        [
            pytest.param({"pin": BETA}, Why.PINNED_ELSEWHERE, id="pinned"),
            pytest.param(
                {"routing": a_routing(size_bytes=1_000_001)}, Why.TOO_LARGE, id="size"
            ),
            pytest.param(
                {"routing": a_routing(recipients=51)},
                Why.TOO_MANY_RECIPIENTS,
                id="recipients",
            ),
            pytest.param(
                {
                    "routing": a_routing(attachments=1),
                    "profile": a_profile(max_attachments=0),
                },
                Why.TOO_MANY_ATTACHMENTS,
                id="attachments",
            ),
            pytest.param(
                {"standing": Standing(unbuildable=frozenset({ALPHA}))},
                Why.UNBUILDABLE,
                id="unbuildable",
            ),
            pytest.param(
                {"standing": Standing(excluded=frozenset({ALPHA}))},
                Why.SENDER_NOT_ALLOWED,
                id="refused-this-email",
            ),
            pytest.param(
                {"health": Health(refuses_from={"acme.example": at(1)})},
                Why.SENDER_NOT_ALLOWED,
                id="refused-another-of-this-domain",
            ),
            pytest.param({"health": Health(drained=True)}, Why.DRAINED, id="drained"),
            pytest.param({"health": Health(resume_at=at(1))}, Why.PAUSED, id="paused"),
            pytest.param({"health": an_open_breaker()}, Why.BREAKER_OPEN, id="open"),
            pytest.param(
                {"health": Health(state=BreakerState.HALF_OPEN)},
                Why.BREAKER_OPEN,
                id="half-open",
            ),
            pytest.param(
                {"standing": Standing(resting={ALPHA: at(1)})},
                Why.BACKING_OFF,
                id="backing-off",
            ),
        ],
    )
    def test_each_reason_is_named(self, given_: dict[str, Any], why: Why) -> None:
        verdict = judged(**given_)

        assert verdict is not None
        assert verdict.why is why

    @pytest.mark.parametrize(
        "given_",
        [
            pytest.param({"routing": a_routing(size_bytes=1_000_000)}, id="size"),
            pytest.param({"routing": a_routing(attachments=99)}, id="no-limit"),
            pytest.param({"pin": ALPHA}, id="pinned-here"),
            pytest.param({"health": Health(resume_at=NOW)}, id="pause-is-over"),
            pytest.param(
                {"health": Health(refuses_from={"acme.example": NOW})},
                id="memory-is-over",
            ),
            pytest.param(
                {"health": Health(refuses_from={"other.example": at(9)})},
                id="another-domain",
            ),
            pytest.param({"standing": Standing(resting={ALPHA: NOW})}, id="rested"),
        ],
    )
    def test_what_has_passed_or_is_just_within_is_no_reason(
        self, given_: dict[str, Any]
    ) -> None:
        assert judged(**given_) is None

    def test_what_no_waiting_mends_is_said_first(self) -> None:
        verdict = judged(
            health=Health(drained=True), standing=Standing(excluded=frozenset({ALPHA}))
        )

        assert verdict is not None
        assert verdict.why is Why.SENDER_NOT_ALLOWED

    def test_an_email_in_its_back_off_waits_for_the_breaker_too(self) -> None:
        verdict = judged(
            health=an_open_breaker(retry_at=at(30)),
            standing=Standing(resting={ALPHA: at(9)}),
        )

        assert verdict is not None
        assert (verdict.why, verdict.until) == (Why.BACKING_OFF, at(30))

    def test_no_reason_is_both_for_ever_and_passing(self) -> None:
        assert not INELIGIBLE & TEMPORARY
        assert set(Why) - {Why.CHOSEN, Why.NOT_FIRST} == INELIGIBLE | TEMPORARY


def judged(**given_: Any) -> Any:
    return judge(
        given_.get("profile", a_profile()),
        given_.get("health", Health()),
        given_.get("routing", a_routing()),
        given_.get("standing", Standing()),
        pin=given_.get("pin"),
        now=NOW,
    )


class TestWaiting:
    def test_the_first_that_comes_back_ends_the_wait(self) -> None:
        choice = chosen(
            {ALPHA: an_open_breaker(retry_at=at(30)), BETA: Health(resume_at=at(20))}
        )

        assert choice.provider is None
        assert choice.wait_until == at(20)
        assert choice.waiting_for == (ALPHA, BETA)

    def test_without_a_known_end_it_is_looked_at_again_in_15_minutes(self) -> None:
        choice = chosen(dict.fromkeys((ALPHA, BETA), Health(drained=True)))

        assert choice.wait_until == NOW + LONGEST_OFFER_WAIT

    def test_an_end_that_has_passed_means_now(self) -> None:
        choice = chosen(dict.fromkeys((ALPHA, BETA), an_open_breaker(retry_at=at(-5))))

        assert choice.wait_until == NOW

    def test_it_does_not_wait_for_who_can_never_carry_it(self) -> None:
        choice = chosen(
            {ALPHA: an_open_breaker()},
            Standing(excluded=frozenset({BETA})),
        )

        assert choice.waiting_for == (ALPHA,)

    def test_its_own_back_off_is_nobodys_return(self) -> None:
        choice = chosen({ALPHA: an_open_breaker()}, Standing(resting={BETA: at(5)}))

        assert choice.waiting_for == (ALPHA,)
        assert choice.wait_until == at(5)

    def test_nobody_can_ever_carry_it(self) -> None:
        choice = chosen(routing=a_routing(recipients=99))

        assert choice.provider is None
        assert choice.wait_until is None
        assert choice.waiting_for == ()

    def test_without_providers_nobody_can(self) -> None:
        assert chosen(profiles=()).wait_until is None

    def test_a_provider_that_rests_is_passed_over(self) -> None:
        """One that asked for an hour must not keep the email from the other."""
        standing = Standing(tries={BETA: 2}, resting={ALPHA: at(3600)})

        assert chosen(standing=standing).provider == BETA


class TestProbe:
    RIPE = an_open_breaker(retry_at=NOW)

    def test_an_open_provider_is_probed_when_its_time_has_come(self) -> None:
        choice = chosen({ALPHA: self.RIPE})

        assert (choice.probes, choice.provider) == ((ALPHA,), BETA)

    def test_not_before_its_time(self) -> None:
        assert chosen({ALPHA: an_open_breaker(retry_at=at(1))}).probes == ()

    def test_a_time_that_nobody_knows_has_come(self) -> None:
        health = Health(state=BreakerState.HALF_OPEN)

        assert chosen({ALPHA: health}).probes == (ALPHA,)

    def test_one_that_would_not_go_first_is_not_probed(self) -> None:
        assert chosen({BETA: self.RIPE}).probes == ()

    def test_one_with_more_attempts_is_not_probed(self) -> None:
        standing = Standing(tries={ALPHA: 1})

        assert chosen({ALPHA: self.RIPE}, standing).probes == ()

    def test_with_nobody_else_it_is_probed_and_waited_for(self) -> None:
        choice = chosen({ALPHA: self.RIPE, BETA: an_open_breaker()})

        assert choice.probes == (ALPHA,)
        assert choice.wait_until == NOW

    def test_with_nobody_else_all_whose_time_has_come_may_be_probed(self) -> None:
        choice = chosen({ALPHA: self.RIPE, BETA: self.RIPE}, Standing(tries={ALPHA: 1}))

        assert choice.probes == (BETA, ALPHA)

    def test_a_drained_one_is_never_probed(self) -> None:
        health = Health(state=BreakerState.OPEN, retry_at=NOW, drained=True)

        assert chosen({ALPHA: health}).probes == ()

    @pytest.mark.parametrize(
        ("beta", "probes"),
        [
            pytest.param(Health(), (), id="somebody-else-can"),
            pytest.param(an_open_breaker(), (ALPHA,), id="nobody-else-can"),
        ],
    )
    def test_an_email_that_must_not_go_out_twice_is_the_last_to_probe(
        self, beta: Health, probes: tuple[str, ...]
    ) -> None:
        choice = chosen({ALPHA: self.RIPE, BETA: beta}, delivery=Delivery.AT_MOST_ONCE)

        assert choice.probes == probes


NAMES = st.sampled_from([ALPHA, BETA, GAMMA])
INSTANTS = st.sampled_from([at(-60), NOW, at(60)])
HEALTH = st.builds(
    Health,
    state=st.sampled_from(BreakerState),
    retry_at=st.none() | INSTANTS,
    resume_at=st.none() | INSTANTS,
    drained=st.booleans(),
    refuses_from=st.dictionaries(st.sampled_from(["acme.example", "x"]), INSTANTS),
)
STANDING = st.builds(
    Standing,
    tries=st.dictionaries(NAMES, st.integers(0, 3)),
    excluded=st.frozensets(NAMES, max_size=2),
    unbuildable=st.frozensets(NAMES, max_size=1),
    resting=st.dictionaries(NAMES, INSTANTS),
)
PROFILE = st.builds(
    ProviderProfile,
    name=NAMES,
    kind=st.just("sandbox"),
    max_size_bytes=st.sampled_from([1, 1000]),
    max_recipients=st.sampled_from([1, 50]),
    max_attachments=st.none() | st.integers(0, 1),
)


@given(
    profiles=st.lists(PROFILE, max_size=3, unique_by=lambda profile: profile.name),
    health=st.dictionaries(NAMES, HEALTH),
    standing=STANDING,
    routing=st.builds(
        Routing,
        from_domain=st.just("acme.example"),
        size_bytes=st.sampled_from([1, 1000]),
        recipients=st.sampled_from([1, 50]),
        attachments=st.integers(0, 1),
    ),
    pin=st.none() | NAMES,
    delivery=st.sampled_from(Delivery),
)
def test_whatever_the_facts_a_choice_is_sound(
    profiles: list[ProviderProfile],
    health: dict[str, Health],
    standing: Standing,
    routing: Routing,
    pin: str | None,
    delivery: Delivery,
) -> None:
    choice = chosen(
        health,
        standing,
        profiles=profiles,
        routing=routing,
        pin=pin,
        delivery=delivery,
    )

    said = {verdict.provider: verdict for verdict in choice.verdicts}
    verdicts = {
        profile.name: judge(
            profile,
            health.get(profile.name, Health()),
            routing,
            standing,
            pin=pin,
            now=NOW,
        )
        for profile in profiles
    }
    assert list(said) == [profile.name for profile in profiles]
    if choice.provider is not None:
        assert verdicts[choice.provider] is None
        assert said[choice.provider].why is Why.CHOSEN
        assert choice.wait_until is None
        assert choice.waiting_for == ()
    else:
        assert None not in verdicts.values()
        may_pass = [v for v in verdicts.values() if v and v.why in TEMPORARY]
        assert (choice.wait_until is not None) is bool(may_pass)
    for probe in choice.probes:
        probed = verdicts[probe]
        assert probed is not None
        assert probed.why is Why.BREAKER_OPEN
        assert probed.until is None or probed.until <= NOW
    assert all(said[name].why in TEMPORARY for name in choice.waiting_for)
    assert wait_is_not_in_the_past(choice.wait_until)


def wait_is_not_in_the_past(wait_until: datetime | None) -> bool:
    return wait_until is None or NOW <= wait_until <= NOW + LONGEST_OFFER_WAIT


# A provider that takes only what is pinned to it


def test_it_is_no_choice_for_other_email() -> None:
    profiles = (a_profile(ALPHA), a_profile(BETA, only_pinned=True))

    choice = chosen(profiles=profiles)

    assert choice.provider == ALPHA
    assert [verdict.provider for verdict in choice.verdicts] == [ALPHA]


def test_it_is_the_only_choice_for_what_is_pinned_to_it() -> None:
    profiles = (a_profile(ALPHA), a_profile(BETA, only_pinned=True))

    choice = chosen(profiles=profiles, pin=BETA)

    assert choice.provider == BETA
    assert whys(choice) == {ALPHA: Why.PINNED_ELSEWHERE, BETA: Why.CHOSEN}
