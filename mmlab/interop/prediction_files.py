"""Files of predictions (CSV, Parquet, npz) as blocks of rows: sample ids, labels and scores.

A file is in one of three forms. Long: a row per sample and label, `sample`, `label`, `score`. Wide:
a row per sample, `sample` and a column per label. Arrays: `ids` (n,), `scores` (n, m) and `labels`,
(m,) for all samples alike or (n, m) for each its own. Nothing is unpickled, and a CSV or Parquet
file is never in memory whole.
"""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mmlab.errors import DataError, explain
from mmlab.files import check_zip, open_file
from mmlab.records import Doubles

SAMPLE, LABEL, SCORE = "sample", "label", "score"
#: Scores that are read at a time: so few that Python's collector of garbage costs little.
BLOCK_SCORES = 1 << 16
#: Blocks of a Parquet file are larger: a slice of its rows is found from the group's first.
PARQUET_FACTOR = 4
#: Characters of a cell; a row is never larger than a file of figures may be.
CELL_CHARACTERS = 1 << 20
FORMS = (
    "columns sample, label, score; or sample and one column per label; or in an npz file the "
    "arrays ids, labels and scores"
)


@dataclass(frozen=True)
class Block:
    """m rows that follow each other, from row `first` of the file, counted from 1.

    `samples` are their ids as the file has them. `labels` are those of the columns of `scores`
    (m, w), or (m, w) themselves where each row has its own. `is_given` (m, w) is False where a cell
    is empty. `is_long`: a sample has several rows.
    """

    first: int
    samples: Sequence[object]
    labels: Sequence[str] | npt.NDArray[np.object_]
    scores: Doubles
    is_given: npt.NDArray[np.bool_]
    is_long: bool = False

    def place(self, path: Path, row: int, column: int | None = None) -> str:
        """Where a row of the block, and a column of its scores, stand in the file."""
        named = f"{path}: row {self.first + row}"
        if column is None:
            return named
        if self.is_long:
            return f"{named}, column {SCORE!r}"
        if isinstance(self.labels, np.ndarray):
            return f"{named}, score {column + 1}"
        return f"{named}, column {self.labels[column]!r}"


def read_blocks(path: Path) -> Iterator[Block]:
    """The rows of a file, by its ending. Raises DataError for what is no such file."""
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        endings = ", ".join(readers)
        raise unusable(str(path), "its ending names no form", path.suffix or "none", endings)
    try:
        open_file(path).close()
        yield from reader(path)
    except OSError as error:
        raise unusable(str(path), "it cannot be read", error.strerror or error) from error


def unusable(place: str, fault: str, found: object, allowed: str = FORMS) -> DataError:
    """The error for a file of predictions, or a part of it, that cannot be used."""
    return DataError(
        explain(
            place,
            fault,
            found=str(found)[:300],
            allowed=allowed,
            next_step="correct the file and import it again; nothing was imported",
        )
    )


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
        return max(1, BLOCK_SCORES // len(self.scores))


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


def _read_csv(path: Path) -> Iterator[Block]:
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


def _read_parquet(path: Path) -> Iterator[Block]:
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


def _read_npz(path: Path) -> Iterator[Block]:
    ids, labels, scores = _arrays(path)
    for name, array, kinds, allowed in (
        ("ids", ids, "Uiu", "texts or whole numbers"),
        ("labels", labels, "U", "texts: the labels by their names"),
        ("scores", scores, "fiu", "numbers"),
    ):
        if array.dtype.kind not in kinds:
            raise unusable(f"{path}: {name}", "its type does not fit", array.dtype, allowed)
    count = len(ids) if ids.ndim == 1 else -1
    width = scores.shape[1] if scores.ndim == 2 else -1
    if count < 0 or scores.shape != (count, width) or labels.shape not in [(width,), scores.shape]:
        shapes = f"ids {ids.shape}, labels {labels.shape}, scores {scores.shape}"
        allowed = "ids (n,), scores (n, m), and labels (m,) or (n, m)"
        raise unusable(str(path), "its arrays do not fit each other", shapes, allowed)
    columns = labels.tolist() if labels.ndim == 1 else None
    size = max(1, BLOCK_SCORES // max(1, width))
    for start in range(0, count if width else 0, size):
        rows = slice(start, start + size)
        values = scores[rows].astype(np.float64)
        own = columns if columns is not None else labels[rows].astype(object)
        names = [str(one) for one in ids[rows].tolist()]
        yield Block(start + 1, names, own, values, np.ones(values.shape, bool))


#: What NumPy and zip raise for files that are damaged, or say that they hold more than they do.
_DAMAGED = (
    ValueError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
# Arrays of whatever types.
_Array = npt.NDArray[np.generic]


def _arrays(path: Path) -> tuple[_Array, _Array, _Array]:
    """The three arrays of an npz file; it is never unpickled."""
    try:
        check_zip(path)
        if not zipfile.is_zipfile(path):
            raise unusable(str(path), "it is no whole npz file", "no zip archive of arrays")
        with np.load(path, allow_pickle=False) as found:
            lacking = [name for name in ("ids", "labels", "scores") if name not in found]
            if lacking:
                names = ", ".join(found.files) or "no array"
                raise unusable(str(path), f"there is no array {lacking[0]!r}", names)
            given = [found[name] for name in ("ids", "labels", "scores")]
        if not all(isinstance(one, np.ndarray) for one in given):  # bytes of whatever else
            raise unusable(str(path), "it is no whole npz file", "a file in it that is no array")
        ids, labels, scores = given
        return ids, labels, scores
    except _DAMAGED as error:
        if "pickle" in str(error):
            fault = "it holds pickled objects, which could run any code: they are never read"
            allowed = "arrays of texts and numbers, as np.array(list_of_texts) makes them"
            raise unusable(str(path), fault, error, allowed) from error
        raise unusable(str(path), "it is no whole npz file", error) from error
