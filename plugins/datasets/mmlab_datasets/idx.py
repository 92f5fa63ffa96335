"""MNIST's file format: a header of sizes, then bytes, perhaps gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmlab.plugin import DataError, explain, open_file
from mmlab_datasets.content import read_head

#: Bytes of the largest file read, unpacked: MNIST's training pictures take 47 million.
IDX_BYTES = 1 << 30
_GZIP = b"\x1f\x8b"
_MAGIC = {1: b"\x00\x00\x08\x01", 3: b"\x00\x00\x08\x03"}


def read_idx(path: Path, axes: int) -> npt.NDArray[np.uint8]:
    """The bytes of a file in their shape. Raises DataError for any other content."""
    try:
        is_gzipped = read_head(path).startswith(_GZIP)  # some browsers unpack, and keep the name
        with open_file(path) as plain, gzip.open(plain) if is_gzipped else plain as file:
            content = file.read(IDX_BYTES + 1)
    except (OSError, EOFError, MemoryError, zlib.error) as error:
        raise _unreadable(path, str(error) or type(error).__name__) from error
    if len(content) > IDX_BYTES:
        raise _unreadable(path, f"more than {IDX_BYTES:,} bytes")
    start = 4 + 4 * axes
    if content[:4] != _MAGIC[axes] or len(content) < start:
        raise _unreadable(path, f"a header {content[:4].hex()}")
    shape = [int(size) for size in np.frombuffer(content[4:start], ">u4")]
    if math.prod(shape) != len(content) - start:
        raise _unreadable(path, f"{len(content) - start:,} bytes for the shape {shape}")
    return np.frombuffer(content[start:], np.uint8).reshape(shape)


def _unreadable(path: Path, found: str) -> DataError:
    return DataError(
        explain(
            str(path),
            "this is no file of MNIST's format",
            found=found,
            allowed="an idx file of bytes, gzipped or not",
            next_step="fetch the file again, or correct the path of its folder",
        )
    )
