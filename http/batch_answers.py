"""What the API answers to batches, and to requests with a key."""

from __future__ import annotations

from pydantic import Field

from ..domain.idempotency import Receipt
from .answers import AcceptedAnswer, Answer, IdAnswer


class UnfitAnswer(Answer):
    """An item of a batch that was not accepted."""

    index: int
    message: str


class BatchAnswer(Answer):
    """A batch was accepted: all of it if strict, else what is not in `errors`."""

    data: list[IdAnswer]
    errors: list[UnfitAnswer] | None = Field(
        None,
        description="With `x-batch-validation: permissive` only.",
    )

    def to_json(self) -> bytes:
        """Return what goes over the wire; a strict batch has no errors."""
        return self.model_dump_json(exclude_none=True).encode()


def receipt_answer(receipt: Receipt) -> AcceptedAnswer:
    """Return the answer to a POST with a key: the first time, and each time after."""
    (taken,) = receipt.emails
    return AcceptedAnswer(
        id=taken.email_id,
        state=taken.state,
        created_at=receipt.at,
        data=IdAnswer(id=taken.email_id),
    )


def batch_answer(receipt: Receipt, *, is_strict: bool) -> BatchAnswer:
    """Return the answer to a batch."""
    errors = [UnfitAnswer(index=u.index, message=u.message) for u in receipt.unfit]
    return BatchAnswer(
        data=[IdAnswer(id=each) for each in receipt.email_ids],
        errors=None if is_strict else errors,
    )
