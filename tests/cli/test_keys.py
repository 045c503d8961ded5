"""`postroom keys`: what is shown once, what is stored, and what is refused."""

import pytest

from postroom.adapters.mongo_keys import MongoKeyRing
from postroom.domain.access import Rate, Scope, digest_of
from tests.builders import a_key, at
from tests.cli.desk import Desk


def test_a_key_is_shown_once_and_stored_without_its_secret(desk: Desk) -> None:
    made = desk.json(
        *("keys", "create", "the shop", "--scopes", "send, read", "--owner", "acme"),
        *("--from", "acme.example,Shop.example", "--rate", "10", "--burst", "30"),
    )

    (stored,) = MongoKeyRing(desk.database).all()
    assert stored.digest == digest_of(made["key"])
    assert made["key"].startswith("pr_live_")
    assert (stored.name, stored.owner) == ("the shop", "acme")
    assert stored.scopes == {Scope.SEND, Scope.READ}
    assert stored.from_domains == {"acme.example", "shop.example"}
    assert stored.rate == Rate(per_s=10, burst=30)
    assert made["key"] not in repr(list(desk.database["api_keys"].find()))
    assert made["key"] not in desk.done("keys", "list", "--json")


def test_a_key_can_be_copied_from_what_is_printed(desk: Desk) -> None:
    result = desk.run("keys", "create", "shop", "--test")

    assert result.exit_code == 0
    secret = result.stdout.split()[-1]
    assert secret.startswith("pr_test_")
    assert MongoKeyRing(desk.database).find(digest_of(secret)) is not None
    assert "not shown again" in result.stderr


def test_all_keys_are_listed_in_their_order(desk: Desk) -> None:
    ring = MongoKeyRing(desk.database)
    ring.add(a_key("two", key_id="key_2", created_at=at(1)))
    ring.add(a_key("one"))

    listed = desk.json("keys", "list")

    assert [key["id"] for key in listed["data"]] == ["key_1", "key_2"]
    assert listed["data"][0] == {
        "object": "api_key",
        "id": "key_1",
        "name": "the shop",
        "owner": "default",
        "scopes": ["admin"],
        "from_domains": [],
        "test": False,
        "rate": None,
        "created_at": "2026-11-24T12:00:00.000Z",
        "last_used_at": None,
        "revoked_at": None,
    }
    assert desk.done("keys", "list").splitlines()[1].startswith("key_1  the shop")


def test_a_revoked_key_stays_in_the_list(desk: Desk) -> None:
    MongoKeyRing(desk.database).add(a_key("one"))

    revoked = desk.json("keys", "revoke", "key_1")

    assert revoked["revoked_at"]
    assert desk.json("keys", "list")["data"] == [revoked]
    assert desk.json("keys", "revoke", "key_1") == revoked


def test_a_key_that_is_not_there_is_not_found(desk: Desk) -> None:
    result = desk.run("keys", "revoke", "key_9")

    assert (result.exit_code, result.stdout) == (4, "")
    assert "there is no key 'key_9'" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scopes", "all"), "scopes must be of send, read, admin, got all"),
        (("--scopes", ""), "scopes must be at least one"),
        (("--from", "acme"), "from must be a domain, got 'acme'"),
        (("--owner", "a b"), "owner must be 1 to 64 letters"),
        (("--rate", "0"), "rate must be 0.01 to 100000 a second, got 0"),
        (("--test", "--scopes", "admin"), "a test key cannot have the scope admin"),
    ],
)
def test_what_cannot_be_a_key_is_refused(
    desk: Desk, words: tuple[str, ...], told: str
) -> None:
    result = desk.run("keys", "create", "shop", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert MongoKeyRing(desk.database).is_empty()
