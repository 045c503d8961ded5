"""Only so many large bodies are in hand at once, whatever becomes of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import falcon
import falcon.testing
import pytest

from postroom.http import large_bodies
from postroom.http.errors import ApiError
from postroom.http.heard import LARGE_BODY
from postroom.http.large_bodies import (
    MOST_IN_HAND,
    MOST_WAITING,
    LargeBodies,
    admit_large,
)
from tests.web.stand import Stand, a_body


class Request:
    """A request on its way through the middleware."""

    def __init__(self, bodies: LargeBodies) -> None:
        self._bodies = bodies
        self._falcon: Any = SimpleNamespace(context=SimpleNamespace())
        bodies.process_request(self._falcon, falcon.Response())

    def read(self, size: int = LARGE_BODY + 1) -> None:
        admit_large(self._falcon, size)

    def end(self) -> None:
        self._bodies.process_response(self._falcon, falcon.Response(), None, True)


@pytest.fixture
def bodies() -> LargeBodies:
    return LargeBodies()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "PATIENCE_S", 0.01)


@pytest.fixture
def full(bodies: LargeBodies) -> Iterator[list[Request]]:
    """Give requests that have taken all that may be in hand."""
    requests = [Request(bodies) for _ in range(MOST_IN_HAND)]
    for request in requests:
        request.read()
    yield requests
    for request in requests:
        request.end()


def test_small_bodies_are_not_counted(bodies: LargeBodies, full: list[Request]) -> None:
    Request(bodies).read(LARGE_BODY)


def test_one_too_many_is_refused_with_503_after_a_while(
    bodies: LargeBodies, full: list[Request], impatient: None
) -> None:
    with pytest.raises(ApiError) as caught:
        Request(bodies).read()

    assert int(caught.value.status) == 503
    assert caught.value.name == "too_busy"
    assert caught.value.headers == {"Retry-After": "2"}


def test_a_place_is_free_again_after_an_answer_and_after_a_refusal(
    bodies: LargeBodies, full: list[Request], impatient: None
) -> None:
    for _ in range(MOST_WAITING + 1):
        with pytest.raises(ApiError):
            Request(bodies).read()
    full.pop().end()

    later = Request(bodies)
    later.read()
    later.read()  # is in hand already

    later.end()
    full.append(Request(bodies))
    full[-1].read()


def test_who_waits_gets_the_next_place_and_no_more_wait_than_may(
    bodies: LargeBodies, full: list[Request]
) -> None:
    waiting = [Request(bodies) for _ in range(MOST_WAITING)]

    def read_and_end(request: Request) -> None:
        request.read()
        request.end()

    threads = [
        threading.Thread(target=read_and_end, args=(one,), daemon=True)
        for one in waiting
    ]
    for thread in threads:
        thread.start()
    while bodies._places.acquire(blocking=False):  # until all of them wait
        bodies._places.release()

    with pytest.raises(ApiError):
        Request(bodies).read()  # at once
    full.pop().end()

    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("fields", [{}, {"to": 1}], ids=["accepted", "refused"])
def test_the_application_makes_room_whatever_it_answers(
    fields: dict[str, Any],
) -> None:
    stand = Stand()
    body = a_body(text="x" * LARGE_BODY, **fields)

    statuses = {stand.post(body).status_code for _ in range(MOST_IN_HAND + 1)}

    assert statuses == {400 if fields else 201}
