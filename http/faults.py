"""What can be wrong with a request: a closed list of codes, one fault per finding."""

from __future__ import annotations

from dataclasses import dataclass
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
        field: Where, as in ``to[0]`` or ``attachments[1].content``; empty for the
            request as a whole.
        code: What, as one word.
        message: What, in a sentence. It shows no address and no body.
    """

    field: str
    code: FaultCode
    message: str
