"""The last net under the logs: no address and no secret gets through.

Nothing should log one in the first place; an exception of a driver, a provider's
answer or a ``repr`` may hold one all the same. Clients' keys are known by their looks:
no process knows them all.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from .secret import HIDDEN, Secret

#: What stands in the place of an address.
HIDDEN_ADDRESS = "[address]"

#: Shorter secrets would take everyday words out of the logs.
SHORTEST_SECRET = 4

#: In characters; a traceback with its cause fits. Bounds the cost of one line.
LONGEST_TEXT = 20_000

#: Items of a list or a mapping, and how deep they may be nested.
MOST_ITEMS = 100
DEEPEST = 4

#: A local part (RFC 5322 `atext`, any script, or quoted), an @ as it is or as in a
#: URL, and what follows. Every repetition is bounded, so the time is linear.
_ADDRESS = re.compile(
    r"""(?:"[^"\n]{0,64}"|'{1,64}(?=@|%40)|[\w.!#$%&*+/=?^`{|}~-][\w.!#$%&'*+/=?^`{|}~-]{0,63})"""
    r"""(?:@|%40)(?:[\w.%-]{1,255}|\[[0-9A-Fa-f:.IPv]{1,64}\])""",
)


#: A client's key, or what is left of one: the prefix and no more than a hint of it.
_CLIENT_KEY = re.compile(r"\bpr_(live|test)_[A-Za-z0-9_-]{8,512}")


class Redactor:
    """Takes addresses and given secrets out of anything that is to be logged."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        values = {secret.reveal() for secret in secrets}
        # The longest first: a URI as a whole before the password inside of it.
        found = {value for value in values if len(value) >= SHORTEST_SECRET}
        hidden = sorted(map(re.escape, found), key=len, reverse=True)
        self._secrets = re.compile("|".join(hidden)) if hidden else None
        # As they are, and as they look within JSON.
        self._looks = (*found, *{json.dumps(value)[1:-1] for value in found} - found)

    def is_harmless(self, line: str) -> bool:
        """Return whether a line of JSON certainly has nothing to be hidden, or cut."""
        return (
            len(line) <= LONGEST_TEXT
            and "@" not in line
            and "%40" not in line
            and "pr_" not in line
            and not any(look in line for look in self._looks)
        )

    def text(self, text: str) -> str:
        """Return the text without addresses and secrets, cut to `LONGEST_TEXT`."""
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
        if "pr_" in text:
            text = _CLIENT_KEY.sub(rf"pr_\1_{HIDDEN}", text)
        if "@" in text or "%40" in text:
            text = _ADDRESS.sub(HIDDEN_ADDRESS, text)
        return text

    def value(self, value: object, *, depth: int = 0) -> object:
        """Return something of JSON's types that shows no address and no secret."""
        if isinstance(value, Mapping) and depth < DEEPEST:
            return {
                self.text(_shown(key)): self.value(item, depth=depth + 1)
                for key, item in list(value.items())[:MOST_ITEMS]
            }
        if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
            items = list(value)[:MOST_ITEMS]
            return [self.value(item, depth=depth + 1) for item in items]
        plain = _plain(value)
        return self.text(plain) if isinstance(plain, str) else plain


def _plain(value: object) -> str | float | bool | None:
    match value:
        case None | bool():
            return value
        case int() | float() if math.isfinite(value):
            return value
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case _:
            return _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    try:
        return repr(value)
    except Exception as ex:  # noqa: BLE001 - a field's own code; a log must not fail
        return f"<{type(value).__name__}: {type(ex).__name__} in its repr>"
