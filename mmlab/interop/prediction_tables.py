"""Predictions in CSV and Parquet, read some rows at a time.

Long: a row per sample and label, `sample`, `label`, `score`. Wide: a row per sample, `sample` and a
column per label.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mmlab.errors import DataError
from mmlab.files import open_file
from mmlab.interop import prediction_blocks as blocks
from mmlab.interop.prediction_blocks import LABEL, SAMPLE, SCORE, Block, unusable
from mmlab.records import Doubles

#: Blocks of a Parquet file are larger: a slice of its rows is found from the group's first.
PARQUET_FACTOR = 4
#: Characters of a cell; a row is never larger than a file of figures may be.
CELL_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class _Form:
    """Which columns hold what: the sample's, and either label and score, or one per label."""

    sample: int
    label: int | None
    scores: tuple[int, ...]
    labels: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return max(1, blocks.BLOCK_SCORES // len(self.scores))


def _form_of(path: Path, names: Sequence[str]) -> _Form:
    """The form that a header says. Raises DataError where it says none."""
    header = ", ".join(map(repr, names))
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise unusable(f"{path}: header", f"the column {repeated[0]!r} is there twice", header)
    if SAMPLE not in names:
        raise unusable(f"{path}: header", f"there is no column {SAMPLE!r}", header)
    place = {name: position for position, name in enumerate(names)}
    others = [name for name in names if name != SAMPLE]
    if {LABEL, SCORE} <= set(others):
        more = [name for name in others if name not in (LABEL, SCORE)]
        if more:
            raise unusable(f"{path}: header", f"the column {more[0]!r} has no meaning here", header)
        return _Form(place[SAMPLE], place[LABEL], (place[SCORE],), ())
    if not others:
        raise unusable(f"{path}: header", "there is no column of scores", header)
    return _Form(place[SAMPLE], None, tuple(place[name] for name in others), tuple(others))


def read_csv(path: Path) -> Iterator[Block]:
    """The rows of a CSV file in UTF-8. Raises DataError for anything else."""
    with open_file(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        before = csv.field_size_limit(CELL_CHARACTERS)
        rows = csv.reader(text, strict=True)
        number = 0
        try:
            header = next(rows, None)
            if not header:
                raise unusable(str(path), "it is empty", "no header")
            form = _form_of(path, header)
            while chunk := list(itertools.islice(rows, form.rows)):
                yield _csv_block(path, form, chunk, number + 1, len(header))
                number += len(chunk)
        except (csv.Error, UnicodeDecodeError) as error:
            place = f"{path}: near line {rows.line_num + 1}"
            raise unusable(place, "it is no CSV file in UTF-8", error) from error
        finally:
            csv.field_size_limit(before)


def _csv_block(path: Path, form: _Form, rows: list[list[str]], first: int, width: int) -> Block:
    if {*map(len, rows)} != {width}:
        number, row = next((i, row) for i, row in enumerate(rows, first) if len(row) != width)
        raise unusable(
            f"{path}: row {number}",
            "it has not as many cells as there are columns",
            f"{len(row)} cells",
            f"{width}: a row for every sample, and no empty lines",
        )
    texts = [row[column] for row in rows for column in form.scores]
    shape = len(rows), len(form.scores)
    is_given, scores = np.ones(shape, bool), _as_numbers(texts)
    if scores is None:  # rare, so that all others are read fast
        is_given = np.array([bool(text.strip()) for text in texts]).reshape(shape)
        scores = _as_numbers([text if text.strip() else "nan" for text in texts])
    if scores is None:
        raise _no_number(path, form, texts, first)
    labels = form.labels
    return Block(
        first,
        [*map(itemgetter(form.sample), rows)],
        labels if form.label is None else _column([*map(itemgetter(form.label), rows)]),
        scores.reshape(shape),
        is_given,
        form.label is not None,
    )


def _as_numbers(texts: list[str]) -> Doubles | None:
    """Texts as numbers; None where one of them is none."""
    if "_" in "".join(texts):  # Python reads 1_0 as 10
        return None
    try:
        return np.array([*map(float, texts)])
    except ValueError:
        return None


def _no_number(path: Path, form: _Form, texts: list[str], first: int) -> DataError:
    wrong = next(i for i, text in enumerate(texts) if text.strip() and _as_numbers([text]) is None)
    row, column = divmod(wrong, len(form.scores))
    name = SCORE if form.label is not None else form.labels[column]
    place = f"{path}: row {first + row}, column {name!r}"
    return unusable(place, "it is no number", ascii(texts[wrong]), "a finite number")


def _column(texts: Sequence[object]) -> npt.NDArray[np.object_]:
    column = np.empty((len(texts), 1), object)
    column[:, 0] = texts
    return column


def read_parquet(path: Path) -> Iterator[Block]:
    """The rows of a Parquet file. Raises DataError for a damaged one and for other types."""
    try:
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        form = _form_of(path, schema.names())
        _check_types(path, form, schema)
        total = int(scan.select(pl.len()).collect().item())
        size = PARQUET_FACTOR * form.rows
        for start in range(0, total, size):
            frame = scan.slice(start, size).collect()
            yield _parquet_block(frame, form, start + 1)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise unusable(str(path), "it is no whole Parquet file", error) from error


def _check_types(path: Path, form: _Form, schema: pl.Schema) -> None:
    names, types = schema.names(), schema.dtypes()
    for position, (name, kind) in enumerate(zip(names, types, strict=True)):
        is_text = kind in (pl.String, pl.Categorical, pl.Enum)
        if position == form.sample:
            is_fit, allowed = is_text or kind.is_integer(), "texts or whole numbers"
        elif position == form.label:
            is_fit, allowed = is_text, "texts: the labels by their names"
        else:
            is_fit, allowed = kind.is_numeric(), "numbers"
        if not is_fit:
            place = f"{path}: column {name!r}"
            raise unusable(place, "its type does not fit", f"{kind}", allowed)


def _parquet_block(frame: pl.DataFrame, form: _Form, first: int) -> Block:
    columns = frame.get_columns()
    scores = frame.select(pl.nth(*form.scores).cast(pl.Float64))
    is_given = frame.select(pl.nth(*form.scores).is_not_null()).to_numpy()
    labels = form.labels
    return Block(
        first,
        columns[form.sample].cast(pl.String).to_list(),
        labels if form.label is None else _column(columns[form.label].cast(pl.String).to_list()),
        scores.fill_null(np.nan).to_numpy(),
        is_given,
        form.label is not None,
    )
