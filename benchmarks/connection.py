"""What the servers of the bench have in common: bytes in, whole requests answered."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod


class Connection(asyncio.Protocol, ABC):
    """One connection: requests come one after the other, perhaps in pieces."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._read += data
        while (length := self.length_of(self._read)) is not None:
            request = bytes(self._read[:length])
            del self._read[:length]
            self.answer(request)

    @abstractmethod
    def length_of(self, read: bytearray) -> int | None:
        """Return how long the first request is; ``None`` if it is not all there."""

    @abstractmethod
    def answer(self, request: bytes) -> None:
        """Answer one request, now or later."""

    def write(self, answer: bytes) -> None:
        """Send an answer, unless the client is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
