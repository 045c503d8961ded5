"""The OpenAPI document, made by apispec of the models that validate and answer.

Each family of operations is described in a module of its own (``openapi_*.py``) and
named in `_FAMILIES`; what they are made of is in `openapi_parts.py`.
"""

from __future__ import annotations

import json
from importlib.metadata import version

from apispec import APISpec

from .openapi_emails import EMAILS
from .openapi_links import link
from .openapi_lists import DEAD_LETTERS, LISTS
from .openapi_models import schemas
from .openapi_parts import PARAMETERS, Family, Part, Paths, usual_errors
from .openapi_providers import PROVIDERS_FAMILY
from .openapi_service import SERVICE
from .options import Options

#: In the order in which the page shows them.
_FAMILIES: tuple[Family, ...] = (
    EMAILS,
    LISTS,
    DEAD_LETTERS,
    PROVIDERS_FAMILY,
    SERVICE,
)

_DESCRIPTION = """\
Takes transactional email, keeps it, and gets it to one of several providers, whatever
fails on the way. An email answered with 201 is stored; it ends `sent`, `failed`,
`cancelled` or `suppressed`, or it is held as `unknown` where nobody can know whether
it went out.

Field names are those of Resend's API, so its SDKs work with this address as their base
URL. Every error has the same body, and `errors` lists everything that is wrong with a
request at once. A field that is null counts as absent.
"""


_KEY: Part = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "`Authorization: Bearer KEY`, a key of `postroom keys create` or the one of "
        "the settings; operations name the scope that they need. What `pr_test_...` "
        "sends goes through everything and never out."
    ),
}
_MONITOR: Part = {
    "type": "http",
    "scheme": "bearer",
    "description": "The key that opens `/metrics` and nothing else.",
}


def document(options: Options) -> bytes:
    """Return the document as JSON.

    Args:
        options: Its limits stand in the schemas; in development a key need not be
            sent while there is none.
    """
    spec = APISpec(
        title="Postroom",
        version=version("postroom"),
        openapi_version="3.1.0",
        info={"description": _DESCRIPTION, "license": {"name": "MIT"}},
        servers=[{"url": "/"}],
        tags=[
            {"name": family.name, "description": family.description}
            for family in _FAMILIES
        ],
    )
    for name, scheme in _schemes(options).items():
        spec.components.security_scheme(name, scheme)
    for name, schema in schemas(_FAMILIES, options.limits).items():
        spec.components.schema(name, schema)
    for name, parameter in PARAMETERS.items():
        spec.components.parameter(name, parameter["in"], parameter)
    for name, response in usual_errors().items():
        spec.components.response(name, response)
    for path, operations in _paths(options).items():
        spec.path(path, operations=dict(operations))
    return json.dumps(spec.to_dict(), indent=1).encode()


def _schemes(options: Options) -> dict[str, Part]:
    """Return the ways to identify oneself that are in use."""
    schemes: dict[str, Part] = {"key": _KEY}
    if options.metrics_key is not None:
        schemes["monitor"] = _MONITOR
    return schemes


def _paths(options: Options) -> Paths:
    schemes = _schemes(options)
    # As long as nobody has created a key.
    may_be_open = options.development and options.api_key is None
    paths: dict[str, dict[str, Part]] = {}
    for family in _FAMILIES:
        for path, operations in family.describe(options).items():
            for method, part in operations.items():
                part["tags"] = [family.name]
                part["security"] = [
                    way for way in part["security"] if schemes.keys() >= way.keys()
                ]
                if part["security"] and may_be_open:
                    part["security"].append({})
                paths.setdefault(path, {})[method] = part
    link(paths)
    return paths
