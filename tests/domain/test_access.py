"""What a key allows, and what it makes of an email."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.access import (
    HIGHEST_RATE,
    LARGEST_BURST,
    TEST_PROVIDER,
    Access,
    Rate,
    Scope,
    digest_of,
    has_shape,
    read_domains,
    read_scopes,
)
from postroom.domain.email import Address
from postroom.domain.errors import InvalidValueError, SenderForbiddenError
from tests.builders import a_content, a_key, a_new_email


def an_access(*scopes: Scope, **given: Any) -> Access:
    return Access(scopes=frozenset(scopes), **given)


@pytest.mark.parametrize(
    ("scope", "allows"),
    [
        (Scope.SEND, {Scope.SEND}),
        (Scope.READ, {Scope.READ}),
        (Scope.ADMIN, {Scope.SEND, Scope.READ, Scope.ADMIN}),
    ],
)
def test_a_scope_allows_itself_and_admin_all(scope: Scope, allows: set[Scope]) -> None:
    access = an_access(scope)

    assert {each for each in Scope if access.may(each)} == allows


def test_a_key_without_a_list_sends_from_anywhere() -> None:
    assert an_access(Scope.SEND).may_send_from("acme.example")


@pytest.mark.parametrize(
    ("domain", "may"),
    [
        ("acme.example", True),
        ("ACME.example", True),
        ("mail.acme.example", False),
        ("notacme.example", False),
        ("example", False),
        ("", False),
    ],
)
def test_a_key_with_a_list_sends_from_these_domains_only(
    domain: str, may: bool
) -> None:
    access = an_access(Scope.SEND, from_domains=frozenset({"acme.example"}))

    assert access.may_send_from(domain) is may


def test_an_email_becomes_the_owners_whoever_it_says() -> None:
    new = an_access(Scope.SEND, owner="acme").admit(a_new_email(owner="other"))

    assert new == a_new_email(owner="acme")


def test_an_email_from_elsewhere_is_forbidden() -> None:
    access = an_access(Scope.SEND, from_domains=frozenset({"b.example", "a.example"}))

    with pytest.raises(SenderForbiddenError) as caught:
        access.admit(a_new_email())

    assert caught.value.allowed == ("a.example", "b.example")
    assert caught.value.domain == "acme.example"
    assert str(caught.value) == "this key may only send from a.example, b.example"


@given(st.text(max_size=80), st.frozensets(st.sampled_from(["a.example", "b.example"])))
def test_nothing_gets_past_the_list(domain: str, allowed: frozenset[str]) -> None:
    sender = Address(addr_spec=f"x@{domain}")
    access = an_access(Scope.SEND, from_domains=allowed)

    try:
        access.admit(a_new_email(content=a_content(sender=sender)))
    except SenderForbiddenError:
        passed = False
    else:
        passed = True

    assert passed is (not allowed or sender.domain in allowed)


@pytest.mark.parametrize("pin", [None, "sendgrid", TEST_PROVIDER])
def test_a_test_email_can_go_to_the_sandbox_only(pin: str | None) -> None:
    access = an_access(Scope.SEND, is_test=True)

    assert access.admit(a_new_email(provider=pin)).provider == TEST_PROVIDER


def test_a_live_email_keeps_its_provider() -> None:
    new = an_access(Scope.SEND).admit(a_new_email(provider="sendgrid"))

    assert new.provider == "sendgrid"


def test_a_key_gives_its_access() -> None:
    domains, rate = frozenset({"a.example"}), Rate.of(5)
    key = a_key(owner="acme", from_domains=domains, rate=rate)

    assert key.access == Access(
        owner="acme",
        scopes=frozenset({Scope.ADMIN}),
        from_domains=domains,
        key_id="key_1",
        rate=rate,
    )


def test_test_email_is_of_an_owner_that_no_key_can_name() -> None:
    key = a_key(owner="acme", is_test=True, scopes=frozenset({Scope.SEND}))

    assert key.access.owner == "test:acme"
    with pytest.raises(InvalidValueError):
        a_key(owner="test:acme")


@pytest.mark.parametrize(
    "fields",
    [
        {"owner": ""},
        {"owner": "a b"},
        {"owner": "a" * 65},
        {"owner": "a\n"},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\x1b[31m"},
        {"scopes": frozenset()},
        {"is_test": True, "scopes": frozenset({Scope.ADMIN})},
    ],
    ids=str,
)
def test_a_key_that_is_no_key_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        a_key(**fields)


def test_a_key_knows_its_secret_and_does_not_show_it() -> None:
    key = a_key("pr_live_" + "s" * 43)

    assert key.is_of(digest_of("pr_live_" + "s" * 43))
    assert not key.is_of(digest_of("pr_live_" + "t" * 43))
    assert str(key.digest) not in repr(key)
    assert key.digest.hex() not in repr(key)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "pr_live_",
        "pr_live_" + "a" * 42,
        "pr_live_" + "a" * 44,
        "pr_prod_" + "a" * 43,
        "xpr_live_" + "a" * 43,
        "pr_live_" + "a" * 42 + "\n",
        "pr_live_" + "\u00e9" * 43,
        "\ud800",
    ],
)
def test_what_is_no_key_does_not_look_like_one(secret: str) -> None:
    assert not has_shape(secret)
    assert len(digest_of(secret)) == 32


@pytest.mark.parametrize(
    ("per_s", "burst"),
    [
        (0, 1),
        (float("nan"), 1),
        (float("inf"), 1),
        (HIGHEST_RATE + 1, 1),
        (1, 0),
        (1, LARGEST_BURST + 1),
    ],
)
def test_a_rate_is_bounded(per_s: float, burst: int) -> None:
    with pytest.raises(InvalidValueError):
        Rate(per_s=per_s, burst=burst)


@pytest.mark.parametrize(
    ("per_s", "burst"), [(10, 20), (0.01, 1), (0.5, 1), (HIGHEST_RATE, LARGEST_BURST)]
)
def test_a_burst_is_what_two_seconds_allow(per_s: float, burst: int) -> None:
    assert Rate.of(per_s) == Rate(per_s=per_s, burst=burst)
    assert Rate.of(per_s, 7) == Rate(per_s=per_s, burst=7)


def test_scopes_are_read_in_any_case() -> None:
    assert read_scopes([" Send", "read"]) == {Scope.SEND, Scope.READ}


@pytest.mark.parametrize("words", [["sned"], [""], ["send", "all"]])
def test_a_word_that_is_no_scope_is_refused(words: list[str]) -> None:
    with pytest.raises(InvalidValueError, match="send, read, admin"):
        read_scopes(words)


@pytest.mark.parametrize("text", ["", "localhost", "a@b.example", "*.a.example"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="must be a domain"):
        read_domains([text])
