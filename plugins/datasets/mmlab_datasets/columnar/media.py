"""Pictures and sounds in the columns of Parquet files: bytes, or the names of files."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import polars as pl
from PIL import Image

from mmlab.plugin import DataError, Source, open_file
from mmlab_datasets.celltypes import as_lists, is_list, is_text, item_type, offer_fields
from mmlab_datasets.columnar.files import Origins, ParquetFile, unusable
from mmlab_datasets.index import Index
from mmlab_datasets.media import decode_picture, read_picture
from mmlab_datasets.sound import decode_sound, read_sound

if TYPE_CHECKING:
    from torch import Tensor

Modality = Literal["image", "audio"]
#: Sizes or hashes of the files that a column names, below a folder.
Stamp = Callable[[Index, str, Sequence[str | None], Path], Sequence[int | str]]
#: What one is called, and its feature in `datasets`.
NAMES = {"image": ("picture", "Image"), "audio": ("sound", "Audio")}
FEATURES = ("Image", "Audio", "Video", "Pdf", "Nifti")
ALLOWED = "bytes, a struct of bytes and path, a file's path as text, or a list of one of these"
MEND = "write the file again, with another {} or none in this row"


@dataclass(frozen=True)
class Media:
    """The pictures or sounds of a column in all files of a split, row by row.

    `content` has bytes, `names` the paths that are told beside them; where a row has no bytes,
    `files` has its file, or None where it lacks both. `stamps` tell the content of these files,
    `is_listed` says that some cells are lists.
    """

    modality: Modality
    column: str
    content: pl.Series
    names: pl.Series
    files: Sequence[Path | None]
    rates: Sequence[int | None]
    stamps: Sequence[int | str]
    is_listed: bool
    places: Origins
    present: Sequence[bool]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the column was read."""
        what, notes = NAMES[self.modality][0], []
        if self.is_listed:
            notes.append(f"column {self.column!r} has lists, of which the one {what} is taken")
        lacking = len(self.present) - sum(self.present)
        if lacking:
            told = f"{lacking:,} of {len(self.present):,} rows have no {what}"
            notes.append(f"column {self.column!r}: {told}")
        return tuple(notes)

    @property
    def revision(self) -> str:
        """What tells the content beside the bytes of the Parquet files; "" where these do alone."""
        is_plain = not self.is_listed and not any(self.files)
        if self.modality == "image" and is_plain and (self.content.bin.size() > 0).all():
            return ""
        stamps = list(self.stamps) if any(self.files) else []
        return json.dumps([self.modality, self.column, self.is_listed, stamps])

    def keys(self) -> list[str | None]:
        """What rows of one file share: its path, and where bytes are in the cell these too."""
        named = self.names.is_not_null()
        alike = pl.DataFrame([self.names.alias("name"), self.content.hash().alias("hash")])
        keys: list[str | None] = [None if x is None else os.path.normpath(x) for x in self.files]
        for row in (named & alike.is_duplicated()).arg_true():
            keys[row] = f"{self.names[row]} ({self.identity(row)})"
        return keys

    def identity(self, row: int) -> str | None:
        """What tells the value of a row from others: its file, or a hash of its bytes."""
        if not self.present[row]:
            return None
        file = self.files[row]
        if file is not None:
            return os.path.normpath(file)
        return f"sha256 {hashlib.sha256(self.content[row]).hexdigest()[:16]}"

    def source(self, row: int) -> Source:
        """The file of a row that has the modality, or the cell of its bytes."""
        file = self.files[row]
        if file is not None:
            return Source(os.path.abspath(file), file.stat().st_size)
        return Source(self.places.of(row, self.column), self.content_bytes[row])

    def open(self, row: int) -> BinaryIO:
        """The bytes of a row that has the modality."""
        file = self.files[row]
        return io.BytesIO(self.content[row]) if file is None else open_file(file)

    @cached_property
    def content_bytes(self) -> Sequence[int]:
        """The size of the bytes in each cell."""
        return self.content.bin.size().fill_null(0).to_list()

    def picture(self, row: int) -> Image.Image:
        """The picture of a row that has one. Raises DataError where it is damaged."""
        place, mend = self.places.of(row, self.column), MEND.format("picture")
        file = self.files[row]
        if file is not None:
            return read_picture(file, place)
        return decode_picture(self.content[row], place, mend)

    def sound(self, row: int) -> tuple[Tensor, int]:
        """The sound of a row that has one, and its rate in Hz.

        Raises DataError where it is damaged or its cell tells another rate.
        """
        place, mend = self.places.of(row, self.column), MEND.format("sound")
        file = self.files[row]
        values, rate = (
            decode_sound(self.content[row], place, mend)
            if file is None
            else read_sound(file, place)
        )
        told = self.rates[row]
        if told is None or told == rate:
            return values, rate
        fault = "the cell tells another rate than the sound in it"
        found = f"sampling_rate {told:,}, and a sound of {rate:,} Hz"
        raise unusable(place, fault, found, "the sound's own rate, or null", mend)


def read_media(
    files: Sequence[ParquetFile], column: str, modality: Modality, root: str, stamp: Stamp
) -> Media:
    """A column of pictures or sounds; files lie below `root`, seen from the Parquet file's folder.

    Raises DataError for a column of another type, a cell of several, a file that is not there, and
    where every row lacks one.
    """
    parts = [_cells(file, column, modality) for file in files]
    named: list[Path | None] = []
    stamps: list[int | str] = []
    for file, part in zip(files, parts, strict=True):
        folder = file.path.parent / root
        index = Index(file.path, pl.DataFrame({column: part["path"]}))
        cells = index.cells(column)
        _refuse_addresses(file, column, cells)
        stamps += stamp(index, column, cells, folder)
        named += [None if cell is None else folder / cell for cell in cells]
    whole = pl.concat(parts) if parts else pl.DataFrame(schema=CELLS)
    in_cells = whole["bytes"].is_not_null().to_list()
    present = [has or name is not None for has, name in zip(in_cells, named, strict=True)]
    if present and not any(present):
        raise _all_missing(files, column, modality, len(present))
    is_listed = any(is_list(file.series(column).dtype) for file in files)
    content, names, rates = whole["bytes"], whole["name"], whole["rate"].to_list()
    return Media(
        *(modality, column, content, names, named, rates, stamps, is_listed),
        places=Origins(files),
        present=present,
    )


#: A column of any type as bytes, else a path, and the rate that a cell tells.
CELLS = pl.Schema(
    {"bytes": pl.Binary(), "path": pl.String(), "rate": pl.Int64(), "name": pl.String()}
)


def _cells(file: ParquetFile, column: str, modality: Modality) -> pl.DataFrame:
    series = _single(file, column, modality)
    fields = _fields(series)
    content, path, rate = (fields.get(name) for name in ("bytes", "path", "sampling_rate"))
    is_bytes = content is None or content.dtype in (pl.Binary, pl.Null)
    is_path = path is None or is_text(path.dtype) or path.dtype == pl.Null
    is_rate = rate is None or rate.dtype.is_integer() or rate.dtype == pl.Null
    is_other = file.feature(column).get("_type") in set(FEATURES) - {NAMES[modality][1]}
    has_any = content is not None or path is not None
    if is_other or not (has_any and is_bytes and is_path and is_rate):
        raise _no_media(file, column, modality)
    cells = pl.DataFrame(
        {
            name: pl.Series([None] * len(series)) if part is None else part
            for name, part in (("bytes", content), ("path", path), ("rate", rate), ("name", path))
        }
    ).cast(CELLS)
    is_named = pl.col("bytes").is_null()
    return cells.with_columns(
        path=pl.when(is_named).then("path"), name=pl.when(~is_named).then("name").replace("", None)
    )


def _fields(series: pl.Series) -> dict[str, pl.Series]:
    """The parts of a cell: those of a struct, else bytes or a path."""
    if isinstance(series.dtype, pl.Struct):
        return {field.name: series.struct.field(field.name) for field in series.dtype.fields}
    if series.dtype in (pl.Binary, pl.Null):
        return {"bytes": series}
    return {"path": series}


def _single(file: ParquetFile, column: str, modality: Modality) -> pl.Series:
    """The only item of every list, null where one is empty; other columns as they are."""
    series = as_lists(file.series(column))
    if not isinstance(series.dtype, pl.List):
        return series
    item = item_type(series.dtype)
    if not (item in (pl.Binary, pl.Null) or is_text(item) or isinstance(item, pl.Struct)):
        raise _no_media(file, column, modality)
    several = (series.list.len() > 1).fill_null(False).arg_true()
    if several.is_empty():
        return series.list.first()
    what, row = NAMES[modality][0], several[0]
    raise unusable(
        file.place(column, row + 1),
        f"the cell has several {what}s, and a sample has one",
        f"{len(series[row])} of them; {file.series(column).dtype}",
        f"lists of one {what} at most",
        f"write a row for each {what}, or name a column of one {what} a row",
    )


def _refuse_addresses(file: ParquetFile, column: str, cells: Sequence[str | None]) -> None:
    """Raise DataError for the address of a file elsewhere."""
    for row, cell in enumerate(cells, start=1):
        if cell is not None and "://" in cell:
            raise unusable(
                file.place(column, row),
                "the cell is an address, and nothing is fetched from elsewhere",
                repr(cell),
                ALLOWED,
                "fetch the files, and write their paths or bytes into the column",
            )


def _all_missing(
    files: Sequence[ParquetFile], column: str, modality: Modality, count: int
) -> DataError:
    what = NAMES[modality][0]
    return unusable(
        files[0].place(column),
        f"every {what} of the split is missing",
        f"{count} rows without bytes or path; {files[0].series(column).dtype}",
        ALLOWED,
        f"name a column that has {what}s, or leave {modality}_column out",
    )


def _no_media(file: ParquetFile, column: str, modality: Modality) -> DataError:
    dtype, kind = file.series(column).dtype, file.feature(column).get("_type")
    told = f", which the schema calls {kind}" if kind else ""
    step = offer_fields(column, dtype) or f"name another column in {modality}_column"
    fault = f"its cells are no {NAMES[modality][0]}s"
    return unusable(file.place(column), fault, f"{dtype}{told}", ALLOWED, step)
