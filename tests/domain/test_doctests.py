"""The examples in the domain's docstrings run."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "domain").glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_say_the_truth(name: str) -> None:
    module = importlib.import_module(f"postroom.domain.{name}")

    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_its_promise_in_one_line(name: str) -> None:
    first = (ROOT / "domain" / f"{name}.py").read_text("utf-8").splitlines()[0]

    assert first.startswith('"""')
    assert first.rstrip('"').endswith((".", "?"))
