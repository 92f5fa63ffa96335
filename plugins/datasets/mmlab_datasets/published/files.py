"""Layouts of picture files: a folder for each class, and lists of files beside them."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from mmlab.plugin import Split
from mmlab_datasets.published.listing import Folder, Listing, list_files, read_lines

Items = Sequence[tuple[str, int]]


def class_folders(folder: Folder, split: Split) -> Listing:
    """A folder for each class; all of it is the test set, or as much as the order leaves to it."""
    wanted = folder.test_set
    if split not in wanted.counts:
        return list_files(folder, split, [])
    part = wanted.parts.get(split, "")
    found = [
        item
        for label, name in enumerate(folder.description.classes)
        for item in _in_class(folder, f"{part}/{name}" if part else name, label)
    ]
    if wanted.order == "tfds":
        found = _cut(sorted(found, key=_tfds_key), folder, split)
    return list_files(folder, split, found)


def _in_class(folder: Folder, name: str, label: int) -> Iterator[tuple[str, int]]:
    """The pictures in one class's folder, by name."""
    try:
        files = sorted(entry.name for entry in os.scandir(folder.root / name) if entry.is_file())
    except OSError as error:
        if folder.is_part:
            return
        raise folder.missing([f"{name}/"]) from error
    endings = tuple(folder.description.endings)
    found = [f"{name}/{file}" for file in files if file.endswith(endings)]
    for file in found:
        if not file.isascii() and file.encode(errors="replace").decode() != file:
            fault = "the name of a picture is no UTF-8"
            raise folder.incomplete(fault, ascii(file), "names in UTF-8")
    yield from ((file, label) for file in found)


def _tfds_key(item: tuple[str, int]) -> bytes:
    """Where TensorFlow Datasets puts a picture: by md5 of the split's name and the example's key.

    Its key of EuroSAT's `Forest/Forest_1.jpg` is `Forest_Forest_1.jpg`.
    """
    path = PurePosixPath(item[0])
    key = f"train{path.parent.name}_{path.name}"
    return hashlib.md5(key.encode(), usedforsecurity=False).digest()


def _cut(items: Items, folder: Folder, split: Split) -> list[tuple[str, int]]:
    """The part of ordered items that is this split's: training first, then validation, test."""
    counts = folder.test_set.counts
    total = sum(counts.values())
    if folder.is_part:  # in proportion, so that a part of the data has every split
        counts = {name: count * len(items) // total for name, count in counts.items()}
    elif len(items) != total:
        found, allowed = f"{len(items):,} pictures", f"{total:,} pictures"
        raise folder.incomplete("the folder is incomplete", found, allowed)
    start = sum(counts.get(name, 0) for name in _before(split))
    stop = len(items) if split == "test" else start + counts.get(split, 0)
    return list(items[start:stop])


def _before(split: Split) -> tuple[Split, ...]:
    before: dict[Split, tuple[Split, ...]] = {
        "train": (),
        "validation": ("train",),
        "test": ("train", "validation"),
    }
    return before[split]


def scenes(folder: Folder, split: Split) -> Listing:
    """SUN397: the file ClassName.txt names a folder for each class, such as /b/beach."""
    if split not in folder.test_set.counts:
        return list_files(folder, split, [])
    folders = [line.strip("/") for line in read_lines(folder, "ClassName.txt")]
    names = [name.partition("/")[2].replace("_", " ").replace("/", " ") for name in folders]
    if names != list(folder.description.labels):
        raise folder.incomplete(
            "ClassName.txt names other classes", f"{len(names)} lines", "the 397 classes in order"
        )
    found = [item for label, name in enumerate(folders) for item in _in_class(folder, name, label)]
    return list_files(folder, split, found)


def lists(folder: Folder, split: Split) -> Listing:
    """A text file for each split, a picture a line: its path without ending, or its name and label.

    Where the label comes from the folder, it is the class of that name; else it is the line's
    second word, counted from 1.
    """
    name = folder.test_set.lists.get(split)
    lines = read_lines(folder, name) if name else []
    return list_files(folder, split, [_listed(folder, str(name), line) for line in lines])


def _listed(folder: Folder, name: str, line: str) -> tuple[str, int]:
    description = folder.description
    path, *rest = line.split()
    if description.label_from == "folder":
        label = _number_of(description.classes, path.partition("/")[0])
    else:
        label = int(rest[0]) - 1 if rest and rest[0].isdecimal() and len(rest[0]) < 10 else -1
    is_below = ".." not in PurePosixPath(path).parts and not path.startswith("/")
    if not (0 <= label < len(description.labels) and is_below):
        raise folder.incomplete(
            f"{name} has a line that names no class", repr(line[:80]), "a known class"
        )
    return f"{description.pictures}/{path}{description.ending}", label


def _number_of(classes: Sequence[str], name: str) -> int:
    return classes.index(name) if name in classes else -1


def flowers(folder: Folder, split: Split) -> Listing:
    """Oxford Flowers: labels by picture in imagelabels.mat, pictures by split in setid.mat."""
    key = {"train": "trnid", "validation": "valid", "test": "tstid"}[split]
    labels = _matrix(folder, "imagelabels.mat", "labels")
    numbers = _matrix(folder, "setid.mat", key)
    count = len(folder.description.labels)
    if not all(1 <= number <= len(labels) for number in numbers):
        found = f"a number beyond {len(labels)}"
        raise folder.incomplete("setid.mat is damaged", found, "numbers of pictures")
    if not all(1 <= label <= count for label in labels):
        raise folder.incomplete("imagelabels.mat is damaged", "another label", f"1 to {count}")
    items = [(f"jpg/image_{number:05d}.jpg", labels[number - 1] - 1) for number in numbers]
    return list_files(folder, split, items)


#: What reading a damaged file of MATLAB's may raise beside the reader's own error.
_DAMAGE = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


def _matrix(folder: Folder, name: str, key: str) -> list[int]:
    """The whole numbers in one variable of a MATLAB file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = folder.root / name
    if not os.path.isfile(path):
        raise folder.missing([name])
    try:
        values = loadmat(path, variable_names=[key])[key]
        return [int(value) for value in values.ravel()]
    except (MatReadError, zlib.error, *_DAMAGE) as error:
        raise folder.incomplete(f"{name} is damaged", error, f"numbers named {key}") from error
