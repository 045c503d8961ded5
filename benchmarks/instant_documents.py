"""Documents in memory: as much of MongoDB's queries and updates as Postroom asks for.

Guards are checked, updates are applied and what is written is found again, so that
every step of an email goes as on a real store. There are no indexes but by ``_id`` and
for a few fields that few documents have.
"""

from __future__ import annotations

import operator
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Document = dict[str, Any]

#: Fields that few documents have at a time and that are searched by: a list of the
#: documents that have one stands for MongoDB's sparse index.
SPARSE = ("due_at", "parked_for", "digest")

#: The one of these in whose order documents are asked for: a backlog is read from its
#: beginning, slice after slice.
ORDERED = "due_at"

_MISSING = object()


def _compares(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(value: Any, bound: Any) -> bool:
        return value is not _MISSING and value is not None and test(value, bound)

    return compare


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$in": lambda value, given: any(_equals(value, each) for each in given),
    "$ne": lambda value, given: not _equals(value, given),
    "$exists": lambda value, given: (value is not _MISSING) == bool(given),
    "$lt": _compares(operator.lt),
    "$lte": _compares(operator.le),
    "$gt": _compares(operator.gt),
    "$gte": _compares(operator.ge),
}


def matches(document: Document, query: Mapping[str, Any]) -> bool:
    """Return whether a document fits a query.

    Raises:
        KeyError: The query has an operator that is not known here.
    """
    for name, wanted in query.items():
        if name == "$or":
            if not any(matches(document, each) for each in wanted):
                return False
        elif name == "$and":
            if not all(matches(document, each) for each in wanted):
                return False
        elif not _fits(_get(document, name), wanted):
            return False
    return True


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(key.startswith("$") for key in wanted):
        return all(_OPERATORS[key](value, given) for key, given in wanted.items())
    return _equals(value, wanted)


def _equals(value: Any, wanted: Any) -> bool:
    if value is _MISSING:
        return wanted is None
    if isinstance(value, list) and not isinstance(wanted, list):
        return wanted in value
    return bool(value == wanted)


def _get(document: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(document, dict):
            document = document.get(name, _MISSING)
        elif isinstance(document, list) and name.isdecimal():
            document = document[int(name)] if int(name) < len(document) else _MISSING
        else:
            return _MISSING
    return document


def update(document: Document, change: Mapping[str, Any], *, is_new: bool) -> None:
    """Apply the operators of an update to a document.

    Args:
        document: As it is stored; altered.
        change: ``$set``, ``$unset``, ``$inc``, ``$max`` and ``$setOnInsert``.
        is_new: It has just been made by an upsert.

    Raises:
        KeyError: There is another operator.
    """
    for name, fields in change.items():
        if name == "$setOnInsert" and not is_new:
            continue
        for path, value in fields.items():
            holder, key = _holder(document, path)
            if name == "$unset":
                holder.pop(key, None)
            else:
                _put(holder, key, _UPDATES[name](_old(holder, key), value))


_UPDATES: Mapping[str, Callable[[Any, Any], Any]] = {
    "$set": lambda _, value: value,
    "$setOnInsert": lambda _, value: value,
    "$inc": lambda old, value: value if old is None else old + value,
    "$max": lambda old, value: value if old is None else max(old, value),
}


def _holder(document: Any, path: str) -> tuple[Any, Any]:
    """Return what holds the last part of a path, and the key of that part in it."""
    *way, last = path.split(".")
    for name in way:
        if isinstance(document, list):
            document = document[int(name)]
        else:
            document = document.setdefault(name, {})
    return document, int(last) if isinstance(document, list) else last


def _old(holder: Any, key: Any) -> Any:
    if isinstance(holder, list):
        return holder[key] if key < len(holder) else None
    return holder.get(key)


def _put(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, list) and key == len(holder):
        holder.append(value)
    else:
        holder[key] = value


class Having:
    """The keys of the documents that have a field."""

    def __init__(self) -> None:
        self._keys: set[Any] = set()

    def note(self, key: Any, value: Any) -> None:
        """Note what a document has there now; ``_MISSING`` is nothing."""
        if value is _MISSING:
            self._keys.discard(key)
        else:
            self._keys.add(key)

    def keys(self, wanted: Any) -> Iterable[Any]:
        """Give at least those whose value is wanted, as they are now."""
        del wanted
        return list(self._keys)


class HavingInOrder(Having):
    """The same, in the order of their values: many have the same one."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[Any, Any] = {}
        self._at: dict[Any, dict[Any, None]] = {}
        self._order: list[Any] = []

    def note(self, key: Any, value: Any) -> None:
        """Put it in its place."""
        old = self._values.pop(key, _MISSING)
        if old is not _MISSING:
            del self._at[old][key]
            if not self._at[old]:
                del self._at[old]
                del self._order[bisect_left(self._order, old)]
        if value is not _MISSING:
            self._values[key] = value
            if value not in self._at:
                self._at[value] = {}
                insort(self._order, value)
            self._at[value][key] = None

    def keys(self, wanted: Any) -> Iterable[Any]:
        """Give those whose value is wanted, the lowest first."""
        for value in [value for value in self._order if _fits(value, wanted)]:
            yield from list(self._at.get(value, ()))


class Collection:
    """The documents of one collection, by ``_id``."""

    def __init__(self) -> None:
        self.documents: dict[Any, Document] = {}
        self.indexes: dict[str, Document] = {"_id_": {"key": {"_id": 1}}}
        self._having: dict[str, Having] = {
            name: HavingInOrder() if name == ORDERED else Having() for name in SPARSE
        }

    def insert(self, document: Document) -> bool:
        """Store a new document; return whether its ``_id`` was free."""
        key = document["_id"]
        if key in self.documents:
            return False
        self.documents[key] = document
        self._note(document)
        return True

    def find(self, query: Mapping[str, Any]) -> Iterator[Document]:
        """Give what fits a query, in no order but that of `is_ordered`."""
        return (each for each in self._candidates(query) if matches(each, query))

    def is_ordered(self, query: Mapping[str, Any], order: Mapping[str, int]) -> bool:
        """Whether `find` gives what fits in this order anyhow."""
        return order == {ORDERED: 1} and _served_by(query) == ORDERED

    def update(self, order: Mapping[str, Any]) -> tuple[int, Any]:
        """Do one update of a command; return how many it matched, and what it made."""
        query, change = order["q"], order["u"]
        found = list(self.find(query))
        if not order.get("multi"):
            found = found[:1]
        for document in found:
            update(document, change, is_new=False)
            self._note(document)
        if found or not order.get("upsert"):
            return len(found), None
        document = {name: v for name, v in query.items() if not isinstance(v, dict)}
        update(document, change, is_new=True)
        self.insert(document)
        return 0, document["_id"]

    def delete(self, order: Mapping[str, Any]) -> int:
        """Do one delete of a command; return how many documents are gone."""
        found = list(self.find(order["q"]))
        if order.get("limit"):
            found = found[: order["limit"]]
        for document in found:
            del self.documents[document["_id"]]
            for having in self._having.values():
                having.note(document["_id"], _MISSING)
        return len(found)

    def _note(self, document: Document) -> None:
        for name, having in self._having.items():
            having.note(document["_id"], document.get(name, _MISSING))

    def _candidates(self, query: Mapping[str, Any]) -> Iterable[Document]:
        name = _served_by(query)
        if name is None:
            return list(self.documents.values())
        if name != "_id":
            keys: Iterable[Any] = self._having[name].keys(query[name])
        elif isinstance(query[name], dict):
            keys = query[name]["$in"]
        else:
            keys = [query[name]]
        return (self.documents[key] for key in keys if key in self.documents)


def _served_by(query: Mapping[str, Any]) -> str | None:
    """Return the field whose keys are looked up for a query, if there is one."""
    wanted = query.get("_id", _MISSING)
    if wanted is not _MISSING and (not isinstance(wanted, dict) or "$in" in wanted):
        return "_id"
    return next((n for n in SPARSE if n in query and not _is_absence(query[n])), None)


def _is_absence(wanted: Any) -> bool:
    return wanted is None or wanted == {"$exists": False}
