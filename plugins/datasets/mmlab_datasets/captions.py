"""Pictures with several captions, from Karpathy's splits of COCO and Flickr."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO

from pydantic import Field

from mmlab.plugin import (
    DataError,
    Origin,
    Sample,
    Size,
    Source,
    Split,
    explain,
    open_file,
    read_file,
)
from mmlab_datasets.media import read_picture

#: The file's own name of a split -> ours.
SPLITS: Mapping[str, Split] = {
    "train": "train",
    "restval": "train",
    "val": "validation",
    "test": "test",
}
#: The file's own name of its dataset -> the published name of its test split.
TEST_SETS = {
    "coco": "coco-captions/karpathy-test",
    "flickr30k": "flickr30k/karpathy-test",
    "flickr8k": "flickr8k/karpathy-test",
}
TEXT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Picture:
    file: str
    captions: tuple[str, ...]


class Captions:
    """One picture a sample, all its captions with it, in the splits that retrieval is judged by.

    `path` is `dataset_coco.json`, `dataset_flickr30k.json` or `dataset_flickr8k.json` of Karpathy's
    splits, `root` the folder of the pictures. COCO's "restval" is part of the training split.
    Images of one file and split are one picture with the captions of all, and `notes` tell so.
    Raises DataError for another file, and for pictures that are not there.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "text")
    is_multi_label = False
    labels: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    main_metric = "recall@1"

    def __init__(
        self,
        split: Split,
        *,
        path: Annotated[Path, Field(description="JSON file of splits and captions")],
        root: Annotated[Path, Field(description="folder of the pictures")],
        captions: Annotated[
            Size | None, Field(description="captions of a picture, the first ones; all")
        ] = None,
    ) -> None:
        document = _read(path)
        name = _name(path, document)
        self.test_set = (
            TEST_SETS.get(name, f"{name}/test") if captions is None else f"{name} (part)"
        )
        images = _pictures(path, document, split)
        self._pictures = _join(images, captions)
        self.notes = _about_joined(path, split, len(images), len(self._pictures))
        self._root = root
        self._sizes = _sizes(path, root, self._pictures)
        told = [[one.file, one.captions] for one in self._pictures]
        content = json.dumps([*told, self._sizes, split])
        self.revision = f"captions-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of pictures in the split."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        """One picture and its captions; its id is the name of its file."""
        file = self._pictures[index].file
        sample = self.outline(index)
        return replace(
            sample, values={**sample.values, "image": read_picture(self._root / file, file)}
        )

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        one = self._pictures[index]
        return Sample(one.file, {"image": None, "text": one.captions})

    def trace(self, index: int) -> Origin:
        """The picture's file."""
        file = self._root.absolute() / self._pictures[index].file
        return Origin({"image": Source(str(file), self._sizes[index])})

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of the picture."""
        return open_file(self._root / self._pictures[index].file)


# A document of JSON: whatever its values are.
def _read(path: Path) -> dict[str, object]:
    try:
        document = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(str(path), "it cannot be read", error) from error
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise _unreadable(str(path), "it has no list of images", type(document).__name__)
    return document


def _name(path: Path, document: Mapping[str, object]) -> str:
    name = str(document.get("dataset", ""))
    if _has_half_surrogate(name) or "\0" in name:
        raise _unreadable(str(path), "its dataset has no name that can be stored", ascii(name)[:80])
    return name


def _pictures(path: Path, document: Mapping[str, object], split: Split) -> list[_Picture]:
    images = document["images"]
    assert isinstance(images, list), "the document was checked"
    found = []
    for number, image in enumerate(images, start=1):
        place = f"{path}: image {number}"
        told = image.get("split") if isinstance(image, dict) else None
        if not isinstance(image, dict) or not isinstance(told, str) or told not in SPLITS:
            raise _unreadable(place, "it has no known split", ascii(image)[:80])
        if SPLITS[told] == split:
            found.append(_Picture(_file(place, image), _texts(place, image)))
    return found


def _join(images: Sequence[_Picture], captions: int | None) -> list[_Picture]:
    """The pictures, each file once, with as many of its captions as are asked for."""
    texts: dict[str, tuple[str, ...]] = {}
    for one in images:
        texts[one.file] = (*texts.get(one.file, ()), *one.captions)
    return [_Picture(file, each[:captions]) for file, each in texts.items()]


def _about_joined(path: Path, split: Split, images: int, pictures: int) -> tuple[str, ...]:
    if images == pictures:
        return ()
    told = f"{images:,} images are {pictures:,} pictures: those of one file are one"
    return (f"{split} of {path}: {told}, with all captions",)


def _file(place: str, image: Mapping[str, object]) -> str:
    """The picture's file below the root, its folder (COCO's `val2014`) included."""
    name, folder = image.get("filename"), image.get("filepath", "")
    if not isinstance(name, str) or not isinstance(folder, str) or not name:
        raise _unreadable(place, "it has no file name", repr(name)[:80])
    file = PurePosixPath(folder, name)
    if _has_half_surrogate(str(file)):
        raise _unreadable(place, "its file's name holds half of a surrogate pair", ascii(str(file)))
    if file.is_absolute() or ".." in file.parts or "\0" in str(file):
        raise _unreadable(place, "its file is not below the folder of pictures", repr(str(file)))
    return str(file)


def _texts(place: str, image: Mapping[str, object]) -> tuple[str, ...]:
    sentences = image.get("sentences")
    rows = sentences if isinstance(sentences, list) else []
    if not rows:
        raise _unreadable(place, "it has no list of sentences", repr(sentences)[:80])
    return tuple(_text(f"{place}, sentence {number}", row) for number, row in enumerate(rows, 1))


def _text(place: str, row: object) -> str:
    raw = row.get("raw") if isinstance(row, dict) else None
    if not isinstance(raw, str) or not raw.strip():
        found = f"raw is {json.dumps(raw)}" if isinstance(row, dict) else repr(row)
        raise _unreadable(place, "it is no caption", found[:80])
    if _has_half_surrogate(raw):
        raise _unreadable(place, "the caption holds half of a surrogate pair", ascii(raw[:80]))
    if "\0" in raw or len(raw.strip().encode()) > TEXT_BYTES:
        fault = "the caption holds a NUL" if "\0" in raw else "the caption is too long"
        raise _unreadable(place, fault, f"{len(raw.encode()):,} bytes, {raw[:40]!r}")
    return raw.strip()


def _has_half_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _sizes(path: Path, root: Path, pictures: list[_Picture]) -> list[int]:
    """The size of every picture's file. Raises DataError where some are missing."""
    sizes, missing = [], []
    for one in pictures:
        try:
            sizes.append(os.stat(root / one.file).st_size)
        except OSError:
            missing.append(one.file)
    if not missing:
        return sizes
    raise DataError(
        explain(
            str(root),
            f"the folder lacks pictures that {path.name} names",
            found=f"no {missing[0]}" + f" and {len(missing) - 1:,} more" * (len(missing) > 1),
            allowed="all pictures of the split",
            next_step="unpack the dataset's pictures there, or correct dataset.root",
        )
    )


def _unreadable(place: str, fault: str, found: object) -> DataError:
    return DataError(
        explain(
            place,
            f"these are no captions: {fault}",
            found=found,
            allowed="Karpathy's JSON: images with filename, split and sentences",
            next_step="fetch dataset_coco.json or dataset_flickr30k.json and name it in path",
        )
    )
