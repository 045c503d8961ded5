"""The idempotency keys of the fake provider, honoured as Resend says that it does.

Resend's calls may have an `Idempotency-Key`. A key that was accepted before, by the
same account, is not accepted again:

- with the same body the answer is the earlier one, with the same id;
- with another body it is 409 `invalid_idempotent_request`;
- while the first call is inside of its `delay_ms` it is 409
  `concurrent_idempotent_requests`. Neither of the two waits for a `delay_ms`.

Keys are looked at where the email would be taken. So a rule's fault before that hides
them, and a fault after it is what the client sees instead of these answers. A new
process finds the keys again in the journal file, however the last one ended.

https://resend.com/docs/dashboard/emails/idempotency-keys
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from tests.fake_rules import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a call's key makes of it: the recorded answer, with which id.

    `takes` says that it is one more email.
    """

    answer: str = "accepted"
    message_id: str
    takes: bool = False

    @property
    def is_refusal(self) -> bool:
        return self.answer != "accepted"


class Keys:
    """Which keys have been accepted, by which account, and which are in use just now.

    Every acceptance is noted, also while keys are not honoured.
    """

    def __init__(self, *, honoured: bool = True) -> None:
        self.honoured = honoured
        #: The digest of the body and the id of the answer, by account and key.
        self._spent: dict[tuple[str, str], tuple[str, str]] = {}
        self._in_use: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def read(self, journal: Path) -> None:
        """Note what an earlier process accepted, from the journal that it left."""
        whole_lines = journal.read_bytes().split(b"\n")[:-1]
        for taken in map(json.loads, whole_lines):
            if taken.get("key") is not None:
                name = (taken["provider"], taken["key"])
                self._spent.setdefault(name, (taken["body"], taken["message_id"]))

    def begin(self, call: Call, ruling: Ruling) -> Ruling:
        """Return what becomes of a call that would be taken; if it is, note that."""
        if call.key is None:
            return replace(ruling, takes=True)
        name, body = (call.provider, call.key), body_of(call)
        with self._lock:
            spent, message_id = self._spent.get(name, (None, ""))
            if self.honoured and spent is not None:
                if spent != body:
                    return replace(ruling, answer="key_conflict")
                if name in self._in_use:
                    return replace(ruling, answer="key_in_use")
                return replace(ruling, message_id=message_id)
            self._spent.setdefault(name, (body, ruling.message_id))
            self._in_use.add(name)
            return replace(ruling, takes=True)

    def end(self, call: Call) -> None:
        """Note that the answer to a call that was taken is there."""
        if call.key is not None:
            with self._lock:
                self._in_use.discard((call.provider, call.key))

    def forget(self) -> None:
        with self._lock:
            self._spent.clear()


def body_of(call: Call) -> str:
    """Return what tells two bodies apart."""
    return hashlib.sha256(call.raw).hexdigest()
