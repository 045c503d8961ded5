"""Which answers name an email, and what can be done with it by that name.

Readers see them, and the fuzzer walks along them: it makes an email, then shows,
moves, cancels or erases that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .openapi_parts import EMAIL_ID, Part, Paths

#: Where the id stands in an answer: the operation, the status, the JSON pointer.
_NAMED: Mapping[str, tuple[str, str]] = {
    "listEmails": ("200", "/data/0/id"),
    "sendBatch": ("200", "/data/0/id"),
    "sendEmail": ("201", "/id"),
}


def link(paths: Paths) -> None:
    """Add to each answer that names an email the operations that take its id."""
    takers = sorted(
        part["operationId"]
        for part in _operations(paths)
        if EMAIL_ID in part.get("parameters", ())
    )
    for part in _operations(paths):
        if part["operationId"] not in _NAMED:
            continue
        status, pointer = _NAMED[part["operationId"]]
        part["responses"][status]["links"] = {
            taker: {
                "operationId": taker,
                "parameters": {"email_id": f"$response.body#{pointer}"},
            }
            for taker in takers
        }


def _operations(paths: Paths) -> Iterator[Part]:
    for operations in paths.values():
        yield from operations.values()
