"""What a queue message carries, and what it must not."""

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.email import Delivery, Priority, Routing
from postroom.domain.errors import InvalidValueError
from postroom.domain.hint import Hint, router_actor, router_queue, send_queue
from postroom.domain.routing import Standing
from tests.builders import (
    ALPHA,
    BETA,
    REFUSED_FOR_NOW,
    a_hint,
    a_recipient,
    an_attempt,
    an_email,
    at,
    everything_set,
)

NAMES = st.text(max_size=8)
COUNTS = st.integers(0, 2**40)
ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
HINTS = st.builds(
    Hint,
    email_id=NAMES,
    routing=st.builds(
        Routing,
        from_domain=NAMES,
        size_bytes=COUNTS,
        recipients=COUNTS,
        attachments=COUNTS,
        inline=COUNTS,
        tags=COUNTS,
    ),
    standing=st.builds(
        Standing,
        tries=st.dictionaries(NAMES, COUNTS),
        excluded=st.frozensets(NAMES),
        unbuildable=st.frozensets(NAMES),
        resting=st.dictionaries(NAMES, st.datetimes(timezones=ZONES)),
    ),
    provider=st.none() | NAMES,
    delivery=st.sampled_from(Delivery),
    priority=st.sampled_from(Priority),
    owner=NAMES,
    hops=COUNTS,
    probe=st.booleans(),
)


@given(HINTS)
def test_a_hint_comes_back_from_its_message_as_it_was(hint: Hint) -> None:
    on_the_wire = json.loads(json.dumps(hint.to_message()))

    assert Hint.from_message(on_the_wire) == hint


def test_a_hint_says_where_an_email_stands() -> None:
    email = an_email(provider=ALPHA, attempts=(an_attempt(REFUSED_FOR_NOW),))

    hint = Hint.of(email)

    assert hint.standing == Standing(tries={ALPHA: 1}, resting={ALPHA: at(-1)})
    assert hint.provider == ALPHA
    assert (hint.hops, hint.probe) == (0, False)


def test_a_message_holds_no_address_and_no_text() -> None:
    email = everything_set()

    message = json.dumps(Hint.of(email).to_message())

    assert "@" not in message
    for said in ("Ada", "Hello", "receipt", "a.pdf", "order"):
        assert said not in message


def test_an_address_never_gets_into_a_message_by_the_domain_of_the_sender() -> None:
    email = an_email(recipients=(a_recipient(addr_spec="ada@secret.example"),))

    assert "secret" not in json.dumps(Hint.of(email).to_message())


def test_what_it_does_not_know_is_ignored() -> None:
    hint = a_hint()

    assert Hint.from_message(hint.to_message() | {"from_a_newer_release": 1}) == hint


@pytest.mark.parametrize("field", ["inline", "tags", "resting"])
def test_what_an_older_release_did_not_say_is_nothing(field: str) -> None:
    message = a_hint().to_message()
    del message[field]

    assert Hint.from_message(message) == a_hint()


@pytest.mark.parametrize("version", [None, 0, 2, "1", [1]])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(InvalidValueError, match="v must be 1"):
        Hint.from_message(a_hint().to_message() | {"v": version})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size_bytes", "many"),
        ("hops", float("inf")),
        ("hops", None),
        ("tries", 1),
        ("tries", None),
        ("tries", {"alpha": "x"}),
        ("excluded", 5),
        ("resting", {"alpha": "soon"}),
        ("resting", {"alpha": "2026-01-01T00:00:00"}),
        ("resting", {"alpha": 3}),
        ("delivery", "twice"),
        ("priority", None),
    ],
)
def test_nonsense_in_a_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidValueError, match="not readable"):
        Hint.from_message(a_hint().to_message() | {field: value})


@pytest.mark.parametrize("message", [None, 1, "x", [], {}, {"v": 1}])
def test_what_is_no_hint_is_refused(message: Any) -> None:
    with pytest.raises(InvalidValueError):
        Hint.from_message(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
    ),
    max_leaves=5,
)


@given(st.sampled_from(sorted(a_hint().to_message())), JSON)
def test_garbage_is_read_or_refused_and_nothing_else(field: str, value: Any) -> None:
    with contextlib.suppress(InvalidValueError):
        Hint.from_message(a_hint().to_message() | {field: value})


def test_a_bounce_counts_a_hop_and_is_no_probe() -> None:
    bounced = a_hint(probe=True, hops=1).bounced()

    assert (bounced.hops, bounced.probe) == (2, False)


def test_each_provider_has_a_queue_of_its_own() -> None:
    assert send_queue(ALPHA) == "send.alpha"
    assert send_queue(BETA) != send_queue(ALPHA)


def test_the_plain_names_are_those_of_normal_priority() -> None:
    assert router_queue(Priority.NORMAL) == "router"
    assert router_actor(Priority.NORMAL) == "ProviderRouter"
    assert len({router_queue(each) for each in Priority}) == len(Priority)
    assert len({router_actor(each) for each in Priority}) == len(Priority)
    assert len({send_queue(ALPHA, each) for each in Priority}) == len(Priority)


def test_instants_keep_their_microseconds() -> None:
    instant = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    hint = a_hint(standing=Standing(resting={ALPHA: instant}))

    assert Hint.from_message(hint.to_message()) == hint
