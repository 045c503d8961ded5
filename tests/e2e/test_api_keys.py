"""Keys on the real processes: made by the command, used over HTTP, taken back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from postroom.domain.access import TEST_PROVIDER
from tests.e2e.service import PATIENCE_S, Answer, Service
from tests.fake_provider import AsProcess

#: All processes refuse a revoked key after that time; docs/operating.md, "Keys".
REVOKED_S = 10

BODY = {"to": ["a@example.com"], "subject": "Hi", "text": "Hello"}


class Locked(Service):
    """A service of two web processes that has an operator's key."""

    @property
    def environ(self) -> dict[str, str]:
        setting = {"POSTROOM_API_KEY": "k" * 40, "WEB_CONCURRENCY": "2"}
        return super().environ | setting

    def verb(self, *words: str) -> Any:
        """Type `postroom` and these words; return the one document."""
        done = subprocess.run(
            [Path(sys.executable).parent / "postroom", *words, "--json"],
            env=self.environ,
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return json.loads(done.stdout)

    def ask(
        self, key: str, method: str, path: str, body: object = None, **given: Any
    ) -> Answer:
        # A connection of its own for each, so that both processes are asked.
        headers = {"Authorization": f"Bearer {key}"}
        return self.request(method, path, body, headers, **given)

    def email(self, email_id: str, *, key: str = "k" * 40) -> dict[str, Any]:
        answer = self.ask(key, "GET", f"/api/emails/{email_id}")
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.body
        return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    with Locked(tmp_path_factory.mktemp("api_keys")) as running:
        yield running


def test_only_what_a_live_key_sends_goes_out(service: Locked, fake: AsProcess) -> None:
    live = service.verb("keys", "create", "live")["key"]
    test = service.verb("keys", "create", "test", "--test")["key"]

    tested, sent = (
        service.ask(key, "POST", "/api/emails", {**BODY, "provider": "sendgrid"})
        for key in (test, live)
    )

    assert (tested.status, sent.status) == (201, 201)
    for key, answer in ((test, tested), (live, sent)):
        email_id = answer.body["id"]
        service.wait_until(
            lambda e=email_id, k=key: service.email(e, key=k)["state"] == "sent",  # type: ignore[misc]
            "sent",
        )
    assert [taken["email_id"] for taken in fake.taken] == [sent.body["id"]]
    (attempt,) = service.email(tested.body["id"], key=test)["attempts"]
    assert attempt["provider"] == TEST_PROVIDER
    other = service.ask(live, "GET", f"/api/emails/{tested.body['id']}")
    assert other.status == 404


def test_a_revoked_key_is_refused_by_every_process_soon(service: Locked) -> None:
    made = service.verb("keys", "create", "short-lived")

    def statuses() -> set[int]:
        looks = [f"/api/emails/{'f' * 24}"] * 8
        return {service.ask(made["key"], "GET", path).status for path in looks}

    assert statuses() == {404}
    service.verb("keys", "revoke", made["id"])

    service.wait_until(
        lambda: statuses() == {401}, "refused everywhere", patience_s=2 * REVOKED_S
    )
    assert statuses() == {401}


def test_both_processes_count_in_one_bucket(service: Locked) -> None:
    made = service.verb("keys", "create", "slow", "--rate", "0.01", "--burst", "10")

    with ThreadPoolExecutor(8) as pool:
        path = f"/api/emails/{'f' * 24}"
        asked = [pool.submit(service.ask, made["key"], "GET", path) for _ in range(30)]
        seen = [each.result() for each in asked]

    assert sorted(answer.status for answer in seen) == [404] * 10 + [429] * 20
    limited = next(answer for answer in seen if answer.status == 429)
    assert limited.headers["ratelimit-limit"] == "10"
    assert limited.headers["ratelimit-remaining"] == "0"
    assert 0 < int(limited.headers["retry-after"]) <= 100


def test_keys_and_what_is_left_of_a_rate_are_in_no_log(service: Locked) -> None:
    made = service.verb("keys", "create", "seen")
    service.ask(made["key"], "GET", "/api/emails/x")
    service.ask(made["key"] + "x", "GET", "/api/emails/x")

    service.wait_until(lambda: made["id"] in service.log("web"), "the key's id")

    logs = "".join(service.log(name) for name in service.running)
    assert made["key"] not in logs
    assert "k" * 40 not in logs


def test_known_keys_work_on_while_mongodb_is_away(service: Locked) -> None:
    made = service.verb("keys", "create", "steady")
    looks = [f"/api/emails/{'f' * 24}"] * 8
    assert {service.ask(made["key"], "GET", path).status for path in looks} == {404}

    service.mongodb.kill9()
    try:
        known = [service.ask(made["key"], "GET", path).status for path in looks[:2]]
        unknown = service.ask("pr_live_" + "u" * 43, "GET", looks[0])
    finally:
        service.mongodb.start()

    # The email cannot be looked up: that is not said as if the key were wrong.
    assert set(known) == {503}
    assert (unknown.status, unknown.body["name"]) == (503, "store_unavailable")
