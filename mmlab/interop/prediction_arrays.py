"""Predictions in an npz file: `ids` (n,), `scores` (n, m), and `labels` (m,), or (n, m) row by row.

Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmlab.files import check_zip
from mmlab.interop import prediction_blocks as blocks
from mmlab.interop.prediction_blocks import Block, unusable


def read_npz(path: Path) -> Iterator[Block]:
    """The rows of the arrays. Raises DataError where they are damaged or do not fit each other."""
    ids, labels, scores = _arrays(path)
    for name, array, kinds, allowed in (
        ("ids", ids, "Uiu", "texts or whole numbers"),
        ("labels", labels, "U", "texts: the labels by their names"),
        ("scores", scores, "fiu", "numbers"),
    ):
        if array.dtype.kind not in kinds:
            raise unusable(f"{path}: {name}", "its type does not fit", array.dtype, allowed)
    count = len(ids) if ids.ndim == 1 else -1
    width = scores.shape[1] if scores.ndim == 2 else -1
    if count < 0 or scores.shape != (count, width) or labels.shape not in [(width,), scores.shape]:
        shapes = f"ids {ids.shape}, labels {labels.shape}, scores {scores.shape}"
        allowed = "ids (n,), scores (n, m), and labels (m,) or (n, m)"
        raise unusable(str(path), "its arrays do not fit each other", shapes, allowed)
    columns = labels.tolist() if labels.ndim == 1 else None
    size = max(1, blocks.BLOCK_SCORES // max(1, width))
    for start in range(0, count if width else 0, size):
        rows = slice(start, start + size)
        values = scores[rows].astype(np.float64)
        own = columns if columns is not None else labels[rows].astype(object)
        names = [str(one) for one in ids[rows].tolist()]
        yield Block(start + 1, names, own, values, np.ones(values.shape, bool))


#: What NumPy and zip raise for files that are damaged, or say that they hold more than they do.
_DAMAGED = (
    ValueError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
# Arrays of whatever types.
_Array = npt.NDArray[np.generic]


def _arrays(path: Path) -> tuple[_Array, _Array, _Array]:
    """The three arrays of an npz file; it is never unpickled."""
    try:
        check_zip(path)
        if not zipfile.is_zipfile(path):
            raise unusable(str(path), "it is no whole npz file", "no zip archive of arrays")
        with np.load(path, allow_pickle=False) as found:
            lacking = [name for name in ("ids", "labels", "scores") if name not in found]
            if lacking:
                names = ", ".join(found.files) or "no array"
                raise unusable(str(path), f"there is no array {lacking[0]!r}", names)
            given = [found[name] for name in ("ids", "labels", "scores")]
        if not all(isinstance(one, np.ndarray) for one in given):  # bytes of whatever else
            raise unusable(str(path), "it is no whole npz file", "a file in it that is no array")
        ids, labels, scores = given
        return ids, labels, scores
    except _DAMAGED as error:
        if "pickle" in str(error):
            fault = "it holds pickled objects, which could run any code: they are never read"
            allowed = "arrays of texts and numbers, as np.array(list_of_texts) makes them"
            raise unusable(str(path), fault, error, allowed) from error
        raise unusable(str(path), "it is no whole npz file", error) from error
