"""A folder of files for each label (ImageFolder): pictures, sounds or videos, no index needed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NoReturn

from pydantic import Field

from mmlab.plugin import (
    SPLITS,
    DataError,
    Origin,
    Sample,
    Source,
    Split,
    explain,
    file_sha256,
    open_file,
)
from mmlab_datasets.media import read_picture
from mmlab_datasets.sound import read_sound
from mmlab_datasets.splits import draw_splits
from mmlab_datasets.texts import Template
from mmlab_datasets.video import read_video

Modality = Literal["image", "audio", "video"]
Fraction = Annotated[float, Field(ge=0, lt=0.5)]

#: What files of these endings are, in small letters.
ENDINGS: Mapping[str, Modality] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp"), "image"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), "audio"),
    **dict.fromkeys((".mp4", ".mov", ".mkv", ".webm", ".avi"), "video"),
}
#: Names of folders that hold a split.
SPLIT_FOLDERS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _File:
    """A file by its path below the root with "/", its label, and its split where folders say it."""

    name: str
    label: str
    split: Split | None


class Folders:
    """One file a sample; the folder it lies in is its label. Labels are sorted as text.

    Where the outermost folders are named as splits (train, val, test and the like), labels are the
    folders below them; else files are drawn into splits by a hash of `seed` and their path. Files
    of one ending's kind are read: that of `media`, which may be left out where there is but one.
    Hidden files, and files of no such kind, are left out, and that is told. The id of a sample is
    its path. The revision tells the names and sizes of all files, or with `hash_files` every byte.
    Raises DataError where there is no such file, or a file lies beside the labels' folders.
    """

    numerics = 1
    is_multi_label = False

    def __init__(
        self,
        split: Split,
        *,
        path: Annotated[Path, Field(description="folder of folders, one a label")],
        media: Annotated[
            Modality | None, Field(description="what is read; the only kind there is")
        ] = None,
        video_frames: Annotated[
            int, Field(ge=1, le=1000, description="frames kept of a video, evenly spaced")
        ] = 16,
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
        validation_fraction: Annotated[Fraction, Field(description="part of the files")] = 0.1,
        test_fraction: Annotated[Fraction, Field(description="part of the files")] = 0.1,
        seed: Annotated[int, Field(description="of the drawn splits")] = 0,
        hash_files: Annotated[
            bool, Field(description="read every file, to see changes that keep its size")
        ] = False,
    ) -> None:
        files, others = _find(path)
        self._modality = _one_kind(path, files, media)
        read = [file for file in files if _kind(file) == self._modality]
        unread = [*others, *(file.name for file in files if _kind(file) != self._modality)]
        self.notes = tuple(_told(path, unread))
        self.modalities: tuple[str, ...] = (self._modality,)
        self.labels = tuple(sorted({file.label for file in read}))
        self.templates = tuple(templates)
        fractions = {"validation": validation_fraction, "test": test_fraction}
        drawn = draw_splits([file.name for file in read], fractions, seed)
        chosen = [file.split or split_of for file, split_of in zip(read, drawn, strict=True)]
        stamp: Callable[[Path], object] = (
            file_sha256 if hash_files else lambda file: file.stat().st_size
        )
        stamps = [stamp(path / file.name) for file in read]
        content = [[f.name, of, st] for f, of, st in zip(read, chosen, stamps, strict=True)]
        told = json.dumps([content, self._modality, self.templates]).encode()
        self.revision = f"folders-{hashlib.sha256(told).hexdigest()[:16]}"
        self._files = [file for file, of in zip(read, chosen, strict=True) if of == split]
        self._root = str(path.absolute())
        self._ids = {label: number for number, label in enumerate(self.labels)}
        self._path = path
        self._frames = video_frames

    def __len__(self) -> int:
        """Number of files in the split."""
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        """One file, read. Raises DataError with its name where it cannot be."""
        sample, file = self.outline(index), self._path / self._files[index].name
        if self._modality == "image":
            value: object = read_picture(file, str(file))
        elif self._modality == "audio":
            value = read_sound(file, str(file))
        else:
            value = read_video(file, str(file), self._frames)
        return replace(sample, values={self._modality: value})

    def outline(self, index: int) -> Sample:
        """One file, not read."""
        file = self._files[index]
        return Sample(file.name, {self._modality: None}, (self._ids[file.label],))

    def trace(self, index: int) -> Origin:
        """The file."""
        path = f"{self._root}/{self._files[index].name}"
        return Origin({self._modality: Source(path, os.stat(path).st_size)})

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of the file."""
        return open_file(self._path / self._files[index].name)


def _find(root: Path) -> tuple[list[_File], list[str]]:
    """The files of known endings below the labels' folders, and names of all others, sorted."""
    if not os.path.isdir(root):
        found = "a file" if os.path.exists(root) else "nothing"
        raise _unusable(root, "there is no such folder", found, "correct dataset.path")
    media, others = list[str](), list[str]()
    for name in sorted(_walk(root)):
        is_read = Path(name).suffix.lower() in ENDINGS and not _is_hidden(name)
        (media if is_read else others).append(name)
    _check_names(root, media)
    outermost = {name.partition("/")[0] for name in media if "/" in name}
    splits = {name for name in outermost if name.lower() in SPLIT_FOLDERS}
    has_splits = bool(outermost) and outermost == splits
    if splits and not has_splits:
        _require_labels(root, media, splits, outermost - splits)
    return [_file(root, name, has_splits=has_splits) for name in media], others


def _require_labels(root: Path, media: Sequence[str], splits: set[str], others: set[str]) -> None:
    """Raise DataError where folders named as splits hold folders, and other folders are beside.

    With files right in it, a folder called train is a label as any other.
    """
    directly = {name.split("/")[0] for name in media if name.count("/") == 1}
    if splits <= directly:
        return
    found = f"splits: {', '.join(sorted(splits))}; others: {', '.join(sorted(others)[:_SHOWN])}"
    fault = "some of the outermost folders are named as splits and hold folders, others are not"
    raise _unusable(root, fault, found, "move the others elsewhere, or name them as splits")


def _walk(root: Path) -> Iterator[str]:
    """Every file below a folder, by its path from there; links to folders are followed once."""
    seen = set[str]()
    for folder, inner, files in os.walk(root, onerror=_refuse, followlinks=True):
        inner[:] = [name for name in inner if name not in _SYSTEMS]
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name).relative_to(root).as_posix() for name in files)


#: A folder of the file system's own, which nobody but the system may enter.
_SYSTEMS = ("lost+found",)


def _refuse(error: OSError) -> NoReturn:
    """A folder that may not be entered is told: nobody knows what of the data lies in it."""
    raise error


def _is_hidden(name: str) -> bool:
    """Whether a file or a folder it lies in is none of the user's: ".DS_Store", "._1.jpg"."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _check_names(root: Path, names: Sequence[str]) -> None:
    """Refuse names that are no text: they become ids and labels, which no database could keep."""
    found = next((name for name in names if not _is_text(name)), None)
    if found is not None:
        fault, step = "the name of a file or folder is no UTF-8", "rename it"
        raise _unusable(root, fault, ascii(found), step)


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _file(root: Path, name: str, *, has_splits: bool) -> _File:
    outer, *inner = name.split("/")
    if len(inner) > int(has_splits):
        label = inner[0] if has_splits else outer
        return _File(name, label, SPLIT_FOLDERS[outer.lower()] if has_splits else None)
    inside = root / outer if inner else root
    fault = "a file lies beside the labels' folders"
    raise _unusable(inside, fault, name, "move it into one of them")


def _kind(file: _File) -> Modality:
    return ENDINGS[Path(file.name).suffix.lower()]


def _one_kind(root: Path, files: Sequence[_File], media: Modality | None) -> Modality:
    kinds = sorted({_kind(file) for file in files})
    if media in kinds:
        return media
    if len(kinds) == 1 and media is None:
        return kinds[0]
    if not kinds:
        raise _unusable(root, "no file in it can be read", "none of a known ending", "correct path")
    fault = "several kinds of files are in it" if media is None else f"it holds no {media}"
    raise _unusable(root, fault, ", ".join(kinds), "set dataset.media to one of them")


def _told(root: Path, unread: Sequence[str]) -> list[str]:
    seen = [name if _is_text(name) else ascii(name) for name in unread if not _is_hidden(name)]
    if not seen:
        return []
    more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
    return [f"{root}: {len(seen)} files are left out: {', '.join(seen[:_SHOWN])}{more}"]


def _unusable(place: Path, fault: str, found: str, next_step: str) -> DataError:
    return DataError(
        explain(
            str(place),
            fault,
            found=found,
            allowed=f"a folder for each label, or for each of the splits {', '.join(SPLITS)} and "
            f"in it one for each label, with files that end in {', '.join(ENDINGS)}",
            next_step=next_step,
        )
    )
