"""Hugging Face's datasets from Parquet files that lie here: pictures are bytes in a column."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from mmlab.plugin import DataError, Sample, Split, explain, file_sha256
from mmlab_datasets.columns import given_labels
from mmlab_datasets.index import nearest
from mmlab_datasets.media import decode_picture
from mmlab_datasets.texts import Label, Template

#: All pictures of a split are kept in memory, as they are compressed.
SPLIT_BYTES = 16_000_000_000
Column = Annotated[str, Field(min_length=1)]


class Parquet:
    """One row a sample: pictures as `datasets` saves them, texts, and labels by number or name.

    `train`, `validation` and `test` are paths in which `*` stands for anything, as in
    "data/train-*.parquet"; files are taken in the order of their names. A picture is a struct of
    bytes, or bytes. Numbers of labels need `label_names`, unless the files' own schema names them;
    texts of labels are the labels, sorted, unless named. Compressed pictures are kept in memory.
    Raises DataError for files that cannot be read or lack a column.
    """

    numerics = 1
    is_multi_label = False

    def __init__(
        self,
        split: Split,
        *,
        train: Annotated[Path, Field(description="files of the training split; * for anything")],
        validation: Annotated[Path | None, Field(description="... of the validation split")] = None,
        test: Annotated[Path | None, Field(description="... of the test split")] = None,
        image_column: Annotated[Column | None, Field(description="pictures")] = None,
        text_columns: Annotated[Sequence[Column], Field(description="captions")] = (),
        label_column: Annotated[Column | None, Field(description="a label each")] = None,
        label_names: Annotated[Sequence[Label], Field(description="all labels, in order")] = (),
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
    ) -> None:
        patterns = {"train": train, "validation": validation, "test": test}
        columns = [name for name in (image_column, *text_columns, label_column) if name]
        if not (image_column or text_columns):
            raise _unusable(str(train), "no column is named that holds pictures or texts", columns)
        self._image, self._texts, self._label = image_column, text_columns, label_column
        self._split = split
        self._files = _find(patterns[split])
        self._rows = _read(self._files, columns)
        self.labels = given_labels(label_names) or self._labels(train)
        self._truths = self._number_labels()
        self.templates = tuple(templates)
        kinds = {"image": image_column, "text": text_columns}
        self.modalities = tuple(kind for kind, given in kinds.items() if given)
        self.revision = self._revision(split)

    def __len__(self) -> int:
        """Number of rows in the split."""
        return self._rows.height

    def __getitem__(self, index: int) -> Sample:
        """One row, its picture decoded; its id is its split and its place in it."""
        sample = self.outline(index)
        values = dict(sample.values)
        if "image" in values and self._image is not None:
            content = _bytes_of(self._rows[self._image][index])
            assert content is not None, "the outline has a picture"
            place = f"row {index} of {self._files[0].parent}"
            mend = "write the file again, with another picture or none in this row"
            values["image"] = decode_picture(content, place, mend)
        return Sample(sample.id, values, sample.labels)

    def outline(self, index: int) -> Sample:
        """One row without its picture."""
        values: dict[str, object] = {}
        if self._image is not None and _bytes_of(self._rows[self._image][index]) is not None:
            values["image"] = None
        captions = tuple(
            text for name in self._texts for text in _texts_of(self._rows[name][index])
        )
        if captions:
            values["text"] = captions
        truth = self._truths[index]
        return Sample(f"{self._split}-{index}", values, () if truth is None else (truth,))

    def _labels(self, train: Path) -> tuple[str, ...]:
        """The names that the files' schema gives, else those that occur in the training split."""
        if self._label is None:
            return ()
        named = _schema_names(_find(train)[0], self._label)
        if named:
            return named
        column = _read(_find(train), [self._label])[self._label]
        if column.dtype == pl.String:
            return tuple(sorted(column.drop_nulls().unique().to_list()))
        raise _unusable(str(train), "its labels are numbers and nothing names them", column.dtype)

    def _number_labels(self) -> list[int | None]:
        """The label id of each row, None where it is not known."""
        if self._label is None or not len(self):
            return [None] * len(self)
        column = self._rows[self._label]
        ids = {name: number for number, name in enumerate(self.labels)}
        found: list[int | None] = []
        for row, value in enumerate(column.to_list()):
            is_unknown = value is None or value == -1  # `datasets` writes -1 where none is known
            number = None if is_unknown else ids.get(value, value)
            is_named = number is None or (type(number) is int and 0 <= number < len(ids))
            if not is_named:
                place = f"{self._files[0].parent}: row {row}, column {self._label!r}"
                raise _unusable(place, "a label has no name", repr(value)[:80])
            found.append(number)
        return found

    def _revision(self, split: Split) -> str:
        options = [split, self._image, *self._texts, self._label, *self.labels]
        content = hashlib.sha256(json.dumps(options).encode())
        for path in self._files:
            content.update(bytes.fromhex(file_sha256(path)))
        return f"parquet-{content.hexdigest()[:16]}"


def _find(pattern: Path | None) -> list[Path]:
    """The files of a pattern, by name; none without one."""
    if pattern is None:
        return []
    found = sorted(Path(name) for name in glob.glob(str(pattern)))
    if not found:
        raise _unusable(str(pattern), "there is no such file", "none")
    size = sum(path.stat().st_size for path in found)
    if size > SPLIT_BYTES:
        raise _unusable(
            str(pattern), "its files are too large to keep in memory", f"{size:,} bytes"
        )
    return found


def _read(files: Sequence[Path], columns: Sequence[str]) -> pl.DataFrame:
    """These columns of all files, one after the other."""
    frames = []
    for path in files:
        try:
            known = list(pl.read_parquet_schema(path))
            missing = [name for name in columns if name not in known]
            if not missing:
                frames.append(pl.read_parquet(path, columns=list(columns)))
                continue
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unusable(str(path), "it is no whole Parquet file", error) from error
        fault = f"there is no column {missing[0]!r}{nearest(missing[0], known)}"
        raise _unusable(str(path), fault, ", ".join(known))
    if not frames:
        return pl.DataFrame()
    try:
        return pl.concat(frames)
    except pl.exceptions.PolarsError as error:
        place = f"{files[0]} and others"
        raise _unusable(place, "its files have columns of different types", error) from error


def _schema_names(path: Path, column: str) -> tuple[str, ...]:
    """The names of a label's numbers, as `datasets` writes them into the schema; () without."""
    try:
        told = pl.read_parquet_metadata(path).get("huggingface", "{}")
        feature = json.loads(told)["info"]["features"][column]
        names = feature["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    is_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if is_names else ()


# A cell: bytes, or a struct of bytes and a path, or None.
def _bytes_of(cell: Any) -> bytes | None:
    content = cell.get("bytes") if isinstance(cell, Mapping) else cell
    return content if isinstance(content, bytes) and content else None


# A cell: a text, or a list of texts.
def _texts_of(cell: Any) -> list[str]:
    texts = [cell] if isinstance(cell, str) or cell is None else list(cell)
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]


def _unusable(place: str, fault: str, found: object) -> DataError:
    return DataError(
        explain(
            place,
            fault,
            found=str(found)[:300],
            allowed=f"Parquet files with the named columns, up to {SPLIT_BYTES:,} bytes a split",
            next_step="correct the pattern or the name of the column in [dataset], or label_names",
        )
    )
