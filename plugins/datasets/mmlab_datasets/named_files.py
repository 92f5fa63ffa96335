"""Samples named one by one, without labels: a few files or texts that a model is to be shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field

from mmlab.plugin import DataError, Origin, Sample, Source, Split, explain, file_sha256, open_file
from mmlab_datasets.media import REPLACE, read_picture
from mmlab_datasets.sound import read_sound
from mmlab_datasets.texts import Template
from mmlab_datasets.video import VIDEO_READING, read_video

Cell = str | int | float | None


class Files:
    """One sample for each place of the lists: the third picture goes with the third text.

    Files, texts and rows are lists of one length, and those of modalities that the samples lack
    are left out. There are no labels, and all samples are in the test split. The id of a sample is
    its number, from 0. The revision tells every byte of the files.
    Raises DataError where the lists differ in length, or a file is not there.
    """

    numerics = 1
    is_multi_label = False
    labels: tuple[str, ...] = ()

    def __init__(
        self,
        split: Split,
        *,
        image: Annotated[Sequence[Path], Field(description="JPEG, PNG, WebP files")] = (),
        text: Annotated[Sequence[str], Field(description="a text for each sample")] = (),
        audio: Annotated[Sequence[Path], Field(description="WAV files; FLAC, Ogg, MP3")] = (),
        video: Annotated[Sequence[Path], Field(description="video files, read with PyAV")] = (),
        tabular: Annotated[
            Sequence[Mapping[str, Cell]], Field(description="a row for each sample")
        ] = (),
        video_frames: Annotated[
            int, Field(ge=1, le=1000, description="frames kept of a video, evenly spaced")
        ] = 16,
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
    ) -> None:
        files = {"image": image, "audio": audio, "video": video}
        self._files = {key: list(paths) for key, paths in files.items() if paths}
        told = {key: list(found) for key, found in (("text", text), ("tabular", tabular)) if found}
        self._told: Mapping[str, Sequence[object]] = told
        self.modalities = (*self._files, *self._told)
        self.templates = tuple(templates)
        self.revision = _revision(self._files, self._told, self.templates)
        columns: Mapping[str, Sequence[object]] = {**self._files, **self._told}
        counts = {key: len(found) for key, found in columns.items()}
        if len(set(counts.values())) > 1 or not counts:
            raise _uneven(counts)
        self._count = next(iter(counts.values())) if split == "test" else 0
        self._frames = video_frames

    def __len__(self) -> int:
        """Number of samples in the split."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """One sample, its files read. Raises DataError with a file's name where it cannot be."""
        values = dict(self.outline(index).values)
        return Sample(str(index), values | {key: self._read(key, index) for key in self._files})

    def outline(self, index: int) -> Sample:
        """One sample, its files not read."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        told = {key: found[index] for key, found in self._told.items()}
        return Sample(str(index), {**dict.fromkeys(self._files), **told})

    def trace(self, index: int) -> Origin:
        """The sample's files."""
        files = {key: paths[index].absolute() for key, paths in self._files.items()}
        return Origin({key: Source(str(path), path.stat().st_size) for key, path in files.items()})

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of a file."""
        return open_file(self._files[modality][index])

    def _read(self, modality: str, index: int) -> object:
        path = self._files[modality][index]
        if modality == "image":
            return read_picture(path, str(path), REPLACE, otherwise="")
        if modality == "audio":
            return read_sound(path, str(path), "name another file")
        return read_video(path, str(path), self._frames)


def _revision(
    files: Mapping[str, Sequence[Path]],
    told: Mapping[str, Sequence[object]],
    templates: Sequence[str],
) -> str:
    try:
        stamps = {key: [file_sha256(path) for path in paths] for key, paths in files.items()}
    except OSError as error:
        raise _missing(error) from error
    content = [stamps, told, templates, VIDEO_READING if "video" in files else ()]
    return f"files-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]}"


def _missing(error: OSError) -> DataError:
    return DataError(
        explain(
            "dataset",
            "a file cannot be read",
            found=f"{error.filename}: {error.strerror}",
            allowed="files that are there; a path begins at the spec's folder",
            next_step="correct its name",
        )
    )


def _uneven(counts: Mapping[str, int]) -> DataError:
    return DataError(
        explain(
            "dataset",
            "the samples have not as many values of each modality",
            found=", ".join(f"{count} of {key}" for key, count in counts.items()) or "no sample",
            allowed="lists of one length; a modality that the samples lack is left out",
            next_step="name a value for each sample",
        )
    )
