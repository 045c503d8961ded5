"""When two requests are the same, and what a key is known by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postroom.domain.email import (
    Address,
    Attachment,
    Delivery,
    Priority,
    RecipientKind,
    Tag,
)
from postroom.domain.errors import InvalidValueError
from postroom.domain.idempotency import (
    IdempotencyKey,
    Route,
    Unfit,
    digest_of,
    fingerprint,
)
from tests.builders import (
    a_content,
    a_full_content,
    a_new_email,
    a_recipient,
    at,
    seconds,
)


def a_key(value: str = "k", **given: Any) -> IdempotencyKey:
    return IdempotencyKey(
        **({"owner": "o", "route": Route.EMAILS, "value": value} | given)
    )


def of(**given: Any) -> str:
    return fingerprint([a_new_email(**given)], is_strict=True)


@pytest.mark.parametrize("length", [1, 256])
def test_a_key_has_1_to_256_characters(length: int) -> None:
    assert len(a_key("x" * length).name) == 64


@pytest.mark.parametrize("length", [0, 257])
def test_any_other_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidValueError, match=f"got {length}"):
        a_key("x" * length)


def test_a_key_is_known_by_owner_route_and_value_each_on_its_own() -> None:
    names = {
        a_key().name,
        a_key(owner="p").name,
        a_key(route=Route.BATCH).name,
        a_key("l").name,
        a_key("k", owner="o\x00").name,
        a_key("ok", owner="").name,
    }

    assert len(names) == 6
    assert "secret" not in repr(a_key("secret"))


CHANGED = {
    "from": {"content": a_content(sender=Address(addr_spec="a@b.example"))},
    "sender's name": {
        "content": a_content(
            sender=Address(addr_spec="shop@acme.example", display_name="B")
        )
    },
    "reply_to": {"content": a_content(reply_to=(Address(addr_spec="a@b.example"),))},
    "subject": {"content": a_content(subject="Ho")},
    "text": {"content": a_content(text="Ho")},
    "html": {"content": a_content(html="Hello", text=None)},
    "headers": {"content": a_content(headers={"X-A": "1"})},
    "tags": {"content": a_content(tags=(Tag(name="a", value="1"),))},
    "metadata": {"content": a_content(metadata={"X-A": "1"})},
    "attachments": {
        "content": a_content(
            attachments=(
                Attachment(filename="a", content=b"1", content_type="text/plain"),
            )
        )
    },
    "to": {"recipients": (a_recipient(addr_spec="bob@example.com"),)},
    "kind": {"recipients": (a_recipient(kind=RecipientKind.BCC),)},
    "delivery": {"delivery": Delivery.AT_MOST_ONCE},
    "provider": {"provider": "alpha"},
    "priority": {"priority": Priority.LOW},
    "scheduled_at": {"scheduled_at": at(5)},
    "delay": {"scheduled_at": at(5), "delay": seconds(5)},
    "no delay": {"scheduled_at": at(0), "delay": seconds(0)},
}


def test_whatever_is_changed_is_another_request() -> None:
    prints = [of(), *(of(**given) for given in CHANGED.values())]

    assert len(set(prints)) == len(CHANGED) + 1


@pytest.mark.parametrize(
    "changed", [{"content": b"2"}, {"filename": "b"}, {"content_id": "c"}]
)
def test_each_part_of_a_file_counts(changed: dict[str, Any]) -> None:
    content = a_full_content()
    other = replace(content.attachments[0], **changed)
    changed_content = replace(content, attachments=(other, content.attachments[1]))

    assert of(content=content) != of(content=changed_content)


def test_the_owner_does_not_count_nor_the_order_of_names() -> None:
    one = a_content(headers={"X-A": "1", "X-B": "2"}, metadata={"a": "1", "b": "2"})
    two = a_content(headers={"X-B": "2", "X-A": "1"}, metadata={"b": "2", "a": "1"})

    assert of(content=one) == of(content=two, owner="tenant")


def test_a_delay_is_the_same_whenever_it_is_said() -> None:
    one = of(scheduled_at=at(300), delay=seconds(300))

    assert one == of(scheduled_at=at(500), delay=seconds(300))
    assert one != of(scheduled_at=at(300), delay=seconds(301))


def test_what_was_asked_for_before_is_the_same_after_a_release() -> None:
    """Fields that say nothing are left out: new ones change no older request."""
    assert of().startswith("3c2e38b0ce6ef7c9")


def test_the_order_of_emails_and_the_way_of_validation_count() -> None:
    one, two = a_new_email(), a_new_email(priority=Priority.LOW)

    prints = {
        fingerprint([one, two], is_strict=True),
        fingerprint([two, one], is_strict=True),
        fingerprint([one, two], is_strict=False),
        fingerprint([one], is_strict=True),
    }

    assert len(prints) == 4


def test_items_that_are_no_emails_count_by_what_was_sent() -> None:
    def with_unfit(**given: Any) -> str:
        item = Unfit(**({"index": 0, "message": "m", "digest": "d"} | given))
        return fingerprint([item], is_strict=False)

    assert with_unfit() == with_unfit(message="said better since")
    assert with_unfit() != with_unfit(digest="e")
    assert digest_of({"a": 1, "b": [None]}) == digest_of({"b": [None], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
