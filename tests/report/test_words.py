"""Names of rows: what sets them apart, and no more; and never two alike."""

from __future__ import annotations

import pytest

from mmlab.report.boards.words import Names, short_names


def names(*rows: tuple[str, str], origin: str | None = None) -> Names:
    """Of rows given as experiment and cell; hashes are numbers."""
    given = [
        {"experiment": experiment, "cell": cell, "group_hash": f"{place:06}", "origin": origin}
        for place, (experiment, cell) in enumerate(rows)
    ]
    return short_names(given)


@pytest.mark.parametrize(
    ("rows", "heading", "labels", "shared"),
    [
        # One row is called by all of its name.
        ([("a", "fusion=sum")], "experiment", ["a · fusion=sum"], ()),
        ([("a", ""), ("b", "")], "experiment", ["a", "b"], ()),
        ([("a", "fusion=sum"), ("a", "fusion=gmu")], "fusion", ["sum", "gmu"], ("a",)),
        (
            [("a", "fusion=sum, lr=1"), ("b", "fusion=gmu, lr=1")],
            "experiment · fusion",
            ["a · sum", "b · gmu"],
            ("lr=1",),
        ),
        (
            [("a", "fusion=sum, lr=1"), ("a", "fusion=gmu, lr=2")],
            "cell",
            ["fusion=sum, lr=1", "fusion=gmu, lr=2"],
            ("a",),
        ),
        # What one row has not at all is not the one setting in which they differ.
        ([("a", ""), ("a", "fusion=sum")], "cell", ["a", "fusion=sum"], ("a",)),
        ([("a", "x=f(y=1, z=2)"), ("a", "x=f(y=1)")], "x", ["f(y=1, z=2)", "f(y=1)"], ("a",)),
        # The same cell under other code: hashes tell it apart.
        ([("a", "x=1"), ("a", "x=1")], "experiment", ["a #000000", "a #000001"], ("a", "x=1")),
        ([("a", "odd"), ("a", "name")], "cell", ["odd", "name"], ("a",)),
    ],
)
def test_names_are_what_sets_rows_apart(
    rows: list[tuple[str, str]], heading: str, labels: list[str], shared: tuple[str, ...]
) -> None:
    found = names(*rows)
    assert (found.heading, list(found.labels.values()), found.shared) == (heading, labels, shared)


def test_imported_results_say_so() -> None:
    found = names(("a", ""), ("b", ""), origin="open_clip")
    assert list(found.labels.values()) == ["a (imported)", "b (imported)"]
