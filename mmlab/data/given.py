"""Inputs that somebody names by hand, as a dataset: a picture of one's own, a text, a sound.

Files are read as the dataset `files` of mmlab-datasets reads them, one by one when they are asked
for. What is right of a sample is not known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from mmlab.errors import UsageError, explain
from mmlab.files import kind_at, said_of
from mmlab.plan.registry import Registry
from mmlab.plugin import Dataset, Sample

#: Modalities whose values are read from files.
FILES = ("image", "audio", "video")


class GivenSamples:
    """Samples of given values, column by column; `labels` and `templates` are whoever asks's.

    `columns` has by modality one value a sample: a path where it is read from a file (a text is
    itself), or a raw value as `Sample` has it. Raises UsageError for a path where no file is.
    """

    revision = "given"

    def __init__(
        self,
        columns: Mapping[str, Sequence[object]],
        registry: Registry,
        *,
        labels: Sequence[str] = (),
        templates: Sequence[str] = (),
        is_multi_label: bool = False,
        video_frames: int = 16,
    ) -> None:
        self.columns = {key: _read_from_files(key, values) for key, values in columns.items()}
        self.modalities = tuple(self.columns)
        self.labels = tuple(labels)
        self.templates = tuple(templates)
        self.is_multi_label = is_multi_label
        self._files: dict[str, tuple[Dataset, Mapping[int, int]]] = {}
        for key, values in self.columns.items():
            paths = {place: value for place, value in enumerate(values) if isinstance(value, Path)}
            if paths:
                options = {key: list(paths.values()), "video_frames": video_frames}
                files = cast(Dataset, registry.resolve("dataset", "files")("test", **options))
                self._files[key] = files, {place: n for n, place in enumerate(paths)}

    def __len__(self) -> int:
        """Number of samples."""
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: int) -> Sample:
        """One sample, its files read. Raises DataError where one cannot be."""
        return Sample(self.name(index), {key: self._value(key, index) for key in self.columns})

    def name(self, index: int) -> str:
        """What a sample is called: its file, or its text, or its number from 1."""
        for values in self.columns.values():
            if isinstance(value := values[index], (str, Path)):
                return str(value)
        return f"input {index + 1}"

    def _value(self, modality: str, index: int) -> object:
        value = self.columns[modality][index]
        if not isinstance(value, Path):
            return value
        files, places = self._files[modality]
        return files[places[index]].values[modality]


def _read_from_files(modality: str, values: Sequence[object]) -> list[object]:
    """The values, texts that are names of files as paths to files that are there."""
    if modality not in FILES:
        for value in values:
            if isinstance(value, Path):
                raise _no_reader(modality, value)
        return list(values)
    found = [Path(v) if isinstance(v, (str, os.PathLike)) else v for v in values]
    for path in found:
        if isinstance(path, Path) and (fault := _fault(path)):
            raise _no_file(modality, path, fault)
    return found


def _fault(path: Path) -> str | None:
    """Why a path leads to no file; None where it does."""
    try:
        kind = kind_at(path)
    except OSError as error:
        return said_of(error)
    return None if kind == "a file" else kind or "nothing is there"


def _no_file(modality: str, path: Path, fault: str) -> UsageError:
    step = "name the files in it, such as FOLDER/*.png" if fault == "a folder" else "correct it"
    return UsageError(
        explain(
            f"inputs: {modality}",
            "this is no file",
            found=f"{path}: {fault}",
            allowed="the path of a file",
            next_step=step,
        )
    )


def _no_reader(modality: str, path: Path) -> UsageError:
    return UsageError(
        explain(
            f"inputs: {modality}",
            "values of this modality are not read from files",
            found=str(path),
            allowed=f"files of {', '.join(FILES)}; texts as they are",
            next_step="give the value itself",
        )
    )
