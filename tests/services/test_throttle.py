"""Who is held to which rate."""

from postroom.domain.access import Access, Rate
from postroom.domain.ports_access import Allowance
from postroom.services.throttle import Throttle

FEW, MANY = Rate.of(1), Rate.of(100)
PASSES = Allowance(allowed=True, limit=1, remaining=0, reset_s=1, retry_s=1)


class Asked:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Rate]] = []

    def take(self, key_id: str, rate: Rate) -> Allowance:
        self.asked.append((key_id, rate))
        return PASSES


def test_a_key_is_held_to_its_own_rate_before_the_general_one() -> None:
    limit = Asked()

    assert Throttle(limit=limit, rate=MANY)(Access(key_id="k", rate=FEW)) == PASSES
    assert Throttle(limit=limit, rate=MANY)(Access(key_id="l")) == PASSES

    assert limit.asked == [("k", FEW), ("l", MANY)]


def test_without_a_rate_nobody_is_held_up() -> None:
    assert Throttle(limit=Asked())(Access(key_id="k")) is None


def test_where_no_key_is_asked_for_nobody_is_held_up() -> None:
    assert Throttle(limit=Asked(), rate=FEW)(Access()) is None
