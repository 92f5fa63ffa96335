"""The user's own data, listed in a CSV, JSONL or Parquet file: one sample a row."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import numpy as np
from PIL import Image
from pydantic import Field

from mmlab.plugin import Added, Origin, Sample, Source, Split, Survey
from mmlab_datasets import manifest_options as options
from mmlab_datasets.box_cells import CellBoxes, box_columns
from mmlab_datasets.cells import Kind, read_cells
from mmlab_datasets.columns import (
    note_labels,
    read_captions,
    read_ids,
    read_labels,
    read_targets,
)
from mmlab_datasets.files import absolute_path, file_hashes, has_detours, size_array
from mmlab_datasets.index_files import read_index
from mmlab_datasets.manifest_options import Column, Fraction
from mmlab_datasets.manifest_rows import (
    drawn_splits,
    join_samples,
    named_modalities,
    told_splits,
)
from mmlab_datasets.media import REPLACE, read_picture
from mmlab_datasets.rows import JoinedRows
from mmlab_datasets.sample_table import Distinct, Row, SampleTable, Stamps
from mmlab_datasets.several_labels import check_none_label, unknown_labels
from mmlab_datasets.sound import read_sound
from mmlab_datasets.texts import Label, Template
from mmlab_datasets.video import VIDEO_READING, read_video

#: Rows that are made at a time where they are asked for in order.
BLOCK = 1024


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
    With a `box_column` the labels are those of the boxes, and there are several.
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
        rows: options.RowsOption = "auto",
        sample_column: options.SampleColumn = None,
        kinds: Annotated[
            Mapping[Column, Kind],
            Field(description="of tabular columns, where not what their cells say"),
            Added({}),
        ] = {},
        hash_files: Annotated[
            bool, Field(description="read every file, to see changes that keep its size")
        ] = False,
        box_column: options.BoxColumn = None,
        box_label_column: options.BoxLabelColumn = None,
        box_crowd_column: options.BoxCrowdColumn = None,
        box_difficult_column: options.BoxDifficultColumn = None,
        box_form: options.BoxForm = "corners",
    ) -> None:
        index, self._folder = read_index(path), path.parent / root
        columns = {"image": image_column, "audio": audio_column, "video": video_column}
        sources = {**columns, "text": text_columns, "tabular": tabular_columns}
        self.modalities = named_modalities(index, sources)
        joined, files = join_samples(index, columns, rows, sample_column)
        ids = read_ids(index, id_column, joined)
        groups = joined.column(group_column, index.texts(group_column)) if group_column else None
        if split_column:
            splits = told_splits(index, split_column, joined)
        else:
            fractions = {"validation": validation_fraction, "test": test_fraction}
            splits = drawn_splits(ids, files, groups, fractions, seed)
        self.is_multi_label = bool(label_separator) or index.holds_lists(label_column)
        check_none_label(none_label, label_names, is_multi_label=self.is_multi_label)
        self.labels, truths = read_labels(
            index, label_column, label_separator, label_names, none_label
        )
        self._boxes: CellBoxes | None = None
        boxes = box_columns(
            box_column, box_label_column, box_crowd_column, box_difficult_column, box_form,
            others={"label_column": label_column}, needs={"image_column": image_column},
        )  # fmt: skip
        if boxes is not None:
            has_picture = files["image"].is_not_null().to_list()
            self._boxes = CellBoxes(index, boxes, label_names, joined, has_picture)
            self.labels, self.is_multi_label = self._boxes.labels, True
        self.has_boxes = self._boxes is not None
        self.target_names = tuple(target_columns)
        self.templates = tuple(templates)
        targets, of_targets = read_targets(index, target_columns, joined)
        cells, of_cells = read_cells(index, tabular_columns, kinds, joined)
        of_labels = (
            *note_labels(index, label_column, [] if label_names else self.labels),
            *unknown_labels(index, label_column, label_separator),
        )
        numbers = joined.first(range(1, len(index) + 1))
        sizes = {
            key: size_array(index, columns[key], names, self._folder, numbers)
            for key, names in files.items()
        }
        self._table = SampleTable(
            numbers=np.array(numbers, np.int32),
            ids=ids,
            splits=splits,
            files=files,
            sizes=sizes,
            captions=read_captions(index, text_columns, joined),
            labels=self._truths(joined, label_column, truths),
            targets=targets,
            cells=cells,
            groups=groups,
        )
        self.notes = (*index.notes, *joined.notes(path), *of_cells, *of_labels, *of_targets)
        hashes = {
            key: file_hashes(index, columns[key], names, self._folder, numbers)
            for key, names in (files if hash_files else {}).items()
        }
        nothing: Stamps = [""] * len(joined) if hash_files else np.full(len(joined), -1)
        stamps = [
            hashes.get(key, sizes.get(key, nothing))
            for key, column in columns.items()
            if key != "video" or column  # options that are not used change no revision
        ]
        reading = VIDEO_READING if video_column else ()
        of_boxes = () if self._boxes is None else self._boxes.identity()
        further = [self.target_names, reading, of_boxes]
        told = [self.labels, self.templates, *filter(None, further)]
        self.revision = self._table.revision(stamps, told)
        self._root = os.path.abspath(self._folder)
        self._has_detours = any(map(has_detours, files.values()))
        self._places = index.places
        self._columns = columns
        self._frames = video_frames
        self._split(split)

    def sibling(self, split: Split) -> Manifest:
        """Another split, of what this one has read."""
        other = copy.copy(self)
        other._split(split)
        return other

    def _truths(
        self,
        joined: JoinedRows,
        column: str | None,
        truths: Distinct[tuple[int, ...] | None],
    ) -> Distinct[tuple[int, ...] | None]:
        """The labels of every sample, which are those of its boxes where there are any."""
        if self._boxes is not None:
            return Distinct.of(self._boxes.truths())
        if joined.is_each_one:
            return truths
        return Distinct.of(joined.agreed(column, truths.all(), self._label_names))

    def _split(self, split: Split) -> None:
        self._samples = self._table.of_split(split)
        self._block: tuple[int, Sequence[Row]] = (0, ())

    def _row(self, index: int) -> Row:
        """A row of the split. Those that are asked for in order are made in blocks."""
        start, rows = self._block
        if 0 <= index - start < len(rows):
            return rows[index - start]
        if index in (0, start + len(rows)):  # the first, or the next one in order
            self._block = index, self._table.rows(self._samples[index : index + BLOCK])
            return self._block[1][0]
        return self._table.row(self._samples[index].item())

    def __len__(self) -> int:
        """Number of samples in the split."""
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """One row, its files read. Raises DataError with the row's number where one cannot be."""
        row, sample = self._row(index), self.outline(index)
        values = dict(sample.values)
        for modality, name in row.files.items():
            file, place = self._folder / name, self._place(row, modality)
            if modality == "image":
                mend = f"{REPLACE}, or empty the cell to mark it missing"
                values[modality] = read_picture(file, place, mend)
            elif modality == "audio":
                values[modality] = read_sound(file, place)
            else:
                values[modality] = read_video(file, place, self._frames)
        if self._boxes is not None and sample.boxes is not None:
            size = cast(Image.Image, values["image"]).size
            self._boxes.check(self._samples[index].item(), sample.boxes, size)
        return replace(sample, values=values)

    def outline(self, index: int) -> Sample:
        """One row without its files. Raises DataError where a box is none."""
        row = self._row(index)
        values: dict[str, object] = dict.fromkeys(row.files)
        if row.captions:
            values["text"] = row.captions
        if row.cells and any(cell is not None for cell in row.cells):
            values["tabular"] = dict(zip(self._table.cells, row.cells, strict=True))
        boxes = None if self._boxes is None else self._boxes.of(self._samples[index].item())
        return Sample(row.id, values, row.labels, row.targets, boxes)

    def _place(self, row: Row, modality: str) -> str:
        return self._places.of(row.number, self._columns[modality])

    def _label_names(self, truth: Iterable[int] | None) -> str:
        if not truth:
            return "none of the labels"
        return repr(", ".join(self.labels[label] for label in truth))

    def trace(self, index: int) -> Origin:
        """The files that a row names, and its group."""
        row, place = self._row(index), self._samples[index]
        sources = {
            key: Source(self._path(name), self._table.sizes[key].item(place))
            for key, name in row.files.items()
        }
        return Origin(sources, row.group)

    def _path(self, name: str) -> str:
        return absolute_path(self._root, name) if self._has_detours else f"{self._root}/{name}"

    def survey(self) -> Survey:
        """What is known of all samples of the split."""
        return self._table.survey(self._samples, self._path)

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of a file."""
        return open(self._path(self._row(index).files[modality]), "rb")
