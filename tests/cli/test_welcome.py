from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from postroom.cli import welcome
from postroom.cli.errors import StackError
from postroom.cli.welcome import missing_parts, sandbox_of, send, steps_of


class AnsweringApi(welcome.Api):
    """An API with its answers given; a POST is answered with the first."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        super().__init__("http://127.0.0.1:1")
        self.answers: Iterator[tuple[int, dict[str, Any]]] = iter(answers)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return next(self.answers)

    def post(self, path: str, body: Mapping[str, object]) -> tuple[int, dict[str, Any]]:
        return next(self.answers)


def no_pause(seconds: float) -> None:
    """Go on at once."""


ACCEPTED = (201, {"id": "1"})
ATTEMPT = {"provider": "sandbox"}


def test_each_step_of_the_welcome_email_is_told_once() -> None:
    api = AnsweringApi(
        ACCEPTED,
        (0, {}),
        (200, {"state": "queued", "attempts": []}),
        (200, {"state": "sending", "attempts": [ATTEMPT]}),
        (200, {"state": "sending", "attempts": [ATTEMPT]}),
        (200, {"state": "sent", "attempts": [ATTEMPT]}),
    )

    assert list(send(api, provider="sandbox", pause=no_pause)) == [
        "accepted as 1",
        "routed to sandbox",
        "claimed by a worker",
        "sent by sandbox",
    ]


def test_a_step_that_nobody_saw_is_told_too() -> None:
    sent = {"state": "sent", "attempts": [ATTEMPT]}

    assert list(
        send(AnsweringApi(ACCEPTED, (200, sent)), provider="s", pause=no_pause)
    )[1:] == ["routed to sandbox", "claimed by a worker", "sent by sandbox"]


def test_a_service_that_asks_for_a_key_is_well_without_a_welcome_email() -> None:
    api = AnsweringApi((401, {"message": "an API key is needed"}))

    (told,) = send(api, provider="sandbox", pause=no_pause)

    assert "POSTROOM_API_KEY" in told


def test_a_failed_welcome_email_tells_its_reason() -> None:
    assert steps_of({"state": "failed", "reason": "permanent"}) == ["failed: permanent"]


def test_a_refused_welcome_email_is_an_error_with_the_answer() -> None:
    api = AnsweringApi((400, {"message": "which key?"}))

    with pytest.raises(StackError, match="400, which key"):
        list(send(api, provider="sandbox", pause=no_pause))


def test_a_welcome_email_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(welcome, "PATIENCE_S", -1.0)
    api = AnsweringApi(ACCEPTED, (200, {"state": "queued"}))

    steps = list(send(api, provider="sandbox", pause=no_pause))

    assert steps[-1] == "not sent yet: queued"


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ((0, {}), ["web"]),
        ((200, {"degraded": ["redis", "sweep"]}), ["redis", "sweep"]),
        ((503, {}), ["mongo"]),
        ((200, {"degraded": []}), []),
    ],
    ids=["no answer", "degraded", "not writable", "all there"],
)
def test_ready_says_what_is_missing(
    answer: tuple[int, dict[str, Any]], missing: list[str]
) -> None:
    assert missing_parts(AnsweringApi(answer)) == missing


@pytest.mark.parametrize(
    ("providers", "name"),
    [
        ("sandbox", "sandbox"),
        ("sendgrid, sandbox", "sandbox"),
        ("sendgrid,trial=sandbox", "trial"),
        ("sandbox=sendgrid", None),
        ("sendgrid", None),
    ],
)
def test_the_welcome_email_never_goes_to_a_real_provider(
    providers: str, name: str | None
) -> None:
    assert sandbox_of(providers) == name
