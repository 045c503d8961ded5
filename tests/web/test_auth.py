"""Who may call, and what is open to all."""

import pytest

from postroom.http.auth import digest
from postroom.http.options import Options
from tests.web.stand import Stand, a_body

KEY = "pr_live_" + "k" * 32


@pytest.fixture
def locked() -> Stand:
    return Stand(options=Options(api_key=digest(KEY), development=True))


def test_the_key_lets_its_holder_in(locked: Stand) -> None:
    answer = locked.post(a_body(), headers={"Authorization": f"Bearer {KEY}"})

    assert answer.status_code == 201


def test_the_word_bearer_may_be_written_in_any_case(locked: Stand) -> None:
    answer = locked.post(a_body(), headers={"Authorization": f"bearer  {KEY}"})

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer ", "missing_api_key"),
        (KEY, "missing_api_key"),
        (f"Basic {KEY}", "missing_api_key"),
        (f"Bearer {KEY}x", "invalid_api_key"),
        (f"Bearer {KEY[:-1]}", "invalid_api_key"),
        ("Bearer \xff\xfe", "invalid_api_key"),
    ],
)
def test_nobody_else_gets_in(locked: Stand, header: str | None, name: str) -> None:
    headers = {} if header is None else {"Authorization": header}

    posted = locked.post(a_body(), headers=headers)
    looked = locked.get("/api/emails/x", headers=headers)

    for answer in (posted, looked):
        assert answer.status_code == 401
        assert answer.json["name"] == name
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="postroom"'
        assert KEY not in answer.text
    assert locked.hints.hinted == []


@pytest.mark.parametrize(
    "path",
    [
        *("/health", "/ready", "/openapi.json", "/api/openapi.json", "/docs"),
        *("/api/docs", "/docs/assets/docs.js", "/sandbox"),
    ],
)
def test_what_monitors_and_readers_need_is_open(locked: Stand, path: str) -> None:
    assert locked.get(path).status_code == 200


def test_every_other_route_is_closed(locked: Stand) -> None:
    """A route that somebody adds is closed until its resource says otherwise."""

    class Added:
        def on_get(self, *_: object) -> None: ...

    locked.app.add_route("/added", Added())

    assert locked.get("/added").status_code == 401


def test_without_a_key_all_is_open(stand: Stand) -> None:
    assert stand.post(a_body()).status_code == 201


def test_the_options_do_not_show_the_keys_digest() -> None:
    assert digest(KEY).hex() not in repr(Options(api_key=digest(KEY)))
    assert str(digest(KEY)) not in repr(Options(api_key=digest(KEY)))
