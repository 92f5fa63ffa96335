"""The user's own data, listed in a CSV, JSONL or Parquet file: one sample a row."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mmlab.plugin import SPLITS, DataError, Sample, Split, explain
from mmlab_datasets.cells import Cells, read_cells
from mmlab_datasets.files import file_sizes
from mmlab_datasets.index import Index, nearest, place, read_index
from mmlab_datasets.media import REPLACE, read_picture
from mmlab_datasets.sound import read_sound
from mmlab_datasets.splits import draw_splits
from mmlab_datasets.video import read_video

Column = Annotated[str, Field(min_length=1)]
Label = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]
Template = Annotated[str, Field(max_length=1000, pattern=r"^[^{}\x00]*\{\}[^{}\x00]*$")]
Fraction = Annotated[float, Field(ge=0, lt=0.5)]

MODALITIES = ("image", "text", "audio", "video", "tabular")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the index, its cells understood."""

    number: int
    id: str
    split: str
    image: str | None
    audio: str | None
    captions: tuple[str, ...]
    labels: tuple[int, ...]
    targets: tuple[float, ...]
    video: str | None
    cells: Cells


class Manifest:
    """One sample a row; an empty cell is a missing modality, or a label nobody knows.

    Files are named relative to `root`, itself relative to the index file's folder, and lie below.
    Labels are the `label_names`, by default all that occur, sorted as text. A column of lists, or a
    `label_separator`, makes the dataset multi-label. Without a `split_column`, rows are drawn into
    splits by a hash of `seed` and group: the `group_column`, or else the file of the row, so that a
    picture in several rows stays in one split.
    Raises DataError for an index that cannot be understood or a file that is not there; what is
    wrong within a file is found when its sample is read.
    """

    def __init__(
        self,
        split: Split,
        *,
        path: Annotated[Path, Field(description="CSV, JSONL or Parquet file, one sample a row")],
        root: Annotated[str, Field(description="folder of the files, from the index's")] = ".",
        id_column: Annotated[Column | None, Field(description="default: the row number")] = None,
        image_column: Annotated[Column | None, Field(description="JPEG, PNG, WebP files")] = None,
        text_columns: Annotated[Sequence[Column], Field(description="captions")] = (),
        audio_column: Annotated[
            Column | None, Field(description="WAV files; FLAC, Ogg, MP3")
        ] = None,
        video_column: Annotated[
            Column | None, Field(description="video files, read with PyAV")
        ] = None,
        video_frames: Annotated[
            int, Field(ge=1, le=1000, description="frames kept of a video, evenly spaced")
        ] = 16,
        tabular_columns: Annotated[
            Sequence[Column], Field(description="columns of numbers or categories, as a row")
        ] = (),
        label_column: Annotated[Column | None, Field(description="one label or several")] = None,
        label_separator: Annotated[Column | None, Field(description="between labels")] = None,
        label_names: Annotated[Sequence[Label], Field(description="all labels, in order")] = (),
        target_columns: Annotated[
            Sequence[Column], Field(description="numbers to predict; empty cells are unknown")
        ] = (),
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
        split_column: Annotated[
            Column | None, Field(description="train, validation or test")
        ] = None,
        group_column: Annotated[
            Column | None, Field(description="rows of a group share a split")
        ] = None,
        validation_fraction: Annotated[Fraction, Field(description="part of the groups")] = 0.1,
        test_fraction: Annotated[Fraction, Field(description="part of the groups")] = 0.1,
        seed: Annotated[int, Field(description="of the drawn splits")] = 0,
    ) -> None:
        index = read_index(path)
        folder = path.parent / root
        columns = {"image": image_column, "audio": audio_column, "video": video_column}
        files = {key: index.cells(column) for key, column in columns.items()}
        ids = _ids(index, id_column)
        if split_column:
            splits = _splits(index, split_column)
        else:
            named = (files[key] for key in ("video", "audio", "image"))
            groups = _groups(ids, *named, index.cells(group_column))
            fractions = {"validation": validation_fraction, "test": test_fraction}
            splits = draw_splits(groups, fractions, seed)
        captions = _captions(index, text_columns)
        self.labels, truths = _labels(index, label_column, label_separator, label_names)
        self.target_names = tuple(target_columns)
        targets = _targets(index, target_columns)
        images, audios, videos = files.values()
        cells = read_cells(index, tabular_columns)
        parts = (ids, splits, images, audios, captions, truths, targets, videos, cells)
        rows = [Row(number, *row) for number, row in enumerate(zip(*parts, strict=True), start=1)]
        self.templates = tuple(templates)
        self.is_multi_label = bool(label_separator) or index.holds_lists(label_column)
        sources = {**columns, "text": text_columns, "tabular": tabular_columns}
        self.modalities = _modalities(index, sources)
        sizes = [
            file_sizes(index, column, files[key], folder)
            for key, column in columns.items()
            if key != "video" or column  # options that are not used change no revision
        ]
        names = (self.labels, self.templates, *filter(None, [self.target_names]))
        self.revision = _revision(rows, sizes, *names)
        self._rows = [row for row in rows if row.split == split]
        self._folder = folder
        self._path = path
        self._columns = columns
        self._frames = video_frames

    def __len__(self) -> int:
        """Number of rows in the split."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """One row, its files read. Raises DataError with the row's number where one cannot be."""
        row, sample = self._rows[index], self.outline(index)
        values = dict(sample.values)
        if row.image is not None:
            mend = f"{REPLACE}, or empty the cell to mark it missing"
            file = self._folder / row.image
            values["image"] = read_picture(file, self._place(row, "image"), mend)
        if row.audio is not None:
            values["audio"] = read_sound(self._folder / row.audio, self._place(row, "audio"))
        if row.video is not None:
            file, named = self._folder / row.video, self._place(row, "video")
            values["video"] = read_video(file, named, self._frames)
        return replace(sample, values=values)

    def outline(self, index: int) -> Sample:
        """One row without its files."""
        row = self._rows[index]
        files = {"image": row.image, "audio": row.audio, "video": row.video}
        values: dict[str, object] = {key: None for key, file in files.items() if file}
        if row.captions:
            values["text"] = row.captions
        if any(cell is not None for _, cell in row.cells):
            values["tabular"] = dict(row.cells)
        return Sample(row.id, values, row.labels, row.targets)

    def _place(self, row: Row, modality: str) -> str:
        return place(self._path, row.number, self._columns[modality])


def _modalities(index: Index, columns: Mapping[str, str | Sequence[str] | None]) -> tuple[str, ...]:
    modalities = tuple(key for key in MODALITIES if columns[key])
    if modalities:
        return modalities
    raise DataError(
        explain(
            str(index.path),
            "no column is named that a model could read",
            found=f"columns {', '.join(map(repr, index.table.columns))}",
            allowed="at least one of image_column, text_columns, audio_column, video_column, "
            "tabular_columns",
            next_step="name the columns in [dataset]",
        )
    )


def _ids(index: Index, column: str | None) -> list[str]:
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


def _captions(index: Index, columns: Sequence[str]) -> list[tuple[str, ...]]:
    captions: list[tuple[str, ...]] = [()] * len(index)
    for column in columns:
        captions = [a + b for a, b in zip(captions, index.lists(column), strict=True)]
    return captions


def _labels(
    index: Index, column: str | None, separator: str | None, names: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """The label names, and the label ids of every row."""
    cells = index.lists(column, separator) if column else [()] * len(index)
    labels = tuple(names) or tuple(sorted({label for cell in cells for label in cell}))
    ids = {label: number for number, label in enumerate(labels)}
    if len(ids) < len(labels):
        raise _repeated(labels)
    for number, cell in enumerate(cells, start=1):
        for label in set(cell) - ids.keys():
            raise _unknown(place(index.path, number, column), "label", label, labels)
    return labels, [tuple(sorted({ids[label] for label in cell})) for cell in cells]


def _repeated(labels: Sequence[str]) -> DataError:
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    return DataError(
        explain(
            "dataset.label_names",
            "a label is named more than once",
            found=", ".join(map(repr, repeated)),
            allowed="every label once",
            next_step="remove the repeated names",
        )
    )


def _targets(index: Index, columns: Sequence[str]) -> list[tuple[float, ...]]:
    """The numbers of every row, NaN where a cell is empty."""
    if not columns:
        return [()] * len(index)
    return list(zip(*(index.numbers(column) for column in columns), strict=True))


def _splits(index: Index, column: str) -> list[str]:
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


def _groups(*columns: Iterable[str | None]) -> list[str]:
    """For each row its last cell that is not empty; the first column has no empty cells."""
    return [next(cell for cell in reversed(row) if cell) for row in zip(*columns, strict=True)]


def _revision(rows: Iterable[Row], sizes: Iterable[Sequence[int]], *names: Sequence[str]) -> str:
    """A hash of what the options made of the index, all splits, and of the sizes of its files."""
    content = hashlib.sha256(json.dumps([*names]).encode())
    for row in zip(rows, *sizes, strict=True):
        values = list(astuple(row[0]))
        while len(values) > 7 and not values[-1]:  # the columns that a spec may name since
            values.pop()
        content.update(json.dumps([values, *row[1:]]).encode())
    return f"manifest-{content.hexdigest()[:16]}"
