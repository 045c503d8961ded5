"""The parameters of lists: what may be asked for, checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import falcon
from pydantic_core import PydanticCustomError

from ..domain.archive import LARGEST_PAGE, DeadLetters, Page, Query, is_email_id
from ..domain.email import State
from . import checks
from .errors import validation_error
from .faults import Fault, FaultCode

#: Where a page begins and how long it is.
PAGING = ("limit", "after", "before")

#: Filters of which a list takes one: each has an index of its own.
ONE_OF = ("state", "to", "tag", "provider")

#: And those that go with any of them.
TIMES = ("created_after", "created_before")

#: Filters of dead letters; there are few, so all of them at once.
OF_DEAD_LETTERS = ("reason", "provider", "since")

#: Most characters of a name or a reason that is looked for.
LONGEST_WORD = 256

_USUAL_LIMIT = 20
_SPACE_FOR_PLUS = re.compile(r" (?=\d\d:?\d\d$)", re.ASCII)

T = TypeVar("T")


@dataclass(slots=True)
class Asked:
    """The parameters of one request, and what is wrong with them."""

    values: dict[str, str]
    faults: list[Fault] = field(default_factory=list)

    def read(self, name: str, read: Callable[[str], T]) -> T | None:
        """Return what a parameter says, or ``None`` if it is absent or wrong."""
        if name not in self.values:
            return None
        try:
            return read(self.values[name])
        except PydanticCustomError as ex:
            self.blame(name, FaultCode(ex.type), ex.message())
            return None

    def blame(self, name: str, code: FaultCode, message: str) -> None:
        """Note what is wrong with a parameter."""
        self.faults.append(Fault(field=name, code=code, message=message))

    def exclude(self, names: Iterable[str]) -> None:
        """Refuse more than one of these."""
        given = [name for name in names if name in self.values]
        for name in given[1:]:
            message = f"cannot be asked for together with `{given[0]}`"
            self.blame(name, FaultCode.CONFLICT, message)


def emails_asked(req: falcon.Request) -> tuple[Query, Page]:
    """Return which emails a request asks for, and which page of them.

    Raises:
        ApiError: 400 with every parameter that is unknown or wrong.
    """
    asked = _asked(req, (*PAGING, *ONE_OF, *TIMES))
    asked.exclude(ONE_OF)
    page = _page(asked)
    name, value = asked.read("tag", _tag) or (None, None)
    query = Query(
        state=asked.read("state", _state),
        to=asked.read("to", _address),
        tag=name,
        tag_value=value,
        attempted=asked.read("provider", word),
        created_after=asked.read("created_after", instant),
        created_before=asked.read("created_before", instant),
    )
    _check(asked)
    return query, page


def dead_letters_asked(req: falcon.Request) -> tuple[DeadLetters, Page]:
    """Return which dead letters a request asks for, and which page of them.

    Raises:
        ApiError: 400 with every parameter that is unknown or wrong.
    """
    asked = _asked(req, (*PAGING, *OF_DEAD_LETTERS))
    page = _page(asked)
    query = DeadLetters(
        reason=asked.read("reason", word),
        provider=asked.read("provider", word),
        since=asked.read("since", instant),
    )
    _check(asked)
    return query, page


def no_parameters(req: falcon.Request) -> None:
    """Refuse parameters where there are none.

    Raises:
        ApiError: 400 with every parameter that was given.
    """
    _check(_asked(req, ()))


def word(text: str) -> str:
    """Read the name of something; any one, since providers come and go."""
    return checks.text_line(checks.at_most(checks.not_blank(text), LONGEST_WORD))


def instant(text: str) -> datetime:
    """Read an instant: ISO 8601 with an offset."""
    try:
        # An offset's plus that nobody has escaped arrives as a space.
        when = datetime.fromisoformat(_SPACE_FOR_PLUS.sub("+", text.strip()))
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise checks.fault(
        FaultCode.INVALID_TIME,
        "must be ISO 8601 with an offset (2030-01-31T09:00:00Z)",
    )


def _asked(req: falcon.Request, known: Collection[str]) -> Asked:
    asked = Asked(values={})
    for name, value in req.params.items():
        shown = name[:LONGEST_WORD]
        if name not in known:
            listed = ", ".join(known) or "none"
            message = f"is not a parameter here; there are {listed}"
            asked.blame(shown, FaultCode.UNKNOWN_FIELD, message)
        elif isinstance(value, list):
            asked.blame(shown, FaultCode.DUPLICATE, "must be given once")
        elif not value.strip():
            asked.blame(shown, FaultCode.EMPTY, "must not be empty")
        else:
            asked.values[name] = value
    return asked


def _page(asked: Asked) -> Page:
    asked.exclude(("after", "before"))
    limit = asked.read("limit", _limit)
    after, before = asked.read("after", _cursor), asked.read("before", _cursor)
    return Page(
        limit=limit or _USUAL_LIMIT, after=after, before=None if after else before
    )


def _check(asked: Asked) -> None:
    if asked.faults:
        raise validation_error(asked.faults)


def _limit(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    raise checks.fault(FaultCode.INVALID, f"must be 1 to {LARGEST_PAGE}")


def _cursor(text: str) -> str:
    if is_email_id(text):
        return text
    raise checks.fault(FaultCode.INVALID, "must be the id of an email")


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise checks.fault(
            FaultCode.NOT_A_CHOICE, f"must be one of {', '.join(State)}"
        ) from None


def _address(text: str) -> str:
    return checks.mailbox(text).addr_spec


def _tag(text: str) -> tuple[str, str | None]:
    """Read ``NAME``, or ``NAME=VALUE``; a value may be empty."""
    name, equals, value = text.partition("=")
    if not equals:
        return checks.tag_part(name), None
    return checks.tag_part(name), value and checks.tag_part(value)
