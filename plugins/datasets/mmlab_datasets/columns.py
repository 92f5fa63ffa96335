"""What columns of an index say of every row. Raises DataError at the first cell that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mmlab.plugin import SPLITS, DataError, explain
from mmlab_datasets.index import Index, nearest, place
from mmlab_datasets.several_labels import label_cells


def read_ids(index: Index, column: str | None) -> list[str]:
    """The id of every row, its number where no column is named."""
    if column is None:
        return [str(number) for number in range(1, len(index) + 1)]
    first: dict[str, int] = {}
    for number, cell in enumerate(index.cells(column), start=1):
        if cell is None or cell in first:
            raise DataError(
                explain(
                    place(index.path, number, column),
                    f"the id is that of row {first[cell]}" if cell else "the id is missing",
                    found=repr(cell or ""),
                    allowed="one id a row, each once",
                    next_step="correct the id, or leave id_column out to use row numbers",
                )
            )
        first[cell] = number
    return list(first)


def read_captions(index: Index, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The captions of every row, from all columns."""
    captions: list[tuple[str, ...]] = [()] * len(index)
    for column in columns:
        captions = [a + b for a, b in zip(captions, index.lists(column), strict=True)]
    return captions


def read_labels(
    index: Index,
    column: str | None,
    separator: str | None,
    names: Sequence[str],
    none_label: str | None = None,
) -> tuple[tuple[str, ...], list[tuple[int, ...] | None]]:
    """The label names, and the label ids of every row as `label_cells` has the labels."""
    cells = label_cells(index, column, separator, none_label)
    labels = given_labels(names) or tuple(sorted({label for cell in cells for label in cell or ()}))
    ids = {label: number for number, label in enumerate(labels)}
    for number, cell in enumerate(cells, start=1):
        for label in set(cell or ()) - ids.keys():
            raise _unknown(place(index.path, number, column), "label", label, labels)
    return labels, [
        None if cell is None else tuple(sorted({ids[label] for label in cell})) for cell in cells
    ]


def given_labels(names: Sequence[str]) -> tuple[str, ...]:
    """The labels that a spec names, in its order. Raises DataError for one named twice."""
    repeated = [label for label, count in Counter(names).items() if count > 1]
    if not repeated:
        return tuple(names)
    raise DataError(
        explain(
            "dataset.label_names",
            "a label is named more than once",
            found=", ".join(map(repr, repeated)),
            allowed="every label once",
            next_step="remove the repeated names",
        )
    )


def read_targets(index: Index, columns: Sequence[str]) -> list[tuple[float, ...]]:
    """The numbers of every row, NaN where a cell is empty."""
    if not columns:
        return [()] * len(index)
    return list(zip(*(index.numbers(column) for column in columns), strict=True))


def read_splits(index: Index, column: str) -> list[str]:
    """The split that a column gives every row."""
    cells = [cell or "" for cell in index.cells(column)]
    for number, cell in enumerate(cells, start=1):
        if cell not in SPLITS:
            raise _unknown(place(index.path, number, column), "split", cell, SPLITS)
    return cells


def _unknown(place: str, what: str, found: str, known: Sequence[str]) -> DataError:
    return DataError(
        explain(
            place,
            f"there is no {what} of this name{nearest(found, known)}",
            found=repr(found),
            allowed=", ".join(known[:20]) + (f" and {len(known) - 20} more" * (len(known) > 20)),
            next_step=f"correct the cell{', or add it to label_names' if what == 'label' else ''}",
        )
    )


def join_groups(*columns: Iterable[str | None]) -> list[str]:
    """For each row its last cell that is not empty; the first column has no empty cells."""
    return [next(cell for cell in reversed(row) if cell) for row in zip(*columns, strict=True)]
