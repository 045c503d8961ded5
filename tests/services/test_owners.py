"""What is another owner's cannot be seen, changed, moved or let go."""

from collections.abc import Callable
from typing import Any

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_archive import MemoryArchive
from postroom.adapters.memory_hints import MemoryHints
from postroom.adapters.memory_store import MemoryStore
from postroom.domain.archive import DeadLetters, Page, Query
from postroom.domain.email import Email, State
from postroom.domain.errors import EmailNotFoundError
from postroom.services.cancel import Cancel
from postroom.services.listing import Listing
from postroom.services.redrive import Redrive
from postroom.services.replay import Replay
from postroom.services.reschedule import Reschedule
from tests.builders import ID, NOW, POLICY, an_email, at

OTHER = "65f000000000000000000002"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def orders(store: MemoryStore) -> dict[str, tuple[State, Callable[..., Email]]]:
    shared: dict[str, Any] = {"store": store, "clock": FakeClock(NOW)}
    more = shared | {"hints": MemoryHints(), "policy": POLICY}
    return {
        "cancel": (State.QUEUED, Cancel(**shared)),
        "redrive": (State.FAILED, Redrive(**more)),
        "reschedule": (
            State.SCHEDULED,
            lambda *a, **k: Reschedule(**more)(*a, to=at(90), **k),
        ),
    }


@pytest.mark.parametrize("name", ["cancel", "redrive", "reschedule"])
def test_only_the_owner_and_an_operator_change_an_email(
    store: MemoryStore, name: str
) -> None:
    state, order = orders(store)[name]
    email = an_email(state, owner="ada", not_before=at(60))
    store.insert(email)

    with pytest.raises(EmailNotFoundError):
        order(ID, owner="bob")

    assert store.load(ID) == email
    assert order(ID, owner="ada").fence == email.fence + 1


def test_lists_have_only_the_owner_s_whatever_the_query_says(
    store: MemoryStore,
) -> None:
    store.insert(an_email(State.FAILED, owner="ada"))
    store.insert(an_email(State.FAILED, owner="bob", email_id=OTHER))
    listing = Listing(archive=MemoryArchive(store))

    emails = listing(Query(owner="bob"), Page(), owner="ada").emails
    dead = listing.dead_letters(DeadLetters(owner="bob"), Page(), owner="ada").emails

    assert [email.email_id for email in emails] == [ID]
    assert [email.email_id for email in dead] == [ID]


def test_a_replay_lets_only_the_owner_s_go(store: MemoryStore) -> None:
    store.insert(an_email(State.FAILED, owner="ada"))
    store.insert(an_email(State.FAILED, owner="bob", email_id=OTHER))
    _, redrive = orders(store)["redrive"]
    replay = Replay(
        archive=MemoryArchive(store),
        hints=MemoryHints(),
        redrive=redrive,  # type: ignore[arg-type]
    )

    replayed = replay(DeadLetters(owner="ada"), limit=10)

    assert replayed.replayed == (ID,)
    assert [email.state for email in store.all()] == [State.QUEUED, State.FAILED]
