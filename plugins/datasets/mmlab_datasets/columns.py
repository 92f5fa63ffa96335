"""What columns of an index say of every row. Raises DataError at the first cell that is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from mmlab.plugin import SPLITS, DataError, explain
from mmlab_datasets.celltypes import is_text
from mmlab_datasets.index import Index, nearest
from mmlab_datasets.numerals import is_missing, parse_number
from mmlab_datasets.rows import JoinedRows
from mmlab_datasets.sample_table import Distinct, Lists
from mmlab_datasets.several_labels import distinct_labels
from mmlab_datasets.wording import counted, some


def read_ids(index: Index, column: str | None, joined: JoinedRows) -> pl.Series:
    """The id of every sample, the number of its first row where no column is named."""
    numbers = joined.first(range(1, len(index) + 1))
    if column is None:
        return pl.Series(numbers).cast(pl.String)
    ids = joined.column(column, index.texts(column))
    if not ids.null_count() and ids.n_unique() == len(ids):
        return ids
    first: dict[str, int] = {}
    for number, cell in zip(numbers, ids, strict=True):
        if cell is None or cell in first:
            raise DataError(
                explain(
                    index.places.of(number, column),
                    f"the id is that of row {index.places.row(first[cell])}"
                    if cell
                    else "the id is missing",
                    found=repr(cell or ""),
                    allowed="one id a sample, each once",
                    next_step="correct the id, or leave id_column out to use row numbers",
                )
            )
        first[cell] = number
    raise AssertionError("an id is missing or there twice")


def read_captions(index: Index, columns: Sequence[str], joined: JoinedRows) -> Lists:
    """The captions of every sample, from all columns."""
    if len(columns) == 1 and joined.is_each_one and is_text(index.series(columns[0]).dtype):
        return Lists.of_one(_stripped(index.texts(columns[0])))
    captions: list[tuple[str, ...]] = [()] * len(index)
    for column in columns:
        captions = [a + b for a, b in zip(captions, index.lists(column), strict=True)]
    return Lists.of(joined.captions(captions))


def _stripped(texts: pl.Series) -> pl.Series:
    """Texts without blanks around them, null where nothing else is there."""
    around = texts.str.contains(r"^[\s\x1c-\x1f]|[\s\x1c-\x1f]$").arg_true()
    if around.is_empty():
        return texts
    return texts.scatter(around, [text.strip() or None for text in texts.gather(around)])


def read_labels(
    index: Index,
    column: str | None,
    separator: str | None,
    names: Sequence[str],
    none_label: str | None = None,
) -> tuple[tuple[str, ...], Distinct[tuple[int, ...] | None]]:
    """The label names, and the label ids of every row as `label_cells` has the labels."""
    cells = distinct_labels(index, column, separator, none_label)
    labels = given_labels(names) or tuple(
        sorted({label for cell in cells.values for label in cell or ()})
    )
    ids = {label: number for number, label in enumerate(labels)}
    for place, cell in enumerate(cells.values):
        for label in set(cell or ()) - ids.keys():
            number = int((cells.places == place).argmax()) + 1
            raise _unknown(index.places.of(number, column), "label", label, labels)
    truths = [
        None if cell is None else tuple(sorted({ids[label] for label in cell}))
        for cell in cells.values
    ]
    return labels, Distinct(truths, cells.places)


def note_labels(index: Index, column: str | None, labels: Sequence[str]) -> list[str]:
    """What is to be told of labels that are words for nothing, such as nan, or written lists."""
    words = [repr(label) for label in labels if is_missing(label)]
    lists = [repr(label) for label in labels if label[:1] == "[" and label[-1:] == "]"]
    notes = []
    if words:
        told = "is a label like any other; where nothing is known, leave the cell empty"
        notes.append(f"{index.path}: column {column!r}: {', '.join(words)} {told}")
    if lists:
        told = "is one label each, though it looks like a list; lists are read from JSONL, or from"
        told += " texts between a label_separator"
        notes.append(f"{index.path}: column {column!r}: {some(lists)} {told}")
    return notes


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


def read_targets(
    index: Index, columns: Sequence[str], joined: JoinedRows
) -> tuple[list[npt.NDArray[np.float64]], list[str]]:
    """The numbers of all samples by column, NaN for unknown, and what is to be told of them.

    A cell that is empty, or a word such as N/A, is not known.
    """
    read = [(column, *_target(index, column)) for column in columns]
    found = [np.array(joined.agreed(column, numbers)) for column, numbers, _ in read]
    return found, [note for _, _, note in read if note]


def _target(index: Index, column: str) -> tuple[list[float], str]:
    series = index.series(column)
    if series.dtype.is_numeric():
        found = series.cast(pl.Float64).fill_null(math.nan).to_list()
        words = Counter[str]()
    else:
        is_said = is_text(series.dtype) or series.dtype == pl.Null
        shown = [None if cell is None else str(cell) for cell in series]
        texts = index.cells(column) if is_said else shown
        words = Counter(text for text in texts if text is not None and is_missing(text))
        found = [math.nan if text is None or text in words else _number(text) for text in texts]
    for row, value in enumerate(found, start=1):
        if math.isinf(value):
            raise _no_number(index, column, row)
    told = some([f"{counted(count, 'cell')} {word!r}" for word, count in words.most_common()], 5)
    return found, f"{index.path}: target {column!r}: unknown: {told}" if words else ""


def _number(text: str) -> float:
    found = parse_number(text)
    return math.inf if found is None else found


def _no_number(index: Index, column: str, row: int) -> DataError:
    series = index.series(column)
    told = "" if is_text(series.dtype) else f"; {series.dtype}"
    return DataError(
        explain(
            index.places.of(row, column),
            "the target is not a finite number",
            found=f"{repr(series.to_list()[row - 1])[:80]}{told}",
            allowed="a number such as 12 or 0.5; an empty cell, NaN or N/A where it is unknown",
            next_step="correct the cell, or take the column out of dataset.target_columns",
        )
    )


def read_splits(index: Index, column: str) -> pl.Series:
    """The split that a column gives every row."""
    cells = index.texts(column)
    wrong = (~cells.is_in(SPLITS)).fill_null(True).arg_true()
    if not wrong.is_empty():
        row = int(wrong[0])
        raise _unknown(index.places.of(row + 1, column), "split", cells[row] or "", SPLITS)
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


def join_groups(ids: pl.Series, *columns: pl.Series | None) -> pl.Series:
    """For each sample its last cell that is not empty, or its id."""
    known = [ids, *(column for column in columns if column is not None)]
    named = {str(place): column for place, column in enumerate(known)}
    return pl.DataFrame(named).select(pl.coalesce(*reversed(named))).to_series()
