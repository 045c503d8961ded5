"""How a verb ends: an exit code that scripts can rely on, and one line of words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer

from ..domain.errors import (
    BreakersAwayError,
    ClockUnsureError,
    EmailNotFoundError,
    InvalidValueError,
    KeyNotFoundError,
    NotStoredError,
    PostroomError,
    SettingsError,
    StorageUnsureError,
    StoreUnavailableError,
    UnknownProviderError,
)
from .errors import InputError


class ExitCode(IntEnum):
    """What a script may tell apart."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    AWAY = 3
    NOT_FOUND = 4


#: Shown under every `--help`.
EPILOG = (
    "Exit codes: 0 done. 1 failed or refused. 2 the command line is wrong. "
    "3 a store is away. 4 not found."
)

_NO_MONGODB = (ClockUnsureError, NotStoredError, StoreUnavailableError)


@contextmanager
def answering() -> Iterator[None]:
    """Turn what a service raises into words on standard error and an exit code."""
    try:
        yield
    except (InputError, InvalidValueError) as ex:
        stop(str(ex), ExitCode.USAGE)
    except (EmailNotFoundError, KeyNotFoundError, UnknownProviderError) as ex:
        stop(str(ex), ExitCode.NOT_FOUND)
    except StorageUnsureError as ex:
        told = f"{ex}: `postroom show {ex.email_id}` before you send it again"
        stop(told, ExitCode.AWAY)
    except _NO_MONGODB as ex:
        stop(f"MongoDB: {ex}", ExitCode.AWAY)
    except BreakersAwayError as ex:
        stop(str(ex), ExitCode.AWAY)
    except (PostroomError, SettingsError) as ex:
        stop(str(ex), ExitCode.FAILED)


def stop(words: str, code: ExitCode) -> NoReturn:
    """Say on standard error why it goes no further, and end.

    Raises:
        Exit: Always.
    """
    say(f"postroom: {words}")
    raise typer.Exit(code)


def say(words: str) -> None:
    """Tell the operator something that is no part of the answer."""
    typer.echo(words, err=True)
