"""The documents say what the code does: links, edges, settings, events, targets."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.adapters.settings_table import TABLE, plain_account_variables
from postroom.domain import interventions, lifecycle
from postroom.domain.email import State
from postroom.services import rules

ROOT = Path(__file__).parent.parent
CODE = ("domain", "services", "adapters", "actors", "http", "cli")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

#: Names that the documents speak of and the table of settings does not hold.
OTHER_VARIABLES = {"POSTROOM_STACK_EMBEDDED"}

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_LOGGER = re.compile(
    r"_?log(\.(debug|info|warning|error|exception|critical))?", re.IGNORECASE
)
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def _id_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in _HEADING.findall(_prose(page))
    }


def _leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return True  # another server's page, which a test does not ask for
    path, _, anchor = target.partition("#")
    found = page.parent / path if path else page
    is_there = not path.startswith("/") and found.exists()
    return is_there and (not anchor or anchor in _anchors(found))


def _rows(text: str, heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the first table under a heading."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def _edges() -> set[tuple[str, str]]:
    return {
        (start.value, end.value)
        for start, ends in lifecycle.EDGES.items()
        for end in ends
    }


def _lifecycle() -> str:
    return (ROOT / "docs/lifecycle.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=_id_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = _LINK.findall(_prose(page))

    missing = [target for target in targets if not _leads_somewhere(page, target)]

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_id_of)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = {variable.name for variable in (*TABLE, *plain_account_variables())}

    named = set(re.findall(r"\bPOSTROOM_[A-Z][A-Z_]*[A-Z]\b", page.read_text("utf-8")))

    # POSTROOM_BACKUP_... stands for a second account in the examples.
    strange = named - known - OTHER_VARIABLES
    assert {
        name for name in strange if not name.startswith("POSTROOM_BACKUP_")
    } == set()


@pytest.mark.parametrize("page", PAGES, ids=_id_of)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    named = set(
        re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE)
    )

    assert named <= targets


def test_the_diagram_has_the_edges_of_the_lifecycle() -> None:
    diagram = _lifecycle().split("```mermaid\n", 1)[1].split("```", 1)[0]

    drawn = re.findall(r"^ +(\w+) --> (\w+): \S", diagram, re.MULTILINE)

    assert len(drawn) == len(set(drawn))
    assert set(drawn) == _edges()


def test_the_diagram_has_every_state() -> None:
    diagram = _lifecycle().split("```mermaid\n", 1)[1].split("```", 1)[0]

    assert all(re.search(rf"\b{state}\b", diagram) for state in State)


def test_the_table_has_the_edges_of_the_lifecycle() -> None:
    rows = [(row[0], row[1]) for row in _rows(_lifecycle(), "The edges")]

    assert len(rows) == len(set(rows))
    assert set(rows) == _edges()


def test_the_table_names_functions_of_the_lifecycle() -> None:
    named = {
        name
        for row in _rows(_lifecycle(), "The edges")
        for name in re.findall(r"`(\w+)`", row[3])
    }

    assert named
    homes = vars(lifecycle) | vars(interventions)
    assert all(callable(homes[name]) for name in named)


def test_one_email_is_followed_through_at_most_eight_files() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    walk = text.split("\n## One email, file by file\n", 1)[1].split("\nThe rules", 1)[0]

    steps = re.findall(r"^\d+\. \[`([\w/]+\.py)`\]", walk, re.MULTILINE)

    assert 5 <= len(steps) <= 8
    assert len(set(steps)) == len(steps)
    assert set(re.findall(r"`([\w/]+\.py)`", walk)) == set(steps)


def test_the_index_has_every_decision() -> None:
    folder = ROOT / "docs/adr"
    index = (folder / "README.md").read_text("utf-8")
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}

    listed = re.findall(r"^\| \[(\d{4})\]\((\d{4}-[\w-]+\.md)\)", index, re.MULTILINE)

    assert sorted(name for _, name in listed) == sorted(pages)
    assert all(name.startswith(number) for number, name in listed)
    assert len({number for number, _ in listed}) == len(listed)


def test_the_table_of_self_checks_is_the_one_of_the_code() -> None:
    text = (ROOT / "docs/operating.md").read_text("utf-8")

    rows = list(_rows(text, "Self-checks"))

    assert [tuple(row[:4]) for row in rows] == [
        (
            f"`{rule.name}`",
            rule.looks_at,
            f"`{rule.worst}`",
            "start, doctor" if rule.at_start else "doctor",
        )
        for rule in rules.TABLE
    ]
    assert all(row[4] for row in rows)


def test_the_table_of_log_events_is_complete() -> None:
    text = (ROOT / "docs/operating.md").read_text("utf-8")

    listed = [row[0].strip("`") for row in _rows(text, "Log events")]

    assert sorted(listed) == sorted(_logged_events())


def _logged_events() -> set[str]:
    """Return the events in all calls of a logger, or of a function around one."""
    return {
        argument.value
        for folder in CODE
        for module in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(call, ast.Call) and _LOGGER.fullmatch(ast.unparse(call.func))
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
