"""The fake provider is a judge in other tests, so it is judged itself."""

import json
import signal
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
