from __future__ import annotations

from benchmarks.client import percentile
from benchmarks.table import Table, as_markdown, as_text

TABLE = Table(
    part="post",
    title="POST",
    rows=[{"what": "bare", "ms": 0.1234}, {"what": "ours", "ms": 123.4, "x": None}],
    notes="\nWhat it means.\n",
)


def test_markdown_can_be_pasted() -> None:
    assert as_markdown(TABLE) == (
        "### POST\n\n| what | ms | x |\n|---|---|---|\n| bare | 0.12 | - |\n"
        "| ours | 123 | - |\n\nWhat it means."
    )


def test_columns_are_aligned() -> None:
    assert as_text(TABLE).splitlines()[1:] == [
        "post: POST",
        "what  ms    x",
        "bare  0.12  -",
        "ours  123   -",
    ]


def test_a_percentile_of_few_is_one_of_them() -> None:
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0], 99) == 3.0
    assert percentile([], 50) == 0.0
