"""Emails in a store, and writes to them, for the tests of its contract."""

from postroom.domain import lifecycle
from postroom.domain.change import Change
from postroom.domain.email import Email
from postroom.domain.ports import EmailStore
from tests.builders import ALPHA, ID, NOW, POLICY

#: How many do the same at once.
THREADS = 4


def an_id(no: int) -> str:
    return f"{no:024x}"


def inserted(store: EmailStore, email: Email) -> Email:
    store.insert(email)
    return email


def loaded(store: EmailStore, email_id: str = ID) -> Email:
    email = store.load(email_id)
    assert email is not None
    return email


def a_claim(email: Email, attempt_id: str = "new") -> Change:
    return lifecycle.claim(
        email, provider=ALPHA, attempt_id=attempt_id, now=NOW, policy=POLICY
    )


def an_offer(email: Email) -> Change:
    return lifecycle.offered(email, now=NOW, policy=POLICY)
