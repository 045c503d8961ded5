"""What the providers' modules share in building a request."""

from collections.abc import Mapping

import pytest

from postroom.adapters.providers.contents import (
    OWN_HEADERS,
    addr_spec_of,
    addressed,
    content_of,
    headers_of,
    labels_of,
)
from postroom.domain.email import Address, Content, Email, RecipientKind, Tag
from postroom.domain.errors import UnbuildableError
from tests.adapters.providers.parts import an_email, bcc, cc, everyone, to


def a_content(**changes: object) -> Content:
    content = an_email(**changes).content  # type: ignore[arg-type]  # a builder's
    assert content is not None
    return content


def addresses(email: Email, positions: range | tuple[int, ...]) -> dict[str, list[str]]:
    return {
        kind.value: [recipient.addr_spec for recipient in chosen]
        for kind, chosen in addressed(email, positions).items()
        if chosen
    }


def test_only_the_recipients_of_the_attempt_are_addressed() -> None:
    email = an_email(
        recipients=[to("a@x.example"), to("b@x.example"), cc("c@x.example")]
    )

    assert addresses(email, (1, 2)) == {"to": ["b@x.example"], "cc": ["c@x.example"]}


def test_an_address_that_comes_twice_is_addressed_once_and_openly() -> None:
    email = an_email(
        recipients=[
            bcc("a@x.example"),
            cc("b@x.example"),
            to("A@x.example"),
            to("b@X.example"),
            bcc("c@x.example"),
        ]
    )

    found = addresses(email, everyone(email))

    assert found == {"to": ["A@x.example", "b@X.example"], "bcc": ["c@x.example"]}


def test_without_a_to_nothing_can_be_built() -> None:
    email = an_email(recipients=[to("a@x.example"), cc("b@x.example")])

    with pytest.raises(UnbuildableError) as caught:
        addressed(email, (1,))

    assert caught.value.field == "to"


@pytest.mark.parametrize(
    "email",
    [
        pytest.param(an_email(text=None), id="neither text nor HTML"),
        pytest.param(an_email(text="", html=""), id="both empty"),
        pytest.param(an_email(content=None), id="erased"),
    ],
)
def test_without_content_nothing_can_be_built(email: Email) -> None:
    with pytest.raises(UnbuildableError) as caught:
        content_of(email)

    assert caught.value.field == "text"


@pytest.mark.parametrize("control", ["\r\n", "\n", "\x00", "\x7f", "\x85", "\u2028"])
def test_control_characters_never_reach_a_header(control: str) -> None:
    bad = f"a{control}Bcc: x@y.example"

    with pytest.raises(UnbuildableError) as subject:
        content_of(an_email(subject=bad))
    with pytest.raises(UnbuildableError) as header:
        headers_of(a_content(headers={"X-A": bad}), reserved=())
    with pytest.raises(UnbuildableError) as name:
        addr_spec_of(Address(addr_spec="a@b.example", display_name=bad), field="from")
    with pytest.raises(UnbuildableError) as addr_spec:
        addr_spec_of(Address(addr_spec=f"a{control}@b.example"), field="to")

    fields = [ex.value.field for ex in (subject, header, name, addr_spec)]
    assert fields == ["subject", "headers", "from", "to"]


def test_international_domains_are_written_in_ascii() -> None:
    found = addr_spec_of(Address(addr_spec="ada@straße.example"), field="to")

    assert found == "ada@xn--strae-oqa.example"


@pytest.mark.parametrize("addr_spec", ["jörg@example.com", "a@\u2603.example", "a@ö"])
def test_an_address_that_cannot_be_ascii_is_refused(addr_spec: str) -> None:
    with pytest.raises(UnbuildableError) as caught:
        addr_spec_of(Address(addr_spec=addr_spec), field="cc")

    assert caught.value.field == "cc"
    assert "@example" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(OWN_HEADERS))
def test_headers_that_say_who_writes_to_whom_are_not_the_clients(name: str) -> None:
    with pytest.raises(UnbuildableError) as caught:
        headers_of(a_content(headers={name.title(): "x"}), reserved=())

    assert caught.value.field == "headers"


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-A\r\nBcc", "X_A", "x" * 65, "Ä"])
def test_a_header_has_a_plain_name(name: str) -> None:
    with pytest.raises(UnbuildableError):
        headers_of(a_content(headers={name: "x"}), reserved=())


def test_a_provider_reserves_headers_of_its_own() -> None:
    headers: Mapping[str, str] = {"X-Mine": "x"}

    assert headers_of(a_content(headers=headers), reserved=()) == headers
    with pytest.raises(UnbuildableError):
        headers_of(a_content(headers=headers), reserved=("x-mi",))


def test_a_tag_is_its_name_and_its_value_once() -> None:
    tags = [
        Tag(name="kind", value="welcome"),
        Tag(name="kind", value="welcome"),
        Tag(name="beta", value=""),
    ]

    found = labels_of(a_content(tags=tags), most=2, longest=20)

    assert found == ["kind:welcome", "beta"]


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param([Tag(name=f"t{n}", value="x") for n in range(3)], id="too many"),
        pytest.param([Tag(name="t", value="x" * 20)], id="too long"),
        pytest.param([Tag(name="t", value="ü")], id="not ASCII"),
        pytest.param([Tag(name="t", value="x\n")], id="two lines"),
    ],
)
def test_tags_that_a_provider_cannot_carry_are_not_dropped(tags: list[Tag]) -> None:
    with pytest.raises(UnbuildableError) as caught:
        labels_of(a_content(tags=tags), most=2, longest=20)

    assert caught.value.field == "tags"


def test_every_kind_of_recipient_is_looked_at() -> None:
    email = an_email(recipients=[to("a@x.example")])

    assert list(addressed(email, (0,))) == list(RecipientKind)
