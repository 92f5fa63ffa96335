"""The index file of a manifest: a table read with Polars, its cells as checked Python values."""

from __future__ import annotations

import difflib
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.damage import Damage, find_damage, repeated_columns

TEXT_BYTES = 4096
ENDINGS = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Index:
    """A table and where it came from. Rows count from 1, a header line aside."""

    path: Path
    table: pl.DataFrame

    def __len__(self) -> int:
        """Number of rows."""
        return self.table.height

    def cells(self, column: str | None) -> list[str | None]:
        """A column of texts or whole numbers as text; None where a cell is empty, or no column."""
        if column is None:
            return [None] * len(self)
        return [cell or None for cell in self._texts(column, self.series(column)).to_list()]

    def lists(self, column: str, separator: str | None = None) -> list[tuple[str, ...]]:
        """A column of lists, or of text that `separator` parts; a text alone is a list of one."""
        series = self.series(column)
        if isinstance(series.dtype, pl.List):
            return self._listed(column, series)
        cells = [cell or "" for cell in self.cells(column)]
        return [_stripped(cell.split(separator) if separator else [cell]) for cell in cells]

    def holds_lists(self, column: str | None) -> bool:
        """True where the column has the list type of JSONL or Parquet."""
        return column is not None and isinstance(self.series(column).dtype, pl.List)

    def numbers(self, column: str) -> list[float]:
        """A column of numbers, or of text that says numbers; NaN where a cell is empty."""
        series = self.series(column)
        empty = series.is_null() | (series == "") if series.dtype == pl.String else series.is_null()
        is_readable = series.dtype.is_numeric() or series.dtype in (pl.String, pl.Null)
        found = series.cast(pl.Float64, strict=False) if is_readable else series.clear(len(self))
        faulty = ~empty & ~(found.is_finite() | found.is_nan()).fill_null(False)
        if faulty.any():
            raise self._no_number(column, faulty.arg_true()[0] + 1)
        return found.fill_null(math.nan).to_list()

    def _no_number(self, column: str, row: int) -> DataError:
        return DataError(
            explain(
                place(self.path, row, column),
                "the target is not a finite number",
                found=repr(self.series(column)[row - 1])[:80],
                allowed="a number such as 12 or 0.5, or an empty cell where it is unknown",
                next_step="correct the cell, or take the column out of dataset.target_columns",
            )
        )

    def series(self, column: str) -> pl.Series:
        """A column as it was read. Raises DataError, with the nearest name, where there is none."""
        if column in self.table.columns:
            return self.table[column]
        known = self.table.columns
        raise DataError(
            explain(
                str(self.path),
                f"there is no column {column!r}{nearest(column, known)}",
                found=", ".join(map(repr, known)),
                allowed="the name of a column",
                next_step="name an existing column in the spec, or add this one to the file",
            )
        )

    def _listed(self, column: str, series: pl.Series) -> list[tuple[str, ...]]:
        rows = pl.DataFrame({"row": range(1, len(self) + 1), "cell": series}).explode("cell")
        texts = self._texts(column, rows["cell"], rows["row"])
        found: list[list[str]] = [[] for _ in range(len(self))]
        for row, text in zip(rows["row"], texts, strict=True):
            found[row - 1].append(text or "")
        return [_stripped(parts) for parts in found]

    def _texts(self, column: str, series: pl.Series, rows: pl.Series | None = None) -> pl.Series:
        if not (series.dtype in (pl.String, pl.Null, pl.Categorical) or series.dtype.is_integer()):
            raise DataError(
                explain(
                    f"{self.path}: column {column!r}",
                    "its cells are neither text nor whole numbers",
                    found=str(series.dtype),
                    allowed="text, whole numbers, or lists of them for labels and captions",
                    next_step="write the column as text",
                )
            )
        texts = series.cast(pl.String)
        self._check_texts(column, texts, rows)
        return texts

    def _check_texts(self, column: str, texts: pl.Series, rows: pl.Series | None) -> None:
        faulty = texts.str.contains("\0", literal=True) | (texts.str.len_bytes() > TEXT_BYTES)
        found = faulty.fill_null(False).arg_true()
        if found.is_empty():
            return
        row = found[0] + 1 if rows is None else rows[found[0]]
        text = texts[found[0]]
        raise DataError(
            explain(
                place(self.path, row, column),
                "the text holds a NUL" if "\0" in text else "the text is too long",
                found=f"{len(text.encode())} bytes, {text[:40]!r}{'...' * (len(text) > 40)}",
                allowed=f"at most {TEXT_BYTES} bytes of text without NUL",
                next_step="correct the cell",
            )
        )


def place(path: Path, row: int, column: str | None) -> str:
    """Where a fault is, for the first part of its message."""
    return f"{path}: row {row}, column {column!r}"


def _stripped(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip() for part in parts if part.strip())


def nearest(name: str, known: Iterable[str]) -> str:
    """The question that suggests a known name like this one, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean "{found[0]}"?)' if found else ""


def read_index(path: Path) -> Index:
    """The table in a CSV, JSONL or Parquet file. Raises DataError where there is none."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise _unreadable(path, "its ending is unknown", ending or "no ending")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, "it cannot be read", error.strerror) from error
    if not content.strip():
        raise _unreadable(path, "it is empty", f"{len(content)} bytes")
    if ending == ".csv" and (repeated := repeated_columns(content)):
        raise _damaged(path, repeated)
    try:
        table = _parse(ending, io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        said = str(error).split("\n")[0]
        raise _damaged(path, find_damage(ending, content, said)) from error
    if table.is_empty():
        raise _unreadable(path, "it has no rows", "0 rows")
    return Index(path, table)


def _parse(ending: str, content: io.BytesIO) -> pl.DataFrame:
    if ending == ".csv":
        return pl.read_csv(content, infer_schema=False)  # every cell as it is written: 007 stays
    if ending == ".jsonl":
        return pl.read_ndjson(content, infer_schema_length=None)
    return pl.read_parquet(content)


def _damaged(path: Path, damage: Damage) -> DataError:
    return DataError(
        explain(
            f"{path}{damage.where}",
            f"this is no manifest: {damage.fault}",
            found=damage.found,
            allowed=damage.allowed,
            next_step=damage.next_step,
        )
    )


def _unreadable(path: Path, fault: str, found: object) -> DataError:
    return DataError(
        explain(
            str(path),
            f"this is no manifest: {fault}",
            found=found,
            allowed=f"a file of at least one row that ends in {', '.join(ENDINGS)}",
            next_step="set dataset.path to the index of your data, or repair the file",
        )
    )
