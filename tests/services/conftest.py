import pytest

from tests.simulation import Simulation


@pytest.fixture
def world() -> Simulation:
    """Give a service with the providers alpha and beta, in this order."""
    return Simulation()


@pytest.fixture
def lonely() -> Simulation:
    """Give a service with one provider only."""
    return Simulation("alpha")
