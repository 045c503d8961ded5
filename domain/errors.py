"""Every exception that Postroom raises on purpose.

::

    PostroomError
    ├── InvalidValueError (ValueError)   a value breaks a rule of the domain
    │   └── InvalidAddressError          ... and it is an address
    ├── EmailNotFoundError               no email has this id
    ├── ForbiddenTransitionError         the lifecycle has no such edge
    ├── UnbuildableError                 a provider's request cannot be made of it
    ├── UncarriableError                 no configured provider could ever carry it
    ├── UncarriableItemsError            ... nor emails of a batch
    ├── KeyReusedError                   an idempotency key came with another request
    ├── StoreError                       the document store did not do as asked
    │   ├── NotStoredError               ... and the document is known not to be there
    │   │   └── NoTransactionsError      ... for it has no transactions
    │   ├── StorageUnsureError           ... and nobody knows whether it is there
    │   ├── KeyInUseError                ... another request has its key in hand
    │   ├── StoreUnavailableError        ... it could not be reached or read
    │   └── SearchTimeoutError           ... a search was not done in its time
    ├── HintError                        Redis did not take a hint
    ├── BreakersAwayError                Redis did not take an operator's order
    ├── UnknownProviderError             no configured provider has this name
    ├── SenderForbiddenError             a key may not send from this domain
    ├── KeyNotFoundError                 no key has this id
    └── ClockUnsureError                 the store's time has not been seen lately

    SettingsError (Exception)            outside the tree: no handler may swallow it
    └── StartRefusedError                ... a self-check found what would lose email

What a provider answers is not an exception but an outcome (``outcome.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = [
    "BreakersAwayError",
    "ClockUnsureError",
    "EmailNotFoundError",
    "ForbiddenTransitionError",
    "HintError",
    "InvalidAddressError",
    "InvalidValueError",
    "KeyInUseError",
    "KeyNotFoundError",
    "KeyReusedError",
    "NoTransactionsError",
    "NotStoredError",
    "PostroomError",
    "SearchTimeoutError",
    "SenderForbiddenError",
    "SettingsError",
    "StartRefusedError",
    "StorageUnsureError",
    "StoreError",
    "StoreUnavailableError",
    "UnbuildableError",
    "UncarriableError",
    "UncarriableItemsError",
    "UnknownProviderError",
]


class PostroomError(Exception):
    """Root of all that Postroom raises on purpose."""


class InvalidValueError(PostroomError, ValueError):
    """Raised when a value breaks a rule of the domain."""


class InvalidAddressError(InvalidValueError):
    """Raised when an address is not one plain ``local@domain``."""


class EmailNotFoundError(PostroomError):
    """Raised when no email has the id that somebody asks for."""


class ForbiddenTransitionError(PostroomError):
    """Raised when the lifecycle has no such edge from the email's state."""


class UnbuildableError(PostroomError):
    """Raised when a provider's request cannot be made of this email.

    Found before the claim, so no attempt is used up. ``field`` names what it is
    about.
    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class UncarriableError(PostroomError):
    """Raised at accept when no configured provider could ever carry the email.

    ``reasons`` has one word for each provider, by its name.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        told = ", ".join(f"{name}: {why}" for name, why in reasons.items())
        super().__init__(f"no configured provider can carry this email ({told})")
        self.reasons = dict(reasons)


class UncarriableItemsError(PostroomError):
    """Raised at accept when no provider could ever carry some emails of a batch.

    ``items`` has for the index of each what `UncarriableError` has.
    """

    def __init__(self, items: Mapping[int, Mapping[str, str]]) -> None:
        super().__init__(f"no configured provider can carry {len(items)} emails of it")
        self.items = {index: dict(reasons) for index, reasons in items.items()}


class KeyReusedError(PostroomError):
    """Raised when a key is known, and from another request."""


class StoreError(PostroomError):
    """Raised when the document store did not do as it was asked."""


class NotStoredError(StoreError):
    """Raised when an email is known not to be in the store."""


class NoTransactionsError(NotStoredError):
    """Raised when the store has no transactions: a server that stands alone."""


class StorageUnsureError(StoreError):
    """Raised when nobody could find out whether the email was stored.

    ``email_id`` lets the client look it up later; ``email_ids`` has all of a batch,
    which is stored as a whole or not at all. ``has_key``: repeating it is safe.
    """

    def __init__(
        self,
        message: str,
        *,
        email_id: str,
        email_ids: Iterable[str] = (),
        has_key: bool = False,
    ) -> None:
        super().__init__(message)
        self.email_id = email_id
        self.email_ids = tuple(email_ids) or (email_id,)
        self.has_key = has_key


class KeyInUseError(StoreError):
    """Raised when another request has the same key in hand: nothing was stored."""


class StoreUnavailableError(StoreError):
    """Raised when the store could not be reached, or did not answer in time.

    After a write this means that it may have been applied: read it back.
    """


class SearchTimeoutError(StoreError):
    """Raised when the store is there, but a search was not done in its time."""


class HintError(PostroomError):
    """Raised when Redis did not take a hint. The email is safe without it."""


class BreakersAwayError(PostroomError):
    """Raised when Redis is away, so that the shared breakers cannot be reached."""


class UnknownProviderError(PostroomError):
    """Raised when no configured provider has this name; ``known`` lists them."""

    def __init__(self, name: str, *, known: Iterable[str]) -> None:
        self.known = tuple(known)
        super().__init__(
            f"there is no provider {name!r}, only {', '.join(self.known)}",
        )


class SenderForbiddenError(PostroomError):
    """Raised when a key may not send from this domain; ``allowed`` are those of it."""

    def __init__(self, domain: str, *, allowed: Iterable[str]) -> None:
        self.domain = domain
        self.allowed = tuple(allowed)
        super().__init__(f"this key may only send from {', '.join(self.allowed)}")


class KeyNotFoundError(PostroomError):
    """Raised when no key has the id that somebody asks for."""


class ClockUnsureError(PostroomError):
    """Raised when the store's time has not been seen for five minutes."""


class SettingsError(Exception):
    """Raised at start when settings are wrong; ``faults`` lists all of them."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("settings: " + "; ".join(faults))
        self.faults = faults


class StartRefusedError(SettingsError):
    """Raised at start when email would be lost or doubled; ``faults`` says by what."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        Exception.__init__(self, "refuses to start: " + "; ".join(faults))
        self.faults = faults
