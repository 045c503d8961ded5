"""The schemas of the OpenAPI document, from the models that validate and answer."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .answers import ErrorAnswer
from .openapi_parts import SCHEMA_REF, Family
from .options import Limits

#: The schema of one email of a batch.
OF_BATCH = "BatchEmailIn"


def schemas(families: Iterable[Family], limits: Limits) -> dict[str, dict[str, Any]]:
    """Return the schemas of all models, with the limits of this service."""
    families = tuple(families)
    asked = list(dict.fromkeys(model for one in families for model in one.asked))
    answered: list[type[BaseModel]] = [ErrorAnswer]
    answered += dict.fromkeys(model for one in families for model in one.answered)
    _, of_requests = models_json_schema(
        [(model, "validation") for model in asked],
        ref_template=SCHEMA_REF,
    )
    _, of_answers = models_json_schema(
        [(model, "serialization") for model in answered],
        ref_template=SCHEMA_REF,
    )
    found: dict[str, dict[str, Any]] = {**of_requests["$defs"], **of_answers["$defs"]}
    del found["Address"]  # pydantic's own idea of what we read from a string
    _state_limits(found["EmailIn"]["properties"], limits)
    for name in ("EmailIn", "AttachmentIn", "ForceIn", "ReplayIn"):
        _allow_null(found[name])
    found[OF_BATCH] = _without_files(found["EmailIn"])
    return found


def _without_files(email: dict[str, Any]) -> dict[str, Any]:
    """Describe an email of a batch, which has no attachments."""
    of_batch = deepcopy(email)
    of_batch["title"] = OF_BATCH
    properties = of_batch["properties"]
    properties["attachments"] = {
        "description": "None: an email with attachments is sent by itself.",
        "anyOf": [{"type": "array", "maxItems": 0}, {"type": "null"}],
    }
    return of_batch


def _state_limits(properties: dict[str, Any], limits: Limits) -> None:
    for name in ("to", "cc", "bcc", "reply_to"):
        properties[name]["oneOf"][1]["maxItems"] = limits.recipients
    properties["to"]["oneOf"][1]["minItems"] = 1
    for name in ("subject", "title"):
        properties[name]["anyOf"][0] |= {
            "minLength": 1,
            "maxLength": limits.subject_chars,
        }
    properties["tags"]["maxItems"] = limits.tags
    properties["attachments"]["maxItems"] = limits.attachments
    properties["headers"] |= {
        "maxProperties": limits.headers,
        "propertyNames": {"pattern": "^[A-Za-z0-9-]{1,64}$"},
        "additionalProperties": {"type": "string", "maxLength": limits.header_chars},
    }
    properties["metadata"] |= {
        "maxProperties": limits.metadata_keys,
        "propertyNames": {"minLength": 1, "maxLength": 64},
        "additionalProperties": {"type": "string", "maxLength": limits.metadata_chars},
    }


def _allow_null(schema: dict[str, Any]) -> None:
    """Say of each field that null counts as absent."""
    null = {"type": "null"}
    for name, this in schema["properties"].items():
        if name not in schema.get("required", ()) and null not in this.get("anyOf", ()):
            schema["properties"][name] = {"anyOf": [this, null]}
