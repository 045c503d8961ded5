"""Each accepted email, with all that is known of it from all sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from tests.chaos.evidence import Document, Evidence, Post, Send, Verb

Fact = TypeVar("Fact", Send, Verb)

AT_MOST_ONCE = "at_most_once"

#: What a provider says of an email that it will never take.
FOR_GOOD = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One accepted email: all that is known of it.

    Attributes:
        max_unknown: How often one that may be out is sent again before it is held.
    """

    post: Post
    sends: tuple[Send, ...] = ()
    verbs: tuple[Verb, ...] = ()
    was_refused: bool = False
    document: Document | None = None
    max_unknown: int = 3

    @property
    def is_careful(self) -> bool:
        return self.post.delivery == AT_MOST_ONCE

    def had(self, verb: str, answer: str) -> bool:
        return any(v.name == verb and v.answer == answer for v in self.verbs)


def cases_of(evidence: Evidence, *, max_unknown: int = 3) -> list[Case]:
    """Return what is known of each email that was answered with 201."""
    sends = _grouped(evidence.sends)
    verbs = _grouped(evidence.verbs)
    documents = {document.email_id: document for document in evidence.documents}
    refused = {r.email_id for r in evidence.refusals if r.status in FOR_GOOD}
    return [
        Case(
            post=post,
            sends=tuple(sorted(sends[post.email_id], key=lambda send: send.at)),
            verbs=tuple(sorted(verbs[post.email_id], key=lambda v: v.answered_at)),
            was_refused=post.email_id in refused,
            document=documents.get(post.email_id or ""),
            max_unknown=max_unknown,
        )
        for post in evidence.posts
        if post.status == 201
    ]


def _grouped(facts: Iterable[Fact]) -> dict[str | None, list[Fact]]:
    found: dict[str | None, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.email_id].append(fact)
    return found
