"""The short run is marked as what it is: it starts the real processes."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name == "test_chaos.py":
            item.add_marker("e2e")
