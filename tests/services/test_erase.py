"""What is erased says nothing any more; what is open is left, and counted."""

from dataclasses import replace

import pytest

from postroom.adapters.clock import FakeClock
from postroom.adapters.memory_erasure import MemoryErasure
from postroom.domain.change import Change
from postroom.domain.email import State
from postroom.domain.erasure import is_erased_whole
from postroom.domain.errors import EmailNotFoundError, ForbiddenTransitionError
from postroom.services import erase as module
from postroom.services.erase import Erase, Erased
from tests.builders import ID, NOW, POLICY, a_recipient, an_email

ADA, BOB = "ada@example.com", "bob@example.com"


class RivalStore(MemoryErasure):
    """Somebody else changes the email before each erasure, as often as told."""

    rivals = 0

    def erase_whole(self, change: Change) -> bool:
        if self.rivals:
            self.rivals -= 1
            stored = self._emails[change.email_id]
            self._emails[change.email_id] = replace(stored, fence=stored.fence + 1)
        return super().erase_whole(change)


@pytest.fixture
def store() -> RivalStore:
    return RivalStore()


@pytest.fixture
def erase(store: RivalStore) -> Erase:
    return Erase(store=store, erasure=store, clock=FakeClock(NOW), policy=POLICY)


def an_id(no: int) -> str:
    return f"{no:024x}"


def test_one_email_is_erased_and_once_more_is_no_error(
    store: RivalStore, erase: Erase
) -> None:
    store.insert(an_email(State.SENT))

    first = erase(ID, owner="default")
    again = erase(ID, owner="default")

    assert is_erased_whole(first)
    assert again == first == store.load(ID)


def test_an_email_that_moves_on_meanwhile_is_looked_at_again(
    store: RivalStore, erase: Erase
) -> None:
    store.insert(an_email(State.SENT))
    store.rivals = 2

    assert is_erased_whole(erase(ID))


def test_an_open_email_is_refused(store: RivalStore, erase: Erase) -> None:
    store.insert(an_email())

    with pytest.raises(ForbiddenTransitionError, match="queued still needs"):
        erase(ID)


def test_another_owner_s_is_not_there(store: RivalStore, erase: Erase) -> None:
    email = an_email(State.SENT)
    store.insert(email)

    with pytest.raises(EmailNotFoundError):
        erase(ID, owner="bob")
    assert store.load(ID) == email


@pytest.fixture
def many(store: RivalStore, monkeypatch: pytest.MonkeyPatch) -> RivalStore:
    monkeypatch.setattr(module, "SLICE", 2)
    bob = a_recipient(addr_spec=BOB)
    for no in range(5):
        store.insert(an_email(State.SENT, email_id=an_id(no)))
    store.insert(an_email(email_id=an_id(5)))
    store.insert(an_email(State.SENT, email_id=an_id(6), recipients=(bob,)))
    store.insert(an_email(State.FAILED, email_id=an_id(7), owner="bea"))
    return store


def erased_in(store: MemoryErasure) -> list[str]:
    return [e.email_id for e in store.all() if is_erased_whole(e)]


def test_all_emails_to_an_address_are_erased_but_for_open_ones(
    many: RivalStore, erase: Erase
) -> None:
    done = erase.all_to("ADA@example.com")

    assert done == Erased(erased=6, still_open=1)
    assert erased_in(many) == [an_id(no) for no in (0, 1, 2, 3, 4, 7)]
    assert erase.all_to(ADA) == Erased(erased=0, still_open=1)


def test_only_one_owner_s_if_asked(many: RivalStore, erase: Erase) -> None:
    assert erase.all_to(ADA, owner="bea") == Erased(erased=1, still_open=0)
    assert erased_in(many) == [an_id(7)]


def test_a_dry_run_counts_and_erases_nothing(many: RivalStore, erase: Erase) -> None:
    assert erase.all_to(ADA, dry_run=True) == Erased(erased=6, still_open=1)
    assert erased_in(many) == []


class ForgetfulStore(RivalStore):
    """Finds what is gone when it is looked at."""

    def addressed_to(self, *args: object, **given: object) -> list[str]:
        return [an_id(99)]


def test_one_whose_record_is_gone_meanwhile_is_passed_over() -> None:
    store = ForgetfulStore()
    erase = Erase(store=store, erasure=store, clock=FakeClock(NOW), policy=POLICY)

    assert erase.all_to(ADA) == Erased(erased=0, still_open=0)
