"""One running service for the tests of a module that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.service import Service
from tests.fake_provider import AsProcess


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service of SendGrid and Mailgun, both played by the fake."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def fake(service: Service) -> Iterator[AsProcess]:
    """Give its fake provider, empty and in order before and after the test."""
    service.fake.reset()
    yield service.fake
    service.fake.reset()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts real processes."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker("e2e")
