"""What a MongoDB URI asks for and does not get: the promise does not hang on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

#: What holds instead.
MAJORITY_RULES = (
    "every email is written to a majority and its journal, and read from the primary"
)

#: Options that could weaken it, in lower case, and whether a value does not.
_WEAKENING: Mapping[str, Callable[[str], bool]] = {
    "w": lambda value: value == "majority",
    "journal": lambda value: value.lower() == "true",
    "j": lambda value: value.lower() == "true",
    "wtimeoutms": lambda value: value == "0",
    "readconcernlevel": lambda value: value in {"majority", "linearizable"},
    "readpreference": lambda value: value.lower() == "primary",
}


def overruled_options(uri: str) -> Iterator[str]:
    """Give the options of a URI that would weaken writes or reads, as they stand there.

    Examples:
        >>> list(overruled_options("mongodb://db/mail?w=1&appName=x&journal=true"))
        ['w=1']
    """
    # Some drivers' examples part options by a semicolon, and this one takes it.
    query = urlsplit(uri).query.replace(";", "&")
    for name, value in parse_qsl(query, keep_blank_values=True):
        is_harmless = _WEAKENING.get(name.lower())
        if is_harmless is not None and not is_harmless(value):
            yield f"{name}={value}"
