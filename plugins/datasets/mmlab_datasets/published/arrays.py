"""Layouts that hold all pictures of a split in a few files: IDX, CIFAR's pickles, STL-10's binary.

All are unchecked files: sizes are compared with the header before anything is made of them, and a
pickle is read without ever being executed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmlab.plugin import Split, open_file
from mmlab_datasets.idx import read_idx
from mmlab_datasets.published.listing import Folder, Listing, require_count
from mmlab_datasets.published.pickled import PickleError, read_pickle

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

#: Bytes of one file; the largest of these datasets has 2.8 GB.
FILE_BYTES = 3_000_000_000


def list_arrays(folder: Folder, split: Split, pixels: Pixels, labels: Labels) -> Listing:
    """A listing of pictures (n, height, width) or (n, height, width, 3), named by their place."""
    count = len(folder.description.labels)
    if len(pixels) != len(labels):
        raise folder.incomplete(
            "pictures and labels do not belong together",
            f"{len(pixels):,} pictures, {len(labels):,} labels",
            "a label for each picture",
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= count):
        found = f"from {labels.min()} to {labels.max()}"
        raise folder.incomplete("a label is out of range", found, f"0 to {count - 1}")
    require_count(folder, split, len(pixels))
    ids = [f"{split}-{number}" for number in range(len(pixels))]
    content = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
    return Listing(ids, labels.tolist(), partial(_picture, pixels), content)


def _picture(pixels: Pixels, index: int) -> Image.Image:
    return Image.fromarray(pixels[index]).convert("RGB")


def _nothing(folder: Folder, split: Split) -> Listing:
    return list_arrays(folder, split, np.empty((0, 1, 1), np.uint8), np.empty(0, np.int64))


# --- IDX --------------------------------------------------------------------------------------


def idx(folder: Folder, split: Split) -> Listing:
    """MNIST's layout: a file of pictures and one of labels, each perhaps compressed."""
    names = folder.test_set.files.get(split)
    if names is None:
        return _nothing(folder, split)
    pictures, labels = (_compressed_or_not(folder, name) for name in names)
    return list_arrays(folder, split, read_idx(pictures, 3), read_idx(labels, 1).astype(np.int64))


def _compressed_or_not(folder: Folder, name: str) -> Path:
    plain, packed = folder.root / name, folder.root / f"{name}.gz"
    if not (os.path.isfile(plain) or os.path.isfile(packed)):
        raise folder.missing([packed.name])
    return plain if os.path.isfile(plain) else packed


def _read(folder: Folder, path: Path) -> bytes:
    """The bytes of a file. Raises DataError where it is larger than any of these is."""
    try:
        with open_file(path) as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise folder.missing([path.name]) from error
    if len(content) > FILE_BYTES:
        found, allowed = f"over {FILE_BYTES:,} bytes", "less"
        raise folder.incomplete(f"{path.name} is too large", found, allowed)
    return content


# --- CIFAR ------------------------------------------------------------------------------------


def cifar(folder: Folder, split: Split) -> Listing:
    """CIFAR's "python version": pickles of bytes (n, 3072), channel by channel, and labels."""
    names = folder.test_set.files.get(split)
    if names is None:
        return _nothing(folder, split)
    batches = [_read_batch(folder, name) for name in names]
    pixels = np.concatenate([pixels for pixels, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return list_arrays(folder, split, pixels, labels)


def _read_batch(folder: Folder, name: str) -> tuple[Pixels, Labels]:
    path = folder.root / name
    if not os.path.isfile(path):
        raise folder.missing([name])
    try:
        batch = read_pickle(_read(folder, path))
    except PickleError as error:
        raise folder.incomplete(f"{name} is damaged", error, "a batch of CIFAR") from error
    table = batch if isinstance(batch, dict) else {}
    data, labels = table.get("data"), table.get(folder.description.key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072:
        raise folder.incomplete(f"{name} holds no pictures", type(data).__name__, "(n, 3072) bytes")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        found = type(labels).__name__
        raise folder.incomplete(f"{name} holds no labels", found, "a list of whole numbers")
    pixels = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (n, 32, 32, 3)
    return pixels, np.array(labels, np.int64)


# --- STL-10 -----------------------------------------------------------------------------------


def stl10(folder: Folder, split: Split) -> Listing:
    """STL-10's binary version: pictures of 3 x 96 x 96 bytes, column by column; labels from 1."""
    names = folder.test_set.files.get(split)
    if names is None:
        return _nothing(folder, split)
    absent = [name for name in names if not os.path.isfile(folder.root / name)]
    if absent:
        raise folder.missing(absent)
    pixels, labels = (_bytes(folder, name, size) for name, size in _sizes(names))
    pictures = pixels.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)  # (n, 96, 96, 3)
    return list_arrays(folder, split, pictures, labels.astype(np.int64) - 1)


def _sizes(names: Sequence[str]) -> list[tuple[str, int]]:
    """Each file and the bytes of one of its records."""
    return list(zip(names, (3 * 96 * 96, 1), strict=True))


def _bytes(folder: Folder, name: str, record: int) -> Pixels:
    content = _read(folder, folder.root / name)
    if len(content) % record:
        found = f"{len(content):,} bytes"
        raise folder.incomplete(f"{name} is damaged", found, f"a multiple of {record:,} bytes")
    return np.frombuffer(content, np.uint8)
