"""What has come of a request so far, and whether a thread should take it.

A thread that waits for a client does nothing else, and a client can be slow on
purpose. So a request is collected first, in the loop that waits for all clients at
once; only one that is there, or too large to be waited for, gets a thread (ADR 0046).
"""

from __future__ import annotations

import re

#: In bytes: a larger body is not collected to its end. Nearly all emails are smaller.
LARGE_BODY = 256 * 1024

#: Most bytes of a request line and its headers.
LONGEST_HEAD = 64 * 1024

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,19})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)

#: The chunk of no bytes, which is the last one, and perhaps trailers. It may stand
#: within the body of an odd client too: then a thread reads on a little too early.
_LAST_CHUNK = re.compile(rb"\r\n0+(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n")

#: How far before new bytes the last chunk may have begun, in bytes.
_LOOK_BACK = 4096


class Heard:
    """The bytes of one request, from its first on.

    Args:
        until: When it must be enough, on the monotonic clock in seconds.

    Attributes:
        is_awaited: Whether somebody is to be told when more comes. What is here at
            once is never waited for.
    """

    def __init__(self, *, until: float) -> None:
        self.until = until
        self.is_awaited = False
        self.bytes = bytearray()
        self._head_end: int | None = None
        self._enough_at: int | None = None
        self._expects = False

    def add(self, data: bytes) -> None:
        """Note what came."""
        seen = len(self.bytes)
        self.bytes += data
        if self._head_end is None:
            end = self.bytes.find(b"\r\n\r\n", max(0, seen - 3))
            if end < 0:
                return
            self._head_end = end + 4
            self._enough_at = self._read_head(self._head_end)
        if self._enough_at is None:
            back = max(self._head_end - 2, seen - _LOOK_BACK)
            is_large = len(self.bytes) >= self._head_end + LARGE_BODY
            if is_large or _LAST_CHUNK.search(self.bytes, back):
                self._enough_at = len(self.bytes)

    @property
    def is_enough(self) -> bool:
        """Whether a thread may take it: it need not wait, or only for a large body."""
        return self._enough_at is not None and len(self.bytes) >= self._enough_at

    @property
    def is_flood(self) -> bool:
        """Whether its headers are too long."""
        return self._head_end is None and len(self.bytes) > LONGEST_HEAD

    def ask_for_leave(self) -> bool:
        """Return, once, whether the client waits to be told to send its body."""
        asks = self._expects and not self.is_enough
        self._expects = False
        return asks

    def _read_head(self, end: int) -> int | None:
        """Return with how many bytes it is enough; ``None`` if only its end tells."""
        head = bytes(self.bytes[:end])
        self._expects = _EXPECTS.search(head) is not None
        if _CHUNKED.search(head):
            return None
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if self._expects and length > LARGE_BODY:
            return end  # it is told before it sends all that, perhaps with a 413
        return end + min(length, LARGE_BODY)
