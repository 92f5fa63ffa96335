"""What rows of Parquet files say to the `parquet` dataset, by the datasets' page."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

from support.fuzz.manifest_rows import column, plain_texts
from support.fuzz.outcome import Told, Unclear
from support.fuzz.parquet_files import KINDS as ALL
from support.fuzz.parquet_files import Column, ParquetFile
from support.fuzz.roles import FILES, PATHS

LABELS = ["owl", "dog", "cat"]
_bytes = st.sampled_from([b"one", b"two", b""])
_paths = st.sampled_from([*PATHS, None])
_PAIR = pl.Struct({"bytes": pl.Binary(), "path": pl.String()})
_pairs = st.fixed_dictionaries({"bytes": _bytes | st.none(), "path": _paths})
KINDS = {
    **ALL,
    "label": [*ALL["label"], Column(pl.Int64(), st.integers(-1, 2)), Column(pl.Int8(), st.just(3))],
    "image": [
        *(Column(pl.Binary(), _bytes | st.none()), Column(pl.String(), _paths)),
        *(Column(_PAIR, _pairs), Column(_PAIR, _pairs | st.none())),
        Column(pl.List(_PAIR), st.lists(_pairs, max_size=1) | st.none()),
        Column(pl.List(pl.String()), st.lists(_paths, min_size=1, max_size=2)),
        Column(pl.Struct({"path": pl.String()}), st.fixed_dictionaries({"path": _paths})),
    ],
}


def read_rows(file: ParquetFile) -> list[Told]:
    """The samples of a training split."""
    rows, options = file.rows, file.options
    if not rows:
        return []
    images: list[Any] = [None] * len(rows)
    labels: list[tuple[str, ...] | None] = [None] * len(rows)
    captions: list[tuple[str, ...]] = [()] * len(rows)
    if name := options.get("image_column"):
        images = [_image(cell) for cell in column(rows, name)]
    for name in options.get("text_columns", ()):
        parts = [_captions(cell) for cell in column(rows, name)]
        captions = [one + other for one, other in zip(captions, parts, strict=True)]
    if rows and options.get("image_column") and not any(images):
        raise Unclear("every picture is missing")
    if rows and options.get("text_columns") and not any(captions):
        raise Unclear("every caption is missing")
    if name := options.get("label_column"):
        labels = _labels(column(rows, name), options.get("label_names", ()))
    found = []
    for group in _groups(rows, images, options):
        image = _agreed([images[row] for row in group])
        texts = tuple(text for row in group for text in captions[row])
        has = {"image": image is not None, "text": bool(texts)}
        shown = tuple(kind for kind, there in has.items() if there)
        found.append(
            Told(f"train-{group[0]}", shown, texts, _agreed([labels[row] for row in group]))
        )
    return found


def _groups(rows: Sequence[Any], images: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The rows of one file, by its path, or by a path and the bytes beside it."""
    keys: list[Any] = [None] * len(rows)
    if name := options.get("sample_column"):
        keys = plain_texts(column(rows, name))
    elif options.get("rows") != "samples":
        keys = [None if image is None or image[0] is None else image for image in images]
    groups: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(row if key is None else ("key", key), []).append(row)
    return groups.values()


def _agreed(values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    contents = [value[1] if _is_image(value) else value for value in known]
    if any(content != contents[0] for content in contents):
        raise Unclear("rows of one sample differ")
    return known[0] if known else None


def _is_image(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], bytes)


def _image(cell: Any) -> Any:
    """A picture's path and its bytes, either of which may be None; None where there is none."""
    if isinstance(cell, list):
        if len(cell) > 1:
            raise Unclear("two pictures in one cell")
        cell = cell[0] if cell else None
    if isinstance(cell, bytes):
        return None, cell
    if isinstance(cell, dict) and "en" not in cell and "raw" not in cell:
        if cell.get("bytes") is not None:
            return cell["path"] or None, cell["bytes"]
        cell = cell["path"]
    if not isinstance(cell, str | None):
        raise Unclear("no picture")
    if cell and posixpath.normpath(cell) not in FILES:
        raise Unclear("a file is missing")
    return (posixpath.normpath(cell), None) if cell else None


def _captions(cell: Any) -> tuple[str, ...]:
    items = cell if isinstance(cell, list) else [cell]
    if any(not isinstance(item, str | None) for item in items):
        raise Unclear("no captions")
    if any(item and "\0" in item for item in items):
        raise Unclear("a NUL")
    return tuple(item.strip() for item in items if item and item.strip())


def _labels(cells: Sequence[Any], names: Sequence[str]) -> list[tuple[str, ...] | None]:
    listed = [cell if isinstance(cell, list) or cell is None else [cell] for cell in cells]
    known = [item for cell in listed for item in cell or () if item is not None]
    types = {type(item) for item in known}
    has_lists = any(isinstance(cell, list) for cell in cells)
    if not types <= {str, int, float} and not (types == {bool} and not has_lists):
        raise Unclear("no labels")
    if types == {bool}:
        names = names or ["false", "true"]
    elif types and not names:
        names = sorted({item for item in known if isinstance(item, str) and item.strip()})
    if known and not names:
        raise Unclear("nothing names the labels")
    if (types == {bool}) and len(names) != 2:
        raise Unclear("two truths, and more labels")
    found: list[tuple[str, ...] | None] = []
    for cell in listed:
        called = [_name(item, names, is_one=not has_lists) for item in cell or ()]
        if has_lists and None in called:
            raise Unclear("a label without a name")
        labels = tuple(sorted({label for label in called if label is not None}))
        found.append(None if cell is None or (called and not labels) else labels)
    return found


def _name(item: Any, names: Sequence[str], *, is_one: bool) -> str | None:
    """What a label is called; None where it is unknown."""
    if isinstance(item, str):
        if not item.strip():
            return None
        if item not in names or "\0" in item:
            raise Unclear("another label, or a NUL")
        return item
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return None
    if is_one and item == -1:
        return None
    if math.isinf(item) or item != int(item) or not 0 <= item < len(names):
        raise Unclear("a number that is no label")
    return names[int(item)]
