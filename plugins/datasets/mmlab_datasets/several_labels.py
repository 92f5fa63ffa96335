"""Multi-label columns of an index: labels, none of the labels, and labels that are unknown."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.celltypes import as_lists
from mmlab_datasets.index import Index
from mmlab_datasets.sample_table import Distinct

#: What a cell of several labels says where none of them is true, whatever word a spec adds.
NONE = "[]"


def label_cells(
    index: Index, column: str | None, separator: str | None, none_label: str | None
) -> list[tuple[str, ...] | None]:
    """The labels of every row; None where they are unknown, () where none of several is true.

    An empty list says none of several, and so does the text [] or the `none_label`. An empty cell,
    null or no key is unknown. Raises DataError for a cell that says neither, or both.
    """
    if column is None:
        return [None] * len(index)
    cells = index.labels(column, separator)
    if not separator and not index.holds_lists(column):
        return [cell or None for cell in cells]
    nothing = {NONE, none_label or NONE}
    found: list[tuple[str, ...] | None] = []
    for number, (cell, size) in enumerate(zip(cells, _sizes(index, column), strict=True), start=1):
        labels = tuple(label for label in cell if label not in nothing)
        if (size and not cell) or 0 < len(labels) < len(cell):
            raise _unclear(index, number, column, has_labels=bool(labels))
        found.append(None if size is None else labels)
    return found


def distinct_labels(
    index: Index, column: str | None, separator: str | None, none_label: str | None
) -> Distinct[tuple[str, ...] | None]:
    """The same, each once."""
    if column is None or separator or index.holds_lists(column):
        return Distinct.of(label_cells(index, column, separator, none_label))
    cells: Distinct[str | None] = Distinct.of(index.names(column))
    texts = [(cell or "").strip() for cell in cells.values]
    return Distinct([(text,) if text else None for text in texts], cells.places)


def unknown_labels(index: Index, column: str | None, separator: str | None) -> list[str]:
    """A word about the empty cells of a column of text with several labels; none without any."""
    if column is None or separator is None or index.holds_lists(column):
        return []
    count = sum(size is None for size in _sizes(index, column))
    said = f"{index.path}: column {column!r}: {count:,} of {len(index):,} cells are empty"
    meant = "their labels are unknown; none of the labels is said by [], or by dataset.none_label"
    return [f"{said}: {meant}"] if count else []


def check_none_label(none_label: str | None, names: Sequence[str], *, is_multi_label: bool) -> None:
    """Raise DataError where the word for none of several labels has no sense."""
    is_label = none_label in names
    if none_label is None or (is_multi_label and not is_label):
        return
    raise DataError(
        explain(
            "dataset.none_label",
            "the word for none of several labels is a label itself"
            if is_label
            else "there are not several labels a row, so none of them cannot be said",
            found=f"{none_label!r} in label_names" if is_label else "one label a row",
            allowed="a word that is no label, in data with label_separator or lists of labels",
            next_step="take the word out of label_names" if is_label else "leave none_label out",
        )
    )


def _sizes(index: Index, column: str) -> list[int | None]:
    """How long the list or the text of a cell is, blanks around it aside; None without one."""
    series = as_lists(index.series(column))
    if isinstance(series.dtype, pl.List):
        return series.list.len().to_list()
    return [len((cell or "").strip()) or None for cell in index.cells(column)]


def _unclear(index: Index, number: int, column: str, *, has_labels: bool) -> DataError:
    return DataError(
        explain(
            index.places.of(number, column),
            "the cell says a label, and none of them"
            if has_labels
            else "the cell says neither a label nor none of them",
            found=repr(index.series(column).to_list()[number - 1])[:80],
            allowed="labels; [] or dataset.none_label for none of them; nothing where unknown",
            next_step="correct the cell",
        )
    )
