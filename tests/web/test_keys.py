"""Stored keys: what each opens, from where it may send, and how often."""

from collections.abc import Mapping
from typing import Any, ClassVar

import falcon
import falcon.testing
import pytest

from postroom.adapters.memory_keys import MemoryKeyRing
from postroom.domain.access import TEST_PROVIDER, ApiKey, Rate, Scope
from postroom.domain.errors import StoreUnavailableError
from postroom.http.auth import digest
from postroom.http.options import Options
from tests.builders import NOW, a_key
from tests.web.stand import Stand, a_body, faults

LIVE = "pr_live_" + "k" * 43
TEST = "pr_test_" + "t" * 43


def with_keys(*keys: ApiKey, **given: Any) -> Stand:
    return Stand(keys=MemoryKeyRing(*keys), **given)


def a_scoped(*scopes: Scope, **given: Any) -> ApiKey:
    return a_key(LIVE, scopes=frozenset(scopes), **given)


def bearer(secret: str = LIVE) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


# Scopes


@pytest.mark.parametrize(
    ("scope", "posted", "got"),
    [(Scope.SEND, 201, 403), (Scope.READ, 403, 404), (Scope.ADMIN, 201, 404)],
)
def test_a_key_is_for_what_its_scopes_say(scope: Scope, posted: int, got: int) -> None:
    stand = with_keys(a_scoped(scope))

    assert stand.post(a_body(), headers=bearer()).status_code == posted
    answer = stand.get(f"/api/emails/{'0' * 24}", headers=bearer())
    assert answer.status_code == got


def test_a_refusal_names_the_scope_that_is_missing() -> None:
    answer = with_keys(a_scoped(Scope.READ)).post(a_body(), headers=bearer())

    assert answer.json["name"] == "restricted_api_key"
    assert "`send`" in answer.json["message"]
    assert LIVE not in answer.text


class Added:
    """A resource that says nothing of scopes."""

    def on_get(self, *_: object) -> None: ...

    def on_post_twice(self, *_: object) -> None: ...


@pytest.mark.parametrize("scope", Scope)
def test_a_resource_that_says_nothing_is_for_admins(scope: Scope) -> None:
    stand = with_keys(a_scoped(scope))
    stand.app.add_route("/added", Added())
    stand.app.add_route("/added/twice", Added(), suffix="twice")
    expected = 200 if scope is Scope.ADMIN else 403

    got = stand.get("/added", headers=bearer())
    posted = stand.client.simulate_post("/added/twice", headers=bearer())

    assert (got.status_code, posted.status_code) == (expected, expected)


def test_a_head_needs_what_a_get_needs() -> None:
    class Readable(Added):
        needs: ClassVar[Mapping[str, str]] = {"GET": "read"}

        def on_head(self, *_: object) -> None: ...

    stand = with_keys(a_scoped(Scope.READ))
    stand.app.add_route("/added", Readable())

    assert stand.client.simulate_head("/added", headers=bearer()).status_code == 200


def test_a_method_that_is_not_there_is_not_there_for_any_key() -> None:
    stand = with_keys(a_scoped(Scope.SEND))

    answer = stand.client.simulate_put("/api/emails", headers=bearer())

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_only_an_admin_or_a_monitor_sees_the_metrics() -> None:
    for scope, status in ((Scope.READ, 403), (Scope.ADMIN, 200)):
        stand = with_keys(a_scoped(scope))
        assert stand.get("/metrics", headers=bearer()).status_code == status

    watched = with_keys(
        a_scoped(Scope.READ), options=Options(metrics_key=digest("watching"))
    )
    assert watched.get("/metrics", headers=bearer("watching")).status_code == 200
    assert watched.get("/metrics", headers=bearer()).status_code == 403
    assert watched.post(a_body(), headers=bearer("watching")).status_code == 401


# Keys


def test_a_revoked_key_is_no_key() -> None:
    stand = with_keys(a_scoped(Scope.ADMIN, revoked_at=NOW))

    answer = stand.post(a_body(), headers=bearer())

    assert (answer.status_code, answer.json["name"]) == (401, "invalid_api_key")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="postroom"'


def test_once_there_is_a_key_nothing_is_open() -> None:
    stand = with_keys(a_scoped(Scope.ADMIN))

    assert stand.post(a_body()).status_code == 401
    assert stand.post(a_body(), headers=bearer("re_other")).status_code == 401


def test_until_there_is_a_key_any_will_do() -> None:
    assert Stand().post(a_body(), headers=bearer("re_123")).status_code == 201


def test_where_a_key_is_required_nothing_is_open_without_one() -> None:
    assert Stand(key_required=True).post(a_body()).status_code == 401


def test_an_unknown_key_while_the_store_is_away_is_not_called_invalid() -> None:
    class Away(MemoryKeyRing):
        def find(self, digest: bytes) -> ApiKey | None:
            raise StoreUnavailableError("away")

    answer = Stand(keys=Away(), key_required=True).post(a_body(), headers=bearer())

    assert (answer.status_code, answer.json["name"]) == (503, "store_unavailable")


# Who sends, from where, to where


def test_an_email_is_of_the_owner_of_its_key() -> None:
    stand = with_keys(a_scoped(Scope.ADMIN, owner="acme"))

    email_id = stand.post(a_body(), headers=bearer()).json["id"]

    email = stand.store.load(email_id)
    assert email is not None
    assert email.owner == "acme"


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        ("a@acme.example", 201),
        ("Acme <a@ACME.example>", 201),
        ("a@mail.acme.example", 403),
        ("a@evil.example", 403),
        ("a@acme.example.evil.example", 403),
        ("a@acm\u0435.example", 403),
        ("a@acme.example@evil.example", 400),
        ("a@evil.example <a@acme.example>", 400),
        ("a@acme.example, b@evil.example", 400),
    ],
)
def test_a_key_with_a_list_sends_from_no_other_domain(sender: str, status: int) -> None:
    stand = with_keys(a_scoped(Scope.SEND, from_domains=frozenset({"acme.example"})))

    answer = stand.post(a_body(**{"from": sender}), headers=bearer())

    assert answer.status_code == status
    assert len(stand.hints.hinted) == (status == 201)
    if status == 403:
        assert answer.json["name"] == "restricted_api_key"
        assert faults(answer) == {("from", "sender_not_allowed")}
        assert "acme.example" in answer.json["message"]


def test_what_a_test_key_sends_goes_to_the_sandbox_whatever_it_asks_for() -> None:
    stand = with_keys(a_key(TEST, is_test=True, scopes=frozenset({Scope.SEND})))

    for pin in (..., "sandbox"):
        answer = stand.post(a_body(provider=pin), headers=bearer(TEST))

        email = stand.store.load(answer.json["id"])
        assert email is not None
        assert (email.provider, email.owner) == (TEST_PROVIDER, "test:default")


def test_nobody_else_can_name_the_sandbox_of_the_test_keys() -> None:
    answer = Stand().post(a_body(provider=TEST_PROVIDER))

    assert faults(answer) == {("provider", "unknown_provider")}
    assert TEST_PROVIDER not in answer.text


def test_test_email_is_apart_from_the_owners_other_email() -> None:
    both = frozenset({Scope.SEND, Scope.READ})
    stand = with_keys(
        a_key(LIVE, scopes=both), a_key(TEST, key_id="key_2", is_test=True, scopes=both)
    )

    for mine, theirs in ((LIVE, TEST), (TEST, LIVE)):
        path = stand.post(a_body(), headers=bearer(mine)).headers["Location"]
        assert stand.get(path, headers=bearer(mine)).status_code == 200
        assert stand.get(path, headers=bearer(theirs)).status_code == 404


# Rates


def names_of(answer: falcon.testing.Result) -> dict[str, str]:
    told = {name.lower(): value for name, value in answer.headers.items()}
    return {n: v for n, v in told.items() if n.startswith("ratelimit") or "retry" in n}


def test_a_key_is_told_what_is_left_of_its_rate_and_then_to_wait() -> None:
    stand = with_keys(a_scoped(Scope.ADMIN, rate=Rate(per_s=0.1, burst=2)))

    seen = [stand.post(a_body(), headers=bearer()) for _ in range(3)]

    assert [answer.status_code for answer in seen] == [201, 201, 429]
    assert names_of(seen[0]) == {
        "ratelimit-limit": "2",
        "ratelimit-remaining": "1",
        "ratelimit-reset": "10",
    }
    assert names_of(seen[2]) == {
        "ratelimit-limit": "2",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "20",
        "retry-after": "10",
    }
    assert seen[2].json["name"] == "rate_limit_exceeded"
    assert len(stand.hints.hinted) == 2


def test_requests_that_are_refused_count_too() -> None:
    stand = with_keys(a_scoped(Scope.READ, rate=Rate(per_s=0.1, burst=1)))

    assert stand.post(a_body(), headers=bearer()).status_code == 403
    assert stand.post(a_body(), headers=bearer()).status_code == 429


def test_the_rate_of_the_settings_holds_for_keys_without_one() -> None:
    stand = with_keys(a_scoped(Scope.ADMIN), rate=Rate(per_s=0.1, burst=1))

    seen = [stand.post(a_body(), headers=bearer()).status_code for _ in range(2)]

    assert seen == [201, 429]


def test_without_a_rate_nothing_is_told_of_one() -> None:
    answer = with_keys(a_scoped(Scope.ADMIN)).post(a_body(), headers=bearer())

    assert names_of(answer) == {}
