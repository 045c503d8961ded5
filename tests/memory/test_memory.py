"""Whatever is sent to it, a web process stays small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import Service
from tests.memory.bodies import many_arrays, wide_html
from tests.memory.measure import Memory, a_web_process, at_once, post

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_MB = 1 << 20

#: What large bodies may add, in bytes. Measured is two thirds of it; without the bound
#: on them it was 1,500 and 2,400 MB.
MOST = 512 * _MB


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("memory")
    with a_web_process(folder) as web:
        yield web


@pytest.mark.parametrize("make", [wide_html, many_arrays])
def test_sixteen_of_the_largest_bodies_at_once_take_bounded_memory(
    web: Service, make: object
) -> None:
    assert callable(make)
    memory = Memory(web)
    before = memory.now()
    memory.forget_peak()

    told, _ = at_once(web.port, make())

    print(f"{before // _MB} MB, then {memory.peak() // _MB} MB, {dict(told)}")
    assert set(told) <= {"201", "400", "503"}
    assert told["201"] + told["400"] >= 2
    assert memory.peak() - before < MOST


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
def test_a_gigabyte_is_refused_and_takes_no_memory(web: Service, chunked: bool) -> None:
    memory = Memory(web)
    before = memory.now()
    memory.forget_peak()

    assert post(web.port, bytes(_MB), chunked=chunked, times=1024) == 413

    assert memory.peak() - before < 64 * _MB
