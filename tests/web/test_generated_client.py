"""A client that is made of the document alone can send an email and look it up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from aiopenapi3 import OpenAPI
from aiopenapi3.errors import HTTPClientError

from postroom.http.auth import digest
from postroom.http.options import Options
from tests.web.stand import Stand, a_body

KEY = "a-key"


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Say nothing."""


@pytest.fixture
def client() -> Iterator[Any]:
    """Give a client with a method for each operation and a class for each schema."""
    stand = Stand(options=Options(api_key=digest(KEY)))
    with make_server("127.0.0.1", 0, stand.app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made = OpenAPI.load_sync(f"http://127.0.0.1:{server.server_port}/openapi.json")
        made.authenticate(key=KEY)
        yield made._
        server.shutdown()
        thread.join()


def test_an_email_is_sent_and_shown(client: Any) -> None:
    new = client.sendEmail.data.get_type()(**a_body(tags=[{"name": "a", "value": "b"}]))

    accepted = client.sendEmail(data=new)
    shown = client.getEmail(parameters={"email_id": accepted.id})

    assert shown.id == accepted.id
    assert shown.subject == "Hi"
    assert shown.tags[0].name == "a"


def test_an_error_is_read_as_one(client: Any) -> None:
    with pytest.raises(HTTPClientError) as caught:
        client.sendEmail(data=a_body(to=["nobody"]))

    assert caught.value.status_code == 400
    assert caught.value.data.name == "validation_error"
    assert caught.value.data.errors[0].field == "to[0]"
