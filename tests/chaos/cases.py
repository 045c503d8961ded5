"""Each accepted email, and each that was asked for under a key, from all sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tests.chaos.evidence import Document, Evidence, Post, Send, Verb

Fact = TypeVar("Fact", Send, Verb)

AT_MOST_ONCE = "at_most_once"

#: What a provider says of an email that it will never take.
FOR_GOOD = frozenset({400, 413, 422})


#: What is said of a key that came with another request: never here.
DENIED = "invalid_idempotent_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One accepted email: all that is known of it.

    Attributes:
        post: The first that told its client so.
        repeats: How often its client was told so again.
        max_unknown: How often one that may be out is sent again before it is held.
    """

    post: Post
    repeats: int = 0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """One email that was asked for under a key, once or more often, accepted or not.

    Attributes:
        ids: All that its client was told of it as accepted, and those under which a
            provider had it.
        sends: How often a provider took it, under whatever id.
        recorded: How many copies the store's records of these emails explain.
        is_denied: It was answered that the key is another request's.
    """

    ids: frozenset[str]
    sends: int
    recorded: int
    is_denied: bool


def cases_of(evidence: Evidence, *, max_unknown: int = 3) -> list[Case]:
    """Return what is known of each email that its client was told is accepted."""
    sends = _grouped(evidence.sends)
    verbs = _grouped(evidence.verbs)
    documents = {document.email_id: document for document in evidence.documents}
    refused = {r.email_id for r in evidence.refusals if r.status in FOR_GOOD}
    return [
        Case(
            post=posts[0],
            repeats=len(posts) - 1,
            sends=tuple(sorted(sends[email_id], key=lambda send: send.at)),
            verbs=tuple(sorted(verbs[email_id], key=lambda v: v.answered_at)),
            was_refused=email_id in refused,
            document=documents.get(email_id or ""),
            max_unknown=max_unknown,
        )
        for (_, email_id), posts in _accepted(evidence.posts).items()
    ]


def keyed_of(evidence: Evidence) -> list[Keyed]:
    """Return what is known of each email that was asked for under a key."""
    by_no: dict[int, list[Post]] = defaultdict(list)
    for post in evidence.posts:
        if post.key is not None:
            by_no[post.no].append(post)
    by_digest: dict[str, list[Send]] = defaultdict(list)
    for send in evidence.sends:
        by_digest[send.digest].append(send)
    recorded = {d.email_id: d.possible_duplicates for d in evidence.documents}
    return [
        _keyed(posts, by_digest[posts[0].digest], recorded) for posts in by_no.values()
    ]


def _accepted(posts: Iterable[Post]) -> dict[tuple[int, str | None], list[Post]]:
    """Return the posts that told of each email, in the order of the answers."""
    found: dict[tuple[int, str | None], list[Post]] = defaultdict(list)
    for post in sorted(posts, key=lambda post: post.answered_at):
        if post.is_accepted:
            found[post.no, post.email_id].append(post)
    return found


def _keyed(posts: list[Post], sends: list[Send], recorded: Mapping[str, int]) -> Keyed:
    told = {post.email_id or "" for post in posts if post.is_accepted}
    ids = told | {send.email_id or send.message_id for send in sends}
    return Keyed(
        ids=frozenset(ids),
        sends=len(sends),
        recorded=sum(recorded.get(email_id, 0) for email_id in ids),
        is_denied=any(post.said == DENIED for post in posts),
    )


def _grouped(facts: Iterable[Fact]) -> dict[str | None, list[Fact]]:
    found: dict[str | None, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.email_id].append(fact)
    return found
