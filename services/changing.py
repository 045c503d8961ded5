"""Change one email by what is stored of it, however often somebody writes meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from ..domain.change import Change
from ..domain.email import Email
from ..domain.errors import EmailNotFoundError
from ..domain.ports import EmailStore


def load_email(store: EmailStore, email_id: str, *, owner: str | None) -> Email:
    """Load an email that somebody asks for; another owner's is as good as none.

    Args:
        store: The truth.
        email_id: Which email.
        owner: Whose it must be; ``None`` for an operator.

    Raises:
        EmailNotFoundError: There is none of that id.
        StoreUnavailableError: The store did not answer.
    """
    email = store.load(email_id)
    if email is None or owner not in {None, email.owner}:
        raise EmailNotFoundError(f"there is no email {email_id}")
    return email


def change_email(
    store: EmailStore,
    email_id: str,
    change_of: Callable[[Email], Change],
    *,
    owner: str | None,
) -> Email:
    """Load an email and write a change of it; read it anew if it has moved on.

    Args:
        store: The truth.
        email_id: Which email.
        change_of: Says what becomes of it; may raise if its state allows nothing.
        owner: Whose it must be; ``None`` for an operator.

    Returns:
        The email as it was written.

    Raises:
        EmailNotFoundError: There is none of that id.
        StoreUnavailableError: The store did not answer; it may be written.
    """
    while True:
        email = load_email(store, email_id, owner=owner)
        change = change_of(email)
        if store.apply(change):
            return change.after
