"""The fake provider is a judge in other tests, so it is judged itself."""

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from tests.fake_provider import AsProcess, FakeProvider, Mode, Rule, digest_of

HEADERS = {"Authorization": "Bearer x", "Content-Type": "application/json"}

HTTP = urllib3.PoolManager(retries=False, timeout=20)


def post(url: str, *, to: str = "ada@example.com", **changes: object) -> int:
    body = {
        "personalizations": [{"to": [{"email": to}]}],
        "from": {"email": "post@shop.example"},
        "subject": "Hi",
        "content": [{"type": "text/plain", "value": "Hello"}],
        "custom_args": {"postroom_email_id": "one"},
        **changes,
    }
    answer = HTTP.request("POST", f"{url}/v3/mail/send", headers=HEADERS, json=body)
    return answer.status


def send(
    url: str, *, key: str | None = "k", text: str = "Hello", **headers: str
) -> tuple[int, str | None]:
    """Call Resend. Returns the status, and the id or the name of the error."""
    body = {
        "from": "post@shop.example",
        "to": ["Ada <ada@example.com>"],
        "subject": "Hi",
        "text": text,
        "tags": [{"name": "postroom_email_id", "value": "one"}],
    }
    keyed = {} if key is None else {"Idempotency-Key": key}
    answer = HTTP.request(
        "POST", f"{url}/emails", headers={**HEADERS, **keyed, **headers}, json=body
    )
    said = json.loads(answer.data)
    return answer.status, said.get("id") or said.get("name")


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_the_first_rule_that_matches_is_used_until_it_is_spent() -> None:
    with FakeProvider() as fake:
        fake.script(
            Rule(provider="mailgun", mode=Mode.STATUS, status=500),
            Rule(recipient="bob@example.com", mode=Mode.STATUS, status=400),
            Rule(provider="backup", mode=Mode.STATUS, status=503),
            Rule(mode=Mode.STATUS, status=429, times=1),
        )

        statuses = [
            post(fake.url),
            post(fake.url),
            post(fake.url, to="bob@example.com"),
            post(f"{fake.url}/backup"),
        ]

    assert statuses == [429, 202, 400, 503]
    assert [call.mode for call in fake.calls] == [
        "status",
        "accept",
        "status",
        "status",
    ]
    assert len(fake.taken) == 1


def test_what_is_refused_may_have_been_taken(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with FakeProvider(journal=journal) as fake:
        fake.script(Rule(mode=Mode.STATUS, status=500, accepts=True))

        assert post(fake.url) == 500

    (line,) = journal.read_text().splitlines()
    taken = json.loads(line)
    assert taken["email_id"] == "one"
    assert taken["digest"] == digest_of(["ada@example.com"], "Hi", "Hello", None)


def test_what_sendgrid_refuses_is_refused() -> None:
    twice = [{"to": [{"email": "a@b.example"}], "cc": [{"email": "A@b.example"}]}]

    with FakeProvider() as fake:
        assert post(fake.url, personalizations=twice) == 400
        assert post(fake.url, subject=None, content="no list") == 400
        anonymous = HTTP.request("POST", f"{fake.url}/v3/mail/send", json={})
        assert anonymous.status == 401

    assert fake.calls == []


def test_a_wrong_path_is_answered_as_mailgun_does() -> None:
    with FakeProvider() as fake:
        answer = HTTP.request("POST", f"{fake.url}/v3/a/b/c", headers=HEADERS, body="x")

    assert (answer.status, answer.data) == (200, b"Mailgun Magnificent API")


@pytest.mark.parametrize("wrong", [b"{", b'{"mode":"nap"}', b'{"odd":1}', b"[1]"])
def test_a_wrong_rule_is_refused(wrong: bytes) -> None:
    with FakeProvider() as fake:
        answer = HTTP.request("POST", f"{fake.url}/_control", body=wrong)

        assert answer.status == 400
        assert post(fake.url) == 202


def test_as_a_process_it_keeps_port_and_journal_over_a_crash(tmp_path: Path) -> None:
    with AsProcess(tmp_path) as fake:
        fake.script(Rule(mode=Mode.STATUS, status=503, times=1))
        assert [post(fake.url), post(fake.url)] == [503, 202]
        assert [call["mode"] for call in fake.calls] == ["status", "accept"]
        assert [taken["email_id"] for taken in fake.taken] == ["one"]
        port = fake.port

        fake.stop(signal.SIGKILL)
        fake.start()

        assert fake.port == port
        assert fake.taken == []
        assert post(fake.url) == 202
        assert [line["email_id"] for line in fake.lines()] == ["one", "one"]
        fake.reset()
        assert fake.calls == []


def test_a_spent_key_has_the_same_answer_and_is_taken_once(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with FakeProvider(journal=journal) as fake:
        first = send(fake.url)
        again = send(fake.url)

        assert first == again == (200, fake.taken[0].message_id)
        assert len(fake.taken) == 1
        assert len(fake.calls) == 2
    (line,) = journal.read_text().splitlines()
    taken = json.loads(line)
    assert (taken["key"], taken["email_id"]) == ("k", "one")
    assert taken["recipients"] == ["ada@example.com"]
    assert taken["digest"] == digest_of(["ada@example.com"], "Hi", "Hello", None)


def test_another_key_another_account_or_none_is_another_email() -> None:
    with FakeProvider() as fake:
        calls = [send(fake.url), send(fake.url, key="other")]
        calls += [send(f"{fake.url}/backup")]
        calls += [send(fake.url, key=None), send(fake.url, key=None)]

        assert len({message_id for _, message_id in calls}) == 5
        assert len(fake.taken) == 5
        assert [taken.provider for taken in fake.taken][2] == "backup"


def test_a_spent_key_with_another_body_is_a_conflict() -> None:
    with FakeProvider() as fake:
        send(fake.url)

        assert send(fake.url, text="Other") == (409, "invalid_idempotent_request")
        assert len(fake.taken) == 1


def test_a_key_is_in_use_until_the_first_call_has_its_answer() -> None:
    with FakeProvider() as fake, ThreadPoolExecutor(1) as pool:
        fake.script(Rule(delay_ms=60_000))
        pool.submit(send, fake.url)
        wait_until(lambda: bool(fake.taken))

        assert send(fake.url) == (409, "concurrent_idempotent_requests")
        assert send(fake.url, text="Other") == (409, "invalid_idempotent_request")
        fake.script()
        fake.keys.end(fake.calls[0])
        assert send(fake.url) == (200, fake.taken[0].message_id)
        assert len(fake.taken) == 1
        fake.close_idle()


@pytest.mark.parametrize(
    "fault",
    [Rule(mode=Mode.STATUS, status=503, body="{}"), Rule(accepts=False)],
    ids=["refused", "answered but not taken"],
)
def test_a_fault_before_accepting_spends_no_key(fault: Rule) -> None:
    with FakeProvider() as fake:
        fake.script(fault)
        send(fake.url)
        fake.script()

        assert send(fake.url) == (200, fake.taken[0].message_id)
        assert len(fake.taken) == 1


def test_a_fault_after_accepting_hides_the_answer_of_a_repetition_too() -> None:
    with FakeProvider() as fake:
        fake.script(Rule(mode=Mode.STATUS, status=500, body="{}", accepts=True))

        assert [send(fake.url)[0], send(fake.url)[0]] == [500, 500]
        assert len(fake.taken) == 1


def test_keys_can_be_switched_off(tmp_path: Path) -> None:
    with FakeProvider(keys=False) as fake:
        assert send(fake.url) != send(fake.url)
        assert send(fake.url, text="Other")[0] == 200
        assert len(fake.taken) == 3
    with AsProcess(tmp_path, "--no-keys") as other:
        assert send(other.url) != send(other.url)
        other.honour_keys(True)
        first = send(other.url)
        other.honour_keys(False)
        assert send(other.url) != first
        assert len(other.taken) == 3


def test_a_key_outlives_a_crash(tmp_path: Path) -> None:
    with AsProcess(tmp_path) as fake:
        first = send(fake.url)
        fake.stop(signal.SIGKILL)
        fake.start()

        assert send(fake.url) == first
        assert send(fake.url, text="Other")[0] == 409
        assert len(fake.lines()) == 1


def test_what_resend_refuses_is_refused() -> None:
    with FakeProvider() as fake:
        assert send(fake.url, key="k" * 257) == (400, "invalid_idempotency_key")
        assert send(fake.url, text="") == (400, "validation_error")
        anonymous = HTTP.request("POST", f"{fake.url}/emails", json={})
        assert anonymous.status == 401
        quiet = {**HEADERS, "User-Agent": urllib3.util.SKIP_HEADER}
        assert HTTP.request("POST", f"{fake.url}/emails", headers=quiet).status == 403

    assert fake.calls == []
