"""The user's own data, listed in a CSV, JSONL or Parquet file: one sample a row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from mmlab.plugin import Added, DataError, Sample, Split, explain
from mmlab_datasets.cells import Cell, Kind, read_cells
from mmlab_datasets.columns import (
    join_groups,
    note_labels,
    read_captions,
    read_ids,
    read_labels,
    read_splits,
    read_targets,
)
from mmlab_datasets.files import file_hashes, file_sizes
from mmlab_datasets.index import Index
from mmlab_datasets.index_files import read_index
from mmlab_datasets.media import REPLACE, read_picture
from mmlab_datasets.rows import JoinedRows, file_keys, plain_path
from mmlab_datasets.several_labels import check_none_label, unknown_labels
from mmlab_datasets.sound import read_sound
from mmlab_datasets.splits import draw_splits
from mmlab_datasets.texts import Label, Template
from mmlab_datasets.video import VIDEO_READING, read_video

Column = Annotated[str, Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0, lt=0.5)]

MODALITIES = ("image", "text", "audio", "video", "tabular")


class Row(NamedTuple):
    """One sample of the index, its cells understood; `number` is that of its first row."""

    number: int
    id: str
    split: str
    image: str | None
    audio: str | None
    captions: tuple[str, ...]
    labels: tuple[int, ...] | None
    targets: tuple[float, ...]
    video: str | None
    cells: tuple[Cell, ...]


class Manifest:
    """One sample a row; an empty cell is a missing modality, or a label nobody knows.

    Rows that name one file, the image before the sound before the video, or have one value in the
    `sample_column`, are one sample with all their captions; they must not differ otherwise. With
    `rows = "samples"` every row is a sample.
    Files are named relative to `root`, itself relative to the index file's folder, and lie below.
    Labels are the `label_names`, by default all that occur, sorted as text. A column of lists, or a
    `label_separator`, makes the dataset multi-label. There [] or `none_label` says that none of the
    labels is true, and an empty cell or null that they are unknown.
    Without a `split_column`, rows are drawn into splits by a hash of `seed` and group: the
    `group_column`, or else the file of the row, so that a picture in several rows stays in one
    split.
    The revision tells the sizes of all files, or with `hash_files` every byte of them.
    Raises DataError for an index that cannot be understood or a file that is not there; what is
    wrong within a file is found when its sample is read.
    """

    numerics = 1

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
        none_label: Annotated[
            Column | None, Field(description="what a cell says for none of several"), Added(None)
        ] = None,
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
        rows: Annotated[
            Literal["auto", "samples"],
            Field(description="auto: rows of one file are one sample; samples: each is one"),
            Added("auto"),
        ] = "auto",
        sample_column: Annotated[
            Column | None,
            Field(description="rows of one value are one sample with several captions"),
            Added(None),
        ] = None,
        kinds: Annotated[
            Mapping[Column, Kind],
            Field(description="of tabular columns, where not what their cells say"),
            Added({}),
        ] = {},
        hash_files: Annotated[
            bool, Field(description="read every file, to see changes that keep its size")
        ] = False,
    ) -> None:
        index, folder = read_index(path), path.parent / root
        columns = {"image": image_column, "audio": audio_column, "video": video_column}
        sources = {**columns, "text": text_columns, "tabular": tabular_columns}
        self.modalities = _modalities(index, sources)
        joined, files = _join(index, columns, rows, sample_column)
        ids = read_ids(index, id_column, joined)
        if split_column:
            splits = joined.agreed(split_column, read_splits(index, split_column))
        else:
            groups = joined.agreed(group_column, index.cells(group_column))
            named = (files[key] for key in ("video", "audio", "image"))
            fractions = {"validation": validation_fraction, "test": test_fraction}
            splits = draw_splits(join_groups(ids, *named, groups), fractions, seed)
        self.is_multi_label = bool(label_separator) or index.holds_lists(label_column)
        check_none_label(none_label, label_names, is_multi_label=self.is_multi_label)
        self.labels, truths = read_labels(
            index, label_column, label_separator, label_names, none_label
        )
        self.target_names = tuple(target_columns)
        self.templates = tuple(templates)
        truths = joined.agreed(label_column, truths, self._label_names)
        captions = joined.captions(read_captions(index, text_columns))
        targets, of_targets = read_targets(index, target_columns, joined)
        cells, of_cells = read_cells(index, tabular_columns, kinds, joined)
        of_labels = (
            *note_labels(index, label_column, [] if label_names else self.labels),
            *unknown_labels(index, label_column, label_separator),
        )
        self.notes = (*index.notes, *joined.notes(path), *of_cells, *of_labels, *of_targets)
        numbers = joined.first(range(1, len(index) + 1))
        image, audio, video = (files[key] for key in columns)
        found = (numbers, ids, splits, image, audio, captions, truths, targets, video, cells)
        stamp = file_hashes if hash_files else file_sizes
        stamps = [
            stamp(index, column, files[key], folder, numbers)
            for key, column in columns.items()
            if key != "video" or column  # options that are not used change no revision
        ]
        reading = VIDEO_READING if video_column else ()
        names = (self.labels, self.templates, *filter(None, [self.target_names, reading]))
        self._tabular = tuple(tabular_columns)
        self._rows: list[Row] = []
        self.revision = self._keep(split, map(Row, *found), stamps, names)
        self._folder = folder
        self._places = index.places
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
        if any(cell is not None for cell in row.cells):
            values["tabular"] = dict(zip(self._tabular, row.cells, strict=True))
        return Sample(row.id, values, row.labels, row.targets)

    def _place(self, row: Row, modality: str) -> str:
        return self._places.of(row.number, self._columns[modality])

    def _label_names(self, truth: Iterable[int] | None) -> str:
        if not truth:
            return "none of the labels"
        return repr(", ".join(self.labels[label] for label in truth))

    def _keep(
        self,
        split: Split,
        rows: Iterable[Row],
        stamps: Iterable[Sequence[int | str]],
        names: Iterable[Sequence[str]],
    ) -> str:
        """Keep the rows of a split; a hash of what the options made of all splits, and of stamps
        of their files.
        """
        content = hashlib.sha256(json.dumps([*names]).encode())
        for row, *stamp in zip(rows, *stamps, strict=True):
            values = [*row[:-1], list(zip(self._tabular, row.cells, strict=True))]
            # As long as no row said none of several, [] stood for labels that are unknown.
            values[6] = "none" if row.labels == () else row.labels or []
            while len(values) > 7 and not values[-1]:  # the columns that a spec may name since
                values.pop()
            content.update(json.dumps([values, *stamp]).encode())
            if row.split == split:
                self._rows.append(row)
        return f"manifest-{content.hexdigest()[:16]}"


def _join(
    index: Index, columns: Mapping[str, str | None], rows: str, sample_column: str | None
) -> tuple[JoinedRows, dict[str, list[str | None]]]:
    """The rows that are one sample, and each sample's files by modality."""
    cells = {key: index.files(column) for key, column in columns.items()}
    given = [key for key, column in columns.items() if column]
    keys: Sequence[str | None] = [None] * len(index)
    if sample_column and rows == "samples":
        raise _contradiction(sample_column)
    if sample_column:
        keys = index.cells(sample_column)
    elif given and rows == "auto":
        keys = file_keys([cells[key] for key in given])
    named = f"{sample_column!r}" if sample_column else given[0] if len(given) == 1 else "file"
    joined = JoinedRows(keys, index.places.of_both, named)
    return joined, {key: joined.agreed(columns[key], cells[key], _path) for key in columns}


def _path(cell: str | None) -> str:
    return repr(plain_path(cell))


def _contradiction(sample_column: str) -> DataError:
    return DataError(
        explain(
            "dataset.rows",
            "every row is to be a sample, and yet a column says which rows are one",
            found=f'rows = "samples" and sample_column = {sample_column!r}',
            allowed="one of the two",
            next_step="remove one of them",
        )
    )


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
