"""The description is valid, complete, and says what the code does."""

import json
from collections.abc import Iterator
from typing import Any

import falcon.inspect
import jsonschema  # type: ignore[import-untyped]  # it has none
import pytest
from openapi_spec_validator import validate

from postroom.http.auth import digest
from postroom.http.examples import NEW_EMAILS
from postroom.http.options import Limits, Options
from postroom.http.schemas import EmailIn
from tests.web.stand import Stand, a_body

#: Pages for people, which no client of the API calls.
PAGES = {"/", "/api", "/docs", "/api/docs", "/docs/assets/{name}", "/sandbox"}


@pytest.fixture
def document(stand: Stand) -> dict[str, Any]:
    described: dict[str, Any] = stand.get("/openapi.json").json
    return described


def check(document: dict[str, Any], name: str, value: object) -> None:
    """Hold a value against a schema of the document."""
    schema = {
        "$ref": f"#/components/schemas/{name}",
        "components": document["components"],
    }
    jsonschema.Draft202012Validator(schema).validate(value)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def referred(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, if it is one."""
    if "$ref" not in part:
        return part
    found = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], object]]:
    """Give every example, where it stands and the schema that it should fit."""
    for name, operation in operations(document):
        answers = operation["responses"].items()
        asked = [("requestBody", operation.get("requestBody", {}))]
        for part, holder in (*asked, *answers):
            content = referred(document, holder).get("content", {})
            for media_type, media in content.items():
                where = f"{name} {part} {media_type}"
                if "example" in media:
                    yield where, media["schema"], media["example"]
                for example in media.get("examples", {}).values():
                    yield where, media["schema"], example["value"]
        for part in operation.get("parameters", ()):
            parameter = referred(document, part)
            if "example" in parameter:
                where = f"{name} {parameter['name']}"
                yield where, parameter["schema"], parameter["example"]


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_both_addresses_give_the_same_document(stand: Stand) -> None:
    assert stand.get("/openapi.json").json == stand.get("/api/openapi.json").json


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    stand = Stand(options=Options(development=True))
    routed = {
        (route.path, method.method.lower())
        for route in falcon.inspect.inspect_routes(stand.app)
        for method in route.methods
        if route.path not in PAGES and not method.internal
    }

    described = {
        (path, method)
        for path, operations in stand.get("/openapi.json").json["paths"].items()
        for method in operations
    }

    assert routed == described


def test_every_field_of_an_email_is_described(document: dict[str, Any]) -> None:
    described = set(document["components"]["schemas"]["EmailIn"]["properties"])

    assert described == {
        field.alias or name for name, field in EmailIn.model_fields.items()
    }


@pytest.mark.parametrize("name", NEW_EMAILS)
def test_an_example_of_a_request_is_accepted_and_fits_its_schema(
    stand: Stand, document: dict[str, Any], name: str
) -> None:
    body = NEW_EMAILS[name]["value"]

    check(document, "EmailIn", body)
    assert stand.post({"from": "a@b.example"} | body).status_code == 201


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    shown = list(examples(document))

    assert len(shown) > 20
    for where, schema, example in shown:
        whole = schema | {"components": document["components"]}
        found = jsonschema.Draft202012Validator(whole).iter_errors(example)
        assert [f"{where}: {error.message}" for error in found] == []


def test_every_operation_shows_an_example_of_what_it_takes_and_answers(
    document: dict[str, Any],
) -> None:
    shown = {where for where, _, _ in examples(document)}

    for name, operation in operations(document):
        for part in ("requestBody", *operation["responses"]):
            content = referred(
                document,
                operation.get(part) or operation["responses"].get(part) or {},
            ).get("content", {})
            media = content.get("application/json", {})
            if "$ref" in media.get("schema", {}):
                assert f"{name} {part} application/json" in shown, (name, part)


def test_operations_are_named_once_and_have_a_summary(
    document: dict[str, Any],
) -> None:
    named = [operation["operationId"] for _, operation in operations(document)]

    assert len(set(named)) == len(named)
    for name, operation in operations(document):
        assert operation["operationId"].isidentifier(), name
        assert operation["summary"], name
        assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}


def test_an_answer_that_names_an_email_leads_to_all_that_takes_its_id(
    document: dict[str, Any],
) -> None:
    takers = {
        operation["operationId"]
        for name, operation in operations(document)
        if "{email_id}" in name
    }
    sent = document["paths"]["/api/emails"]["post"]["responses"]["201"]

    assert takers
    assert set(sent["links"]) == takers


def scope_of(stand: Stand, method: str, path: str) -> str | None:
    """Return what the resource behind a path asks for; nothing if it is open."""
    resource = stand.app._router.find(path.replace("{", "").replace("}", ""))[0]
    if getattr(resource, "is_open", False):
        return None
    needs: dict[str, str] = getattr(resource, "needs", {})
    return needs.get("GET" if method == "head" else method.upper(), "admin")


def test_every_operation_names_the_scope_that_its_resource_needs() -> None:
    stand = Stand(options=Options(api_key=digest("k")))
    document = stand.get("/openapi.json").json

    described = {
        name: [way["key"] for way in operation["security"]]
        for name, operation in operations(document)
    }

    needed = {name: scope_of(stand, *name.split(" ")) for name in described}
    assert set(needed.values()) == {None, "send", "read", "admin"}
    assert described == {n: [[scope]] if scope else [] for n, scope in needed.items()}


def test_real_answers_fit_their_schemas(stand: Stand, document: dict[str, Any]) -> None:
    accepted = stand.post(a_body())

    check(document, "AcceptedAnswer", accepted.json)
    check(document, "EmailAnswer", stand.get(accepted.headers["Location"]).json)
    check(document, "ErrorAnswer", stand.post({}).json)
    check(document, "EmailListAnswer", stand.get("/api/emails").json)
    check(document, "EmailListAnswer", stand.get("/api/dead-letters").json)
    check(document, "ProviderListAnswer", stand.get("/api/providers").json)
    check(document, "HealthAnswer", stand.get("/health").json)
    check(document, "ReadyAnswer", stand.get("/ready").json)


@pytest.mark.parametrize(
    "bad",
    [{"to": ...}, {"subject": ...}, {"text": ...}, {"x": 1}, {"tags": [{}]}],
    ids=["to", "subject", "text", "unknown", "tag"],
)
def test_the_schema_refuses_what_the_service_refuses(
    stand: Stand, document: dict[str, Any], bad: dict[str, Any]
) -> None:
    body = a_body(**bad)

    assert stand.post(body).status_code == 400
    with pytest.raises(jsonschema.ValidationError):
        check(document, "EmailIn", body)


def test_null_fits_every_field_that_may_be_absent(document: dict[str, Any]) -> None:
    body = dict.fromkeys(document["components"]["schemas"]["EmailIn"]["properties"])

    check(document, "EmailIn", body | a_body())


def test_the_limits_stand_in_the_schema() -> None:
    stand = Stand(options=Options(limits=Limits(recipients=7, tags=3)))

    text = stand.get("/openapi.json").text

    assert '"maxItems": 7' in text
    assert '"maxItems": 3' in text


@pytest.mark.parametrize(
    ("options", "security"),
    [
        (Options(), [{"key": ["send"]}]),
        (Options(development=True), [{"key": ["send"]}, {}]),
        (Options(development=True, api_key=digest("k")), [{"key": ["send"]}]),
    ],
    ids=["production", "development", "development with a key"],
)
def test_the_document_asks_for_a_key_only_where_one_is_needed(
    options: Options, security: list[dict[str, Any]]
) -> None:
    locked = Stand(options=options).get("/openapi.json").json

    assert locked["paths"]["/api/emails"]["post"]["security"] == security
    assert locked["paths"]["/health"]["get"]["security"] == []
    assert locked["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    validate(locked)


def test_names_that_nothing_refers_to_are_left_out(document: dict[str, Any]) -> None:
    text = json.dumps(document)

    for kind in ("schemas", "parameters"):
        for name in document["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text
