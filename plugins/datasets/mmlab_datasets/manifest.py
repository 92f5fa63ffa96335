"""The user's own data, listed in a CSV, JSONL or Parquet file: one sample a row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mmlab.plugin import Added, DataError, Sample, Split, explain
from mmlab_datasets.cells import Cells, read_cells
from mmlab_datasets.columns import (
    join_groups,
    read_captions,
    read_ids,
    read_labels,
    read_splits,
    read_targets,
)
from mmlab_datasets.files import file_hashes, file_sizes
from mmlab_datasets.index import Index, place, read_index
from mmlab_datasets.media import REPLACE, read_picture
from mmlab_datasets.several_labels import check_none_label, unknown_labels
from mmlab_datasets.sound import read_sound
from mmlab_datasets.splits import draw_splits
from mmlab_datasets.texts import Label, Template
from mmlab_datasets.video import VIDEO_READING, read_video

Column = Annotated[str, Field(min_length=1)]
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
    labels: tuple[int, ...] | None
    targets: tuple[float, ...]
    video: str | None
    cells: Cells


class Manifest:
    """One sample a row; an empty cell is a missing modality, or a label nobody knows.

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
        hash_files: Annotated[
            bool, Field(description="read every file, to see changes that keep its size")
        ] = False,
    ) -> None:
        index, folder = read_index(path), path.parent / root
        columns = {"image": image_column, "audio": audio_column, "video": video_column}
        files = {key: index.cells(column) for key, column in columns.items()}
        ids = read_ids(index, id_column)
        if split_column:
            splits = read_splits(index, split_column)
        else:
            named = (files[key] for key in ("video", "audio", "image"))
            groups = join_groups(ids, *named, index.cells(group_column))
            fractions = {"validation": validation_fraction, "test": test_fraction}
            splits = draw_splits(groups, fractions, seed)
        self.is_multi_label = bool(label_separator) or index.holds_lists(label_column)
        check_none_label(none_label, label_names, is_multi_label=self.is_multi_label)
        self.labels, truths = read_labels(
            index, label_column, label_separator, label_names, none_label
        )
        self.notes = unknown_labels(index, label_column, label_separator)
        self.target_names = tuple(target_columns)
        self.templates = tuple(templates)
        sources = {**columns, "text": text_columns, "tabular": tabular_columns}
        self.modalities = _modalities(index, sources)
        captions, targets = read_captions(index, text_columns), read_targets(index, target_columns)
        cells = read_cells(index, tabular_columns)
        rows = _rows(ids, splits, files, captions, truths, targets, cells)
        stamp = file_hashes if hash_files else file_sizes
        stamps = {key: stamp(index, columns[key], files[key], folder) for key in columns}
        if not video_column:  # options that are not used change no revision
            del stamps["video"]
        reading = VIDEO_READING if video_column else ()
        names = (self.labels, self.templates, *filter(None, [self.target_names, reading]))
        self.revision = _revision(rows, stamps.values(), *names)
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


def _rows(
    ids: Sequence[str],
    splits: Sequence[str],
    files: Mapping[str, Sequence[str | None]],
    captions: Sequence[tuple[str, ...]],
    truths: Sequence[tuple[int, ...] | None],
    targets: Sequence[tuple[float, ...]],
    cells: Sequence[Cells],
) -> list[Row]:
    images, audios, videos = (files[key] for key in ("image", "audio", "video"))
    parts = (ids, splits, images, audios, captions, truths, targets, videos, cells)
    return [Row(number, *row) for number, row in enumerate(zip(*parts, strict=True), start=1)]


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


def _revision(
    rows: Iterable[Row], stamps: Iterable[Sequence[int | str]], *names: Sequence[str]
) -> str:
    """A hash of what the options made of the index, all splits, and of its files' stamps."""
    content = hashlib.sha256(json.dumps([*names]).encode())
    for row in zip(rows, *stamps, strict=True):
        values = list(astuple(row[0]))
        # As long as no row said none of several, [] stood for labels that are unknown.
        values[6] = "none" if row[0].labels == () else row[0].labels or []
        while len(values) > 7 and not values[-1]:  # the columns that a spec may name since
            values.pop()
        content.update(json.dumps([values, *row[1:]]).encode())
    return f"manifest-{content.hexdigest()[:16]}"
