"""Hugging Face's datasets, and others, from Parquet files that lie here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field

from mmlab.plugin import Added, Origin, Sample, Source, Split, file_sha256
from mmlab_datasets.columnar.files import ParquetFile, find_files, read_file, unusable
from mmlab_datasets.columnar.joined import Rows, join_rows, media_rows
from mmlab_datasets.columnar.labels import Truths, read_truths
from mmlab_datasets.columnar.media import Modality, read_media
from mmlab_datasets.columnar.texts import read_captions
from mmlab_datasets.columns import given_labels
from mmlab_datasets.files import file_hashes, file_sizes
from mmlab_datasets.texts import Label, Template

Column = Annotated[str, Field(min_length=1)]


class Parquet:
    """One row a sample: pictures and sounds, texts, and labels by number or name.

    Rows that name one file, the picture before the sound, or have its bytes and one path beside
    them, or one value in the `sample_column`, are one sample with all their captions. With
    `rows = "samples"` every row is a sample.

    `train`, `validation` and `test` are paths in which `*` stands for anything, as in
    "data/train-*.parquet"; files are taken in the order of their names. A column may be a field of
    structs, as in "caption.en". A picture or sound is bytes, a struct of bytes and path, the path
    of a file below `root`, or a list of one of these; `root` is seen from the Parquet file's folder
    and the files' sizes, or with `hash_files` every byte of them, are part of the revision.
    Numbers of labels need `label_names`, unless the files' own schema names them; texts of labels
    are the labels, sorted, unless named. Lists of labels make the data multi-label. Pictures and
    sounds in the files are kept in memory, as they are compressed.
    Raises DataError for files that cannot be read or lack a column, for a column of another type,
    and where every picture, sound or caption of a split is missing.
    """

    numerics = 1

    def __init__(
        self,
        split: Split,
        *,
        train: Annotated[Path, Field(description="files of the training split; * for anything")],
        validation: Annotated[Path | None, Field(description="... of the validation split")] = None,
        test: Annotated[Path | None, Field(description="... of the test split")] = None,
        image_column: Annotated[Column | None, Field(description="pictures")] = None,
        text_columns: Annotated[Sequence[Column], Field(description="captions")] = (),
        audio_column: Annotated[Column | None, Field(description="sounds"), Added(None)] = None,
        label_column: Annotated[Column | None, Field(description="a label or several")] = None,
        label_names: Annotated[Sequence[Label], Field(description="all labels, in order")] = (),
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
        rows: Annotated[
            Rows,
            Field(description="auto: rows of one file are one sample; samples: each is one"),
            Added("auto"),
        ] = "auto",
        sample_column: Annotated[
            Column | None,
            Field(description="rows of one value are one sample with several captions"),
            Added(None),
        ] = None,
        root: Annotated[
            str, Field(description="folder of named files, from the Parquet file's"), Added(".")
        ] = ".",
        hash_files: Annotated[
            bool, Field(description="read all named files, to see every change"), Added(False)
        ] = False,
    ) -> None:
        patterns = {"train": train, "validation": validation, "test": test}
        sources = {"image": image_column, "text": text_columns, "audio": audio_column}
        self.modalities = tuple(kind for kind, named in sources.items() if named)
        if not self.modalities:
            raise unusable(str(train), "no column is named that a model could read", "none of them")
        media: Mapping[Modality, str | None] = {"image": image_column, "audio": audio_column}
        columns = [*media.values(), *text_columns, label_column, sample_column]
        files = _read(find_files(patterns[split]), columns)
        stamp = file_hashes if hash_files else file_sizes
        self._split = split
        self._media = {
            modality: read_media(files, column, modality, root, stamp)
            for modality, column in media.items()
            if column
        }
        captions = read_captions(files, text_columns)
        truths = Truths(given_labels(label_names), False, [None] * len(captions))
        if label_column:
            trained = files if split == "train" else _read(find_files(train), [label_column])
            truths = read_truths(files, trained, label_column, label_names)
        self.labels, self.is_multi_label, ids = truths
        self._joined = join_rows(files, [*self._media.values()], sample_column, rows)
        self._rows = {kind: media_rows(self._joined, one) for kind, one in self._media.items()}
        self._captions = self._joined.captions(captions)
        self._truths = self._joined.agreed(label_column, ids)
        self.templates = tuple(templates)
        told = [note for media in self._media.values() for note in media.notes]
        place = f"{split} of {patterns[split]}"
        self.notes = (*self._joined.notes(place), *(f"{place}: {note}" for note in told))
        named = [image_column, *text_columns, label_column]
        self.revision = self._revision(named, sample_column, files)

    def __len__(self) -> int:
        """Number of samples in the split."""
        return len(self._captions)

    def __getitem__(self, index: int) -> Sample:
        """One sample, its picture and sound decoded; its id is its split and its first row."""
        sample = self.outline(index)
        values = dict(sample.values)
        for kind, rows in self._rows.items():
            row, media = rows[index], self._media[kind]
            if row is not None:
                values[kind] = media.picture(row) if kind == "image" else media.sound(row)
        return replace(sample, values=values)

    def outline(self, index: int) -> Sample:
        """One sample without its picture and sound."""
        rows = self._rows.items()
        values: dict[str, object] = {kind: None for kind, of in rows if of[index] is not None}
        if self._captions[index]:
            values["text"] = self._captions[index]
        sample = Sample(f"{self._split}-{self._joined.rows[index][0]}", values)
        truth = self._truths[index]
        return sample if truth is None else replace(sample, labels=truth)

    def trace(self, index: int) -> Origin:
        """The files, or the cells of bytes, that hold a sample's picture and sound."""
        named = ((kind, rows[index]) for kind, rows in self._rows.items())
        sources: dict[str, Source] = {
            kind: self._media[kind].source(row) for kind, row in named if row is not None
        }
        return Origin(sources)

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of a picture or a sound."""
        for kind, rows in self._rows.items():
            row = rows[index]
            if kind == modality and row is not None:
                return self._media[kind].open(row)
        raise KeyError(modality)

    def _revision(
        self, columns: Sequence[str | None], key: str | None, files: Sequence[ParquetFile]
    ) -> str:
        content = hashlib.sha256(json.dumps([self._split, *columns, *self.labels]).encode())
        for file in files:
            content.update(bytes.fromhex(file_sha256(file.path)))
        content.update("".join(media.revision for media in self._media.values()).encode())
        if any(len(rows) > 1 for rows in self._joined.rows):
            content.update(json.dumps(["joined", key]).encode())
        return f"parquet-{content.hexdigest()[:16]}"


def _read(paths: Sequence[Path], columns: Sequence[str | None]) -> list[ParquetFile]:
    return [read_file(path, [name for name in columns if name]) for path in paths]
