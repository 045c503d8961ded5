"""Old email goes from a running service, and what is open stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.service import Service

#: Over what is kept beside the email and not inside of it.
LARGE = "x" * 100_000


@pytest.fixture
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that keeps no body longer than it must."""
    folder = tmp_path_factory.mktemp("forgetful")
    with Service(folder, POSTROOM_KEEP_BODY_D="0") as running:
        yield running


def test_the_router_erases_final_email_by_itself(forgetful: Service) -> None:
    sent = forgetful.accept(text=LARGE, html="<p>Hi</p>", metadata={"order": "7"})
    waiting = forgetful.accept(text=LARGE, scheduled_at="in 1 hour")
    forgetful.wait_for_state(sent, "sent")

    forgetful.wait_until(
        lambda: forgetful.email(sent)["erased_at"] is not None, "the erasure"
    )

    email, still_there = forgetful.email(sent), forgetful.email(waiting)
    assert (email["text"], email["html"], email["attachments"]) == (None, None, [])
    assert (email["subject"], email["metadata"]) == ("Hi", {"order": "7"})
    assert email["attempts"]
    assert (still_there["state"], still_there["text"]) == ("scheduled", LARGE)
    assert still_there["erased_at"] is None
    forgetful.wait_until(
        lambda: "retention.done" in forgetful.log("router"), "the log of it"
    )
