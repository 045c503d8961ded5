"""One running service, and Resend's own SDKs pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import resend

from tests.e2e.service import Service
from tests.sdks.node import Node, NodeMissingError, packages
from tests.servers import skip_or_fail

#: What the service under test opens its door to.
API_KEY = "pr_live_key-of-the-sdks-tests"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, POSTROOM_API_KEY=API_KEY) as running:
        yield running


@pytest.fixture
def sdk(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the Python SDK at the service, as RESEND_API_URL does at its import."""
    monkeypatch.setattr(resend, "api_url", f"http://127.0.0.1:{service.port}/api")
    monkeypatch.setattr(resend, "api_key", API_KEY)
    service.fake.reset()
    yield
    service.fake.reset()


@pytest.fixture(scope="module")
def node(service: Service) -> Iterator[Node]:
    """Give the Node SDK, pointed at the service by RESEND_BASE_URL."""
    try:
        folder = packages()
    except NodeMissingError as ex:
        skip_or_fail(ex)
        return
    url = f"http://127.0.0.1:{service.port}/api"
    with Node(folder, url=url, key=API_KEY) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts real processes."""
    for item in items:
        if "sdks" in item.path.parts and "service" in getattr(item, "fixturenames", ()):
            item.add_marker("e2e")
