"""What the judge is given: what was asked, answered, sent and stored, as plain facts.

Each kind is one file of a run's folder, one JSON object a line. What the client was
answered and what the provider accepted are on the disk before anything follows from
them. All times are epoch seconds of this machine, which the processes share.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

Fact = TypeVar("Fact")

#: How a verb ended: done; refused by a rule; nobody could tell, so it may be done.
DONE, REFUSED, UNSURE = "done", "refused", "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One email of a POST, and what its client was answered.

    Attributes:
        no: Of the email that is asked for, however often that is.
        digest: Of recipients, subject and bodies, as the provider's journal has it.
        scheduled_at: When it was asked to go, or ``None`` for at once.
        status: The answer's, or the fault of the connection.
        seconds: How long the client waited.
        key: The name that the client has for the request, if any.
        said: The name of the error, if it was one.
    """

    no: int
    delivery: str
    digest: str
    scheduled_at: float | None
    asked_at: float
    status: int | str
    email_id: str | None
    seconds: float
    key: str | None = None
    said: str = ""

    @property
    def answered_at(self) -> float:
        return self.asked_at + self.seconds

    @property
    def is_accepted(self) -> bool:
        """Whether the client was told so; 200 is the answer to a batch."""
        return self.status in {200, 201}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A cancel, reschedule or redrive and what its caller was told.

    Attributes:
        name: ``cancel``, ``cancel_by_force``, ``reschedule`` or ``redrive``.
        answer: ``done``, ``refused`` or ``unsure``.
        to: The time that a reschedule asked for.
    """

    name: str
    email_id: str
    asked_at: float
    answered_at: float
    answer: str
    to: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One email that the provider accepted: a line of its journal."""

    provider: str
    email_id: str | None
    message_id: str
    digest: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One call that the provider refused for good."""

    email_id: str | None
    status: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, from when it was made until it was mended."""

    kind: str
    started_at: float
    ended_at: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What the store says of an email, at the end.

    Attributes:
        unknown_attempts: Attempts whose outcome is not known.
        possible_duplicates: Attempts begun while earlier ones may have been out.
    """

    email_id: str
    state: str
    is_held: bool = False
    is_open: bool = False
    unknown_attempts: int = 0
    possible_duplicates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it."""

    posts: tuple[Post, ...] = ()
    verbs: tuple[Verb, ...] = ()
    sends: tuple[Send, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    faults: tuple[Fault, ...] = ()
    documents: tuple[Document, ...] = ()


#: Which file holds what.
FILES: Mapping[str, type[Any]] = {
    "posts": Post,
    "verbs": Verb,
    "sends": Send,
    "refusals": Refusal,
    "faults": Fault,
    "documents": Document,
}


class Ledger:
    """A file that facts are appended to, on the disk before `add` returns."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = path_of(folder, name).open("ab")
        self._lock = threading.Lock()

    def add(self, *facts: Any) -> None:
        lines = "".join(json.dumps(asdict(fact)) + "\n" for fact in facts)
        with self._lock:
            self._file.write(lines.encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def path_of(folder: Path, name: str) -> Path:
    # The sends are what the fake provider writes by itself.
    return folder / f"{'journal' if name == 'sends' else name}.jsonl"


def write(folder: Path, name: str, facts: Iterable[Any]) -> None:
    lines = "".join(json.dumps(asdict(fact)) + "\n" for fact in facts)
    path_of(folder, name).write_text(lines)


def read(folder: Path) -> Evidence:
    """Read a run's folder; a file that is not there holds nothing."""
    return Evidence(
        **{
            name: tuple(_facts(path_of(folder, name), kind))
            for name, kind in FILES.items()
        }
    )


def _facts(path: Path, kind: type[Fact]) -> Iterable[Fact]:
    if not path.exists():
        return
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for line in path.read_text().splitlines():
        given = json.loads(line)
        yield kind(**{name: given[name] for name in known & given.keys()})
