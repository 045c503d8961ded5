"""What Schemathesis is told in Python: one check, and what our formats look like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

#: What may be wrong with a value that fits its schema: rules that no schema says.
BEYOND_SCHEMAS = frozenset(
    {
        "cannot_carry",
        "conflict",
        "control_character",
        "duplicate",
        "empty",
        "invalid_address",
        "invalid_content",
        "invalid_time",
        "reserved_header",
        "too_large",
        "too_many",
        "unknown_provider",
    }
)

_WORDS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzäßé0123456789"), min_size=1)
_ADDRESSES = st.builds(
    "{}@{}.example".format,
    st.from_regex(
        r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}(\.[a-z0-9+]{1,8})?", fullmatch=True
    ),
    st.from_regex(r"[a-z0-9]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True),
)
_MAILBOXES = st.one_of(_ADDRESSES, st.builds("{} <{}>".format, _WORDS, _ADDRESSES))
_UNITS = st.sampled_from(["seconds", "min", "hours", "days"])
_DELAYS = st.builds("in {} {}".format, st.integers(0, 999), _UNITS)
_INSTANTS = st.datetimes(
    min_value=datetime(1990, 1, 1),
    max_value=datetime(2029, 1, 1),
    timezones=st.just(UTC),
).map(datetime.isoformat)

schemathesis.openapi.format("mailbox", _MAILBOXES)
schemathesis.openapi.format("instant-or-delay", _DELAYS | _INSTANTS)
schemathesis.openapi.format(
    "media-type", st.sampled_from(["text/plain", "application/pdf", "image/png"])
)


@schemathesis.check
def what_fits_the_schema_is_refused_by_a_rule_only(
    _ctx: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case,
) -> None:
    """Hold a 400 against the rules that a schema cannot say."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    if response.status_code == 400:
        body: dict[str, Any] = response.json()
        codes = {fault["code"] for fault in body["errors"]}
        assert codes, body["message"]
        assert codes <= BEYOND_SCHEMAS, sorted(codes - BEYOND_SCHEMAS)
    assert response.status_code not in (413, 415), response.status_code


@schemathesis.check
def only_a_permissive_batch_answers_what_does_not_fit(
    _ctx: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case,
) -> None:
    """Hold a batch that was taken against its schema, as Schemathesis does others."""
    if case.meta is None or not case.path.endswith("/batch"):
        return
    body = case.meta.components.get(ParameterLocation.BODY)
    if body is not None and body.mode.is_negative and response.status_code < 400:
        headers = case.headers or {}
        assert headers.get("x-batch-validation") == "permissive", headers
        assert response.json()["errors"], "what does not fit is not told"
