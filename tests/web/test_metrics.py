"""Who may read the metrics, and in which form they come."""

import pytest
from openapi_spec_validator import validate

from postroom.http.auth import digest
from postroom.http.options import Options
from tests.web.stand import Stand, a_body

SENDING, WATCHING = "pr_live_" + "k" * 32, "watching-" + "w" * 32


def asked(stand: Stand, path: str, key: str | None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return stand.get(path, headers=headers).status_code


def test_metrics_come_in_the_form_that_is_asked_for(stand: Stand) -> None:
    answer = stand.get("/metrics", headers={"Accept": "text/plain;q=0.5"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text == "# asked for text/plain;q=0.5\n"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        (Options(), {None, SENDING, WATCHING}),
        (Options(api_key=digest(SENDING)), {SENDING}),
        (Options(metrics_key=digest(WATCHING)), {WATCHING}),
        (
            Options(api_key=digest(SENDING), metrics_key=digest(WATCHING)),
            {SENDING, WATCHING},
        ),
    ],
    ids=["open", "api_key", "metrics_key", "both"],
)
def test_either_key_opens_the_metrics(
    options: Options, allowed: set[str | None]
) -> None:
    stand = Stand(options=options)

    for key in (None, SENDING, WATCHING, "wrong"):
        expected = 200 if key in allowed or allowed >= {None} else 401
        assert asked(stand, "/metrics", key) == expected


def test_the_monitors_key_opens_nothing_else() -> None:
    stand = Stand(
        options=Options(api_key=digest(SENDING), metrics_key=digest(WATCHING))
    )
    headers = {"Authorization": f"Bearer {WATCHING}"}

    assert stand.post(a_body(), headers=headers).status_code == 401
    assert asked(stand, "/api/emails/x", WATCHING) == 401


def test_a_key_for_monitors_alone_locks_nothing_else() -> None:
    stand = Stand(options=Options(metrics_key=digest(WATCHING)))

    assert stand.post(a_body()).status_code == 201


def test_the_description_asks_for_the_key_where_it_is_needed() -> None:
    monitor = {"monitor": list[str]()}
    key = {"key": ["admin"]}
    for options, ways in (
        (Options(), [key]),
        (Options(metrics_key=digest(WATCHING)), [key, monitor]),
    ):
        document = Stand(options=options).get("/openapi.json").json

        validate(document)
        assert document["paths"]["/metrics"]["get"]["security"] == ways
        schemes = document["components"].get("securitySchemes", {})
        assert set(schemes) == {name for way in ways for name in way}
        assert {scheme["scheme"] for scheme in schemes.values()} <= {"bearer"}


def test_no_key_is_shown() -> None:
    options = Options(metrics_key=digest(WATCHING))

    assert str(digest(WATCHING)) not in repr(options)
