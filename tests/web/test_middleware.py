"""What every request and every answer gets, whatever the route."""

import gzip
import json
import re
from typing import Any

import falcon.testing
import pytest
import structlog

from postroom.http.options import Options
from tests.web.stand import Stand, a_body

ORIGIN = {"Origin": "https://app.example"}


def test_each_request_leaves_one_line_without_address_or_body(stand: Stand) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = stand.post(a_body())
        stand.get(answer.headers["Location"] + "?to=ada@example.com")

    first, second = [line for line in logs if line["event"] == "http.request"]
    assert first["request_id"] == answer.headers["X-Request-Id"]
    assert (first["method"], first["route"], first["status"]) == (
        "POST",
        "/api/emails",
        201,
    )
    assert first["duration_ms"] >= 0
    assert second["route"] == "/api/emails/{email_id}"
    assert "@" not in str(logs)
    assert "Hello" not in str(logs)


def test_an_error_is_named_in_the_line(stand: Stand) -> None:
    with structlog.testing.capture_logs() as logs:
        stand.get("/nothing/ada@example.com")

    assert [(line["status"], line["route"], line["error"]) for line in logs] == [
        (404, "-", "not_found")
    ]


def test_the_clients_name_of_a_request_is_kept(stand: Stand) -> None:
    answer = stand.get("/health", headers={"X-Request-Id": "order-1815:a.b"})

    assert answer.headers["X-Request-Id"] == "order-1815:a.b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "é", '{"a":1}'])
def test_an_odd_name_of_a_request_is_replaced(stand: Stand, given: str) -> None:
    answer = stand.get("/health", headers={"X-Request-Id": given})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_services_log_with_the_name_of_the_request(stand: Stand) -> None:
    answer = stand.get("/health")

    bound = structlog.contextvars.get_contextvars()
    assert bound["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/health", "/nothing", "/api/emails", "/docs"])
def test_every_answer_says_how_long_it_took(stand: Stand, path: str) -> None:
    took = stand.get(path).headers["X-Response-Time"]

    assert re.fullmatch(r"\d+(\.\d+)?ms", took)


@pytest.mark.parametrize("path", ["/health", "/nothing", "/api/emails", "/docs"])
def test_every_answer_has_the_security_headers(stand: Stand, path: str) -> None:
    headers = stand.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers
    assert "X-Powered-By" not in headers


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("*", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_a_larger_answer_is_compressed_where_the_client_asks(
    stand: Stand, accepted: str, compressed: bool
) -> None:
    answer = stand.get("/openapi.json", headers={"Accept-Encoding": accepted})

    content = gzip.decompress(answer.content) if compressed else answer.content
    assert (answer.headers.get("Content-Encoding") == "gzip") is compressed
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert json.loads(content)["openapi"] == "3.1.0"
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_a_small_answer_is_not_compressed(stand: Stand) -> None:
    answer = stand.get("/health", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in answer.headers


def test_without_origins_there_is_no_cors(stand: Stand) -> None:
    headers = stand.get("/health", headers=ORIGIN).headers

    assert not [name for name in headers if name.startswith("access-control")]


def preflight(stand: Stand, origin: str) -> Any:
    return stand.client.simulate_options(
        "/api/emails",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def test_a_given_origin_may_call_even_before_it_can_show_a_key() -> None:
    stand = Stand(
        options=Options(cors_origins=("https://app.example",), api_key=b"x" * 32)
    )

    asked = preflight(stand, "https://app.example")
    refused = stand.post(a_body(), headers=ORIGIN)

    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert asked.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Origin" in refused.headers["Vary"]
    assert refused.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_another_origin_may_not_call() -> None:
    stand = Stand(options=Options(cors_origins=("https://app.example",)))

    headers = preflight(stand, "https://evil.example").headers

    assert not [name for name in headers if name.startswith("access-control")]
    assert "Origin" in headers["Vary"]


def test_all_origins_may_call_where_the_operator_says_so() -> None:
    stand = Stand(options=Options(cors_origins=("*",)))

    answer = stand.get("/health", headers=ORIGIN)

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/health", "/ready", "/api/emails/x", "/nothing"])
def test_a_stopping_server_sends_every_new_request_elsewhere(
    stand: Stand, path: str
) -> None:
    answer = stand.get(path, extras={"postroom.stopping": True})

    assert answer.status_code == 503
    assert answer.json["name"] == "stopping"
    assert answer.headers["Retry-After"] == "1"


def test_a_method_that_is_no_method_is_an_error_like_any_other(stand: Stand) -> None:
    environ = falcon.testing.create_environ("/health", method="WEBSOCKET")
    started = falcon.testing.StartResponseMock()

    body = b"".join(stand.app(environ, started))

    assert (started.status or "").startswith("400")
    assert json.loads(body)["name"] == "validation_error"
    assert "x-request-id" in dict(started.headers or [])
