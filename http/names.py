"""The names of a request's fields, put right before anything looks at the values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .faults import Fault, FaultCode
from .schemas import AttachmentIn, EmailIn, names_of

#: Fields of Resend's API that are refused until they exist, and why.
_NOT_YET = {
    "template": "templates are not supported yet; send `html` and `text`",
    "topic_id": "topics are not supported yet",
    "region": "regions are not supported; a provider's is in the service's settings",
}
_NOT_YET_OF_AN_ATTACHMENT = {
    "path": "remote files are not supported yet; send the file as `content`",
}

_KNOWN = frozenset(names_of(EmailIn)).union(_NOT_YET)
_KNOWN_OF_AN_ATTACHMENT = frozenset(names_of(AttachmentIn)).union(
    _NOT_YET_OF_AN_ATTACHMENT
)

#: Older names, by the name that took their place.
_OLDER = {"subject": "title", "text": "content"}
_OLDER_OF_AN_ATTACHMENT = {"content_id": "inline_content_id"}


@dataclass(slots=True)
class Draft:
    """The JSON on its way, and what was found on the way."""

    json: dict[str, Any]
    faults: list[Fault] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    def blame(self, where: str, code: FaultCode, message: str) -> None:
        """Note a fault of a field, under the name that the client used."""
        name = self.renamed.get(where, where)
        self.faults.append(Fault(field=name, code=code, message=message))


def put_names_right(raw: dict[str, Any]) -> Draft:
    """Drop nulls, take older names for new ones, refuse fields that are to come."""
    draft = Draft(json=without_nulls(raw, _KNOWN))
    for empty in ("text", "html", _OLDER["text"]):
        # What SDKs send for a body that is not there.
        if draft.json.get(empty) == "":
            del draft.json[empty]
    _refuse_coming(draft, draft.json, _NOT_YET, prefix="")
    _take_older_names(draft, draft.json, _OLDER, prefix="")
    attachments = draft.json.get("attachments")
    if isinstance(attachments, list):
        draft.json["attachments"] = [
            _put_attachment_right(draft, item, index)
            for index, item in enumerate(attachments)
        ]
    return draft


def _put_attachment_right(draft: Draft, item: object, index: int) -> object:
    if not isinstance(item, dict):
        return item
    item = without_nulls(item, _KNOWN_OF_AN_ATTACHMENT)
    prefix = f"attachments[{index}]."
    _refuse_coming(draft, item, _NOT_YET_OF_AN_ATTACHMENT, prefix=prefix)
    _take_older_names(draft, item, _OLDER_OF_AN_ATTACHMENT, prefix=prefix)
    return item


def without_nulls(json: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Drop null, which counts as absent, of the fields that there are.

    Of any other it stays, to be refused: null hides no misspelt name.
    """
    return {k: v for k, v in json.items() if v is not None or k not in known}


def _refuse_coming(
    draft: Draft,
    json: dict[str, Any],
    coming: Mapping[str, str],
    *,
    prefix: str,
) -> None:
    for name, message in coming.items():
        if json.pop(name, None) is not None:
            draft.blame(prefix + name, FaultCode.NOT_SUPPORTED_YET, message)


def _take_older_names(
    draft: Draft,
    json: dict[str, Any],
    older: Mapping[str, str],
    *,
    prefix: str,
) -> None:
    for name, old in older.items():
        if old not in json:
            continue
        value = json.pop(old)
        if name not in json:
            json[name] = value
            draft.renamed[prefix + name] = prefix + old
        elif json[name] != value:
            draft.blame(
                prefix + old,
                FaultCode.CONFLICT,
                f"is an older name of `{name}` and says something else than it",
            )
