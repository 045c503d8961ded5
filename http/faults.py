"""What can be wrong with a request: a closed list of codes, one fault per finding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

#: Most faults that one answer lists: a body of 15 MB could hold a million.
MOST_FAULTS = 100


class FaultCode(StrEnum):
    """One word for what is wrong with a field; clients may rely on it."""

    MALFORMED_JSON = "malformed_json"
    MISSING = "missing"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    TOO_LARGE = "too_large"
    NOT_A_CHOICE = "not_a_choice"
    INVALID_ADDRESS = "invalid_address"
    INVALID_NAME = "invalid_name"
    INVALID_CONTENT = "invalid_content"
    INVALID_TIME = "invalid_time"
    CONTROL_CHARACTER = "control_character"
    RESERVED_HEADER = "reserved_header"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UNKNOWN_PROVIDER = "unknown_provider"
    CANNOT_CARRY = "cannot_carry"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    NOT_SUPPORTED_YET = "not_supported_yet"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes:
        field: Where: a name, each further one after a dot, each position in an array
            in brackets and counted from 0, as in ``to[0]``, ``attachments[1].content``
            or, of a batch, ``[1].to[0]``; empty for the request as a whole.
        code: What, as one word.
        message: What, in a sentence. It shows no address and no body.
    """

    field: str
    code: FaultCode
    message: str

    def of_item(self, index: int) -> Fault:
        """Return the fault of an email as one of its batch.

        Examples:
            >>> Fault(field="to[0]", code=FaultCode.EMPTY, message="").of_item(1).field
            '[1].to[0]'
            >>> Fault(field="", code=FaultCode.EMPTY, message="").of_item(1).field
            '[1]'
        """
        below = f".{self.field}" if self.field else ""
        return replace(self, field=f"[{index}]{below}")
