"""The rules of the house that no other tool enforces: docs/adr/0001."""

import ast
import http
import importlib.util
import sys
from pathlib import Path

import pytest

from tests.layout import ROOT, package_files, package_folders, unlinked_files

FOLDERS = ("domain", "services", "adapters", "actors", "http", "cli")


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_no_folder_is_a_regular_package(folder: str) -> None:
    """An http/__init__.py at the root would hide the standard library's http."""
    assert list((ROOT / folder).rglob("__init__.py")) == []


def test_the_standard_library_wins_over_our_folder() -> None:
    assert Path(str(http.__file__)).parent != ROOT / "http"


def test_nothing_at_the_root_or_in_tests_hides_a_module_of_the_standard_library() -> (
    None
):
    names = {
        path.stem
        for folder in (ROOT, ROOT / "tests")
        for path in folder.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert names & sys.stdlib_module_names == set()
    assert not (ROOT / "tests" / "http").exists()


def test_every_file_of_the_packages_is_linked() -> None:
    """`make links` (part of make run, dev, test and check) links new files."""
    assert unlinked_files() == []


def test_what_is_linked_is_the_file_in_the_folder() -> None:
    spec = importlib.util.find_spec("postroom.cli")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    installed = Path(spec.submodule_search_locations[0])
    if "build" not in installed.parts:
        pytest.skip("not a strict editable installation")

    assert (installed / "main.py").samefile(ROOT / "cli" / "main.py")


def test_every_folder_with_code_is_a_package_of_the_distribution() -> None:
    with_code = {path.parent for path in package_files() if path.suffix == ".py"}

    assert with_code <= {path.relative_to(ROOT) for path in package_folders().values()}


@pytest.mark.parametrize("package", list(package_folders()))
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (package_folders()[package] / "py.typed").is_file()


def test_imports_inside_the_code_are_relative() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in package_files()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").split(".")[0] in {"postroom", *FOLDERS} - {"http"}
        )
        or (
            isinstance(node, ast.Import)
            and any(alias.name.split(".")[0] == "postroom" for alias in node.names)
        )
    ]

    assert found == []


def test_no_module_is_longer_than_400_lines() -> None:
    too_long = [
        str(path)
        for path in package_files()
        if path.suffix == ".py" and len((ROOT / path).read_text().splitlines()) > 400
    ]

    assert too_long == []
