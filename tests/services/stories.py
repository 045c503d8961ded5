"""What the tests of whole ways ask of a world, and a crash for its providers."""

from collections import Counter

from postroom.domain.email import Email, State
from postroom.domain.outcome import Outcome
from tests.simulation import Crash, Simulation


def states(world: Simulation, ids: list[str]) -> Counter[State]:
    return Counter(world.email(email_id).state for email_id in ids)


def all_answer(world: Simulation, *outcomes: Outcome) -> None:
    for provider in world.providers.values():
        provider.answers(*outcomes)


def crash(email: Email) -> Outcome:
    raise Crash
