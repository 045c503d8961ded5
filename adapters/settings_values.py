"""How each type of setting is read from text, and what is said when it cannot be.

A reader takes text that is stripped and not empty, and raises ValueError; its
message, if it has one, is shown to the operator and so never holds the value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from redis.connection import Connection, SSLConnection, parse_url

from ..domain.address import ascii_domain, parse_address
from ..domain.email import Address
from .secret import Secret

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,12}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]+")

_FLAGS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}

#: Pool options that a URL may name and a connection does not know.
_POOL_OPTIONS = ("connection_class", "max_connections", "timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """A type of setting.

    Attributes:
        read: Turns text into the value, or raises ValueError.
        expected: What an operator should have written, for faults and the README.
        secret: Never show what was written.
    """

    read: Callable[[str], T]
    expected: str
    secret: bool = False


def whole(low: int, high: int) -> Kind[int]:
    """Describe a whole number from ``low`` to ``high``."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Kind(read=read, expected=f"a whole number from {low} to {high}")


def number(low: float, high: float, *, of: str) -> Kind[float]:
    """Describe a decimal number of some unit, from ``low`` to ``high``."""

    def read(text: str) -> float:
        if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError
        return float(text)

    return Kind(read=read, expected=f"a number of {of} from {low:g} to {high:g}")


def duration(low: float, high: float, *, of: str = "seconds") -> Kind[timedelta]:
    """Describe a duration; ``of`` is the unit, as `timedelta` calls it."""
    plain = number(low, high, of=of)
    return Kind(
        read=lambda text: timedelta(**{of: plain.read(text)}),
        expected=plain.expected,
    )


def choice(enum: type[E]) -> Kind[E]:
    """Describe one word out of an enum's."""

    def read(text: str) -> E:
        try:
            return enum(text.lower())
        except ValueError:
            raise ValueError from None

    return Kind(read=read, expected="one of " + ", ".join(enum))


def url(*schemes: str, secret: bool = False) -> Kind[str]:
    """Describe the address of a server; a slash at its end is taken off."""

    def read(text: str) -> str:
        parts = split_url(text, schemes)
        if parts.query or parts.fragment or (parts.username and not secret):
            raise ValueError("it must have no user, query or fragment")
        return text.rstrip("/")

    return Kind(
        read=read,
        expected=" or ".join(f"{scheme}://host[:port]" for scheme in schemes),
        secret=secret,
    )


def _flag(text: str) -> bool:
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise ValueError from None


def _key(text: str) -> Secret:
    if not _VISIBLE.fullmatch(text):
        raise ValueError("it holds a space or a character that is not ASCII")
    return Secret(text)


def _mongodb_uri(text: str) -> Secret:
    parts = split_url(text, ("mongodb", "mongodb+srv"), one_host=False)
    if parts.scheme == "mongodb":
        # The driver's own words may quote a piece of the password, so they are
        # dropped; what it only warns about it will say itself. (For mongodb+srv it
        # would ask the DNS, which is for the first connection.)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                parse_uri(text, warn=True)
            except (PyMongoError, ValueError):
                raise ValueError("the driver cannot read it") from None
    return Secret(text)


def _redis_url(text: str) -> Secret:
    parts = split_url(text, ("redis", "rediss"))
    try:
        options = parse_url(text)
        connection = SSLConnection if parts.scheme == "rediss" else Connection
        for name in _POOL_OPTIONS:
            options.pop(name, None)
        connection(**options)  # opens nothing, but knows its options
    except (ValueError, TypeError):
        raise ValueError("the client cannot read it") from None
    # The client takes a path that is no number for database 0.
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path, re.ASCII):
        raise ValueError("the database must be a number")
    return Secret(text)


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise ValueError("there is none")
    return folder


def split_url(
    text: str, schemes: tuple[str, ...], *, one_host: bool = True
) -> SplitResult:
    """Take a URL apart that has one of the schemes and a host.

    Raises:
        ValueError: It is anything else.
    """
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and (not one_host or parts.port != 0)
    except ValueError:
        has_host = False
    if not has_host or not _VISIBLE.fullmatch(text) or parts.scheme not in schemes:
        raise ValueError(
            "special characters of a user or password must be percent-encoded"
            if "@" in text
            else "",
        )
    return parts


def _origins(text: str) -> tuple[str, ...]:
    origins = _items(text)
    for origin in origins:
        if origin == "*":
            continue
        parts = split_url(origin, ("http", "https"))
        if parts.path or parts.query or parts.fragment or parts.username:
            raise ValueError("an origin ends after its host or port")
    return origins


def _items(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _numbers(text: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for item in _items(text):
        name, equals, number = (part.strip() for part in item.partition("="))
        if not name or not equals:
            raise ValueError(f"{item!r} is not name=number")
        if name in found:
            raise ValueError(f"{name!r} stands there twice")
        found[name] = whole(1, 10_000).read(number)
    return found


def _mailbox(text: str) -> Address:
    return parse_address(text)


FLAG = Kind(read=_flag, expected="true or false")
KEY = Kind(read=_key, expected="a key of visible ASCII characters", secret=True)
FOLDER = Kind(read=_folder, expected="a folder")
DOMAIN = Kind(read=ascii_domain, expected="a domain name")
MAILBOX = Kind(read=_mailbox, expected="Name <local@domain> or local@domain")
ORIGINS = Kind(read=_origins, expected="http(s)://host[:port], ..., or *")
PROVIDER_ITEMS = Kind(
    read=_items,
    expected="name or name=kind, separated by commas, best first",
)
PROVIDER_NUMBERS = Kind(
    read=_numbers,
    expected="name=number, separated by commas, each from 1 to 10000",
)
MONGODB_URI = Kind(
    read=_mongodb_uri,
    expected="mongodb:// or mongodb+srv://[user:password@]host[:port][/database]",
    secret=True,
)
REDIS_URL = Kind(
    read=_redis_url,
    expected="redis:// or rediss://[user:password@]host[:port][/number]",
    secret=True,
)
