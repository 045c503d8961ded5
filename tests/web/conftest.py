import pytest

from tests.web.stand import Stand


@pytest.fixture
def stand() -> Stand:
    return Stand()
