"""What the rows of a manifest say, by the datasets' page: a plain reader of cells in Python."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from support.fuzz.outcome import Told, Unclear

Row = Mapping[str, Any]
Options = Mapping[str, Any]
#: What is missing among numbers, in any case.
WORDS = frozenset(
    {"nan", "-nan", "n/a", "na", "n.a.", "<na>", "#n/a", "nat", "null", "nil", "none"}
    | {"-", "--", "?", "."}
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LONG = 2**63


def read_rows(
    rows: Sequence[Row], options: Options, files: Sequence[str], split: str = "train"
) -> list[Told]:
    """The samples of rows whose cells are Python's values; `files` are those that are there."""
    if not rows:
        raise Unclear("no rows")
    groups = _groups(rows, options)
    columns = _columns(rows, options, files)
    labels = columns["labels"]
    found, ids = [], set[str]()
    for group in groups:
        part = _agreed([columns["splits"][row] for row in group])
        own = _agreed([columns["ids"][row] for row in group])
        if own is None and options.get("id_column"):
            raise Unclear("an id is missing")
        own = own or str(group[0] + 1)
        if own in ids:
            raise Unclear(f"the id {own!r} is there twice")
        ids.add(own)
        captions = tuple(text for row in group for text in columns["captions"][row])
        tabular = [(n, _agreed([cells[row] for row in group])) for n, cells in columns["tabular"]]
        image = _agreed([columns["images"][row] for row in group])
        has = {"image": image, "text": captions, "tabular": any(c is not None for _, c in tabular)}
        sample = Told(
            own,
            tuple(sorted(modality for modality, there in has.items() if there)),
            captions,
            _agreed([labels[row] for row in group]),
            tuple(_agreed([cells[row] for row in group]) for cells in columns["targets"]),
            tuple(sorted(tabular)) if has["tabular"] else (),
        )
        if part == split:
            found.append(sample)
    return found


def column(rows: Sequence[Row], name: str) -> list[Any]:
    """The cells of a column, None where a row lacks it."""
    if not any(name in row for row in rows):
        raise Unclear(f"there is no column {name!r}")
    return [row.get(name) for row in rows]


def _columns(rows: Sequence[Row], options: Options, files: Sequence[str]) -> dict[str, Any]:
    count = len(rows)
    ids, images, labels = ([None] * count for _ in range(3))
    captions: list[tuple[str, ...]] = [()] * count
    splits: list[str | None] = ["train"] * count
    if name := options.get("id_column"):
        ids = plain_texts(column(rows, name))
    if name := options.get("split_column"):
        splits = plain_texts(column(rows, name))
        if not {*splits} <= {"train", "validation", "test"}:
            raise Unclear("no split")
    if name := options.get("image_column"):
        images = [path and posixpath.normpath(path) for path in plain_texts(column(rows, name))]
        if not any(images) or any(image and image not in files for image in images):
            raise Unclear("a file is missing")
    for name in options.get("text_columns", ()):
        parts = [_stripped(items) for items in texts(column(rows, name))]
        captions = [one + other for one, other in zip(captions, parts, strict=True)]
    if name := options.get("label_column"):
        labels = _labels(column(rows, name), options.get("label_separator"))
    targets = [_numbers(column(rows, name)) for name in options.get("target_columns", ())]
    names = options.get("tabular_columns", ())
    tabular = [(name.strip(), _kinds(column(rows, name))) for name in names]
    return {
        **{"ids": ids, "splits": splits, "images": images, "captions": captions},
        **{"labels": labels, "targets": targets, "tabular": tabular},
    }


def _groups(rows: Sequence[Row], options: Options) -> list[list[int]]:
    """The rows of each sample: those of one file, or of one value in the `sample_column`."""
    name = options.get("sample_column") or options.get("image_column")
    keys: list[str | None] = [None] * len(rows)
    if name and options.get("rows") != "samples":
        keys = [key and posixpath.normpath(key) for key in plain_texts(column(rows, name))]
    if options.get("sample_column"):
        keys = plain_texts(column(rows, options["sample_column"]))
    groups: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(row if key is None else key, []).append(row)
    return list(groups.values())


def _agreed(values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    if any(value != known[0] for value in known):
        raise Unclear("rows of one sample differ")
    return known[0] if known else None


# --- cells ------------------------------------------------------------------------------------


def texts(cells: Sequence[Any], *, are_labels: bool = False) -> list[list[str] | None]:
    """The texts of every cell; None where a cell is empty. Labels may be booleans and 3.0 too."""
    has_lists = any(isinstance(cell, list) for cell in cells)
    listed = [cell if cell is None or isinstance(cell, list) else [cell] for cell in cells]
    items = [item for cell in listed for item in cell or () if item is not None]
    types = {type(item) for item in items}
    if any(type(cell) is int and not -_LONG <= cell < _LONG for cell in cells):
        types.add(str)  # a number as long is a name
    if not types <= {str, int, float, bool}:
        raise Unclear(f"cells of {types}")
    if bool in types and (has_lists or not ((types == {bool} and are_labels) or str in types)):
        raise Unclear("booleans")
    if float in types and str not in types:
        return [cell and [_whole(item, are_labels) for item in cell] for cell in listed]
    return [cell and ["" if item is None else _text(item) for item in cell] for cell in listed]


def plain_texts(cells: Sequence[Any]) -> list[str | None]:
    """The same of cells without lists; an empty text is None."""
    if any(isinstance(cell, list) for cell in cells):
        raise Unclear("lists")
    return [cell[0] or None if cell else None for cell in texts(cells)]


def _whole(item: float | None, is_label: bool) -> str:
    """A whole number as pandas writes it: 3.0 for 3, NaN for none."""
    if not is_label:
        raise Unclear("numbers that are no names")
    if item is None or math.isnan(item):
        return ""
    if math.isinf(item) or item != int(item) or abs(item) >= _LONG:
        raise Unclear("a number with a fraction, or beyond 64 bits")
    return str(int(item))


def _text(item: Any) -> str:
    if isinstance(item, float) and not math.isfinite(item):
        raise Unclear("no number of JSON")
    text = str(item).lower() if isinstance(item, bool) else str(item)
    if "\0" in text or len(text.encode("utf-8", "surrogatepass")) > 4096:
        raise Unclear("a NUL, or a text too long")
    if re.search("[\ud800-\udfff]", text):
        raise Unclear("half of a surrogate pair")
    return text


def _stripped(items: list[str] | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in items or () if item.strip())


def _labels(cells: Sequence[Any], separator: str | None) -> list[tuple[str, ...] | None]:
    has_lists = any(isinstance(cell, list) for cell in cells)
    found: list[tuple[str, ...] | None] = []
    for items in texts(cells, are_labels=True):
        if not has_lists and (items is None or not "".join(items).strip()):
            found.append(None)
            continue
        parts = items
        if separator and not has_lists:
            parts = [part for item in items or () for part in item.split(separator)]
        names = _stripped(parts)
        known = tuple(sorted({name for name in names if name != "[]"}))
        if not has_lists and not separator:
            found.append(names)
        elif items is None:
            found.append(None)
        elif (items and not names) or (known and "[]" in names):
            raise Unclear("neither labels nor none of them")
        else:
            found.append(known)
    return found


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) and abs(float(text)) < 1e999 else None


def _is_missing(text: str) -> bool:
    return not text.strip() or text.strip().lower() in WORDS


def _plain_numbers(cells: Sequence[Any]) -> list[float | None] | None:
    """The cells of a column that has numbers alone; None of another."""
    known = [cell for cell in cells if cell is not None]
    if not known or not all(type(cell) in (int, float, Decimal) for cell in known):
        return None
    if any(type(cell) is int and not -_LONG <= cell < _LONG for cell in known):
        return None
    return [None if cell is None or math.isnan(cell) else float(cell) for cell in cells]


def _numbers(cells: Sequence[Any]) -> list[float | None]:
    if (plain := _plain_numbers(cells)) is not None:
        if any(cell is not None and math.isinf(cell) for cell in plain):
            raise Unclear("a target without end")
        return plain
    if any(type(cell) in (list, bool) for cell in cells):
        raise Unclear("no numbers")
    found = []
    for text in plain_texts(cells):
        number = _number(text) if text else None
        if text and number is None and not _is_missing(text):
            raise Unclear("no number")
        found.append(number)
    return found


def _kinds(cells: Sequence[Any]) -> list[str | float | None]:
    """Numbers where all cells say one or are missing, else categories as they are written."""
    if (plain := _plain_numbers(cells)) is not None:
        return [cell if cell is not None and math.isfinite(cell) else None for cell in plain]
    if any(isinstance(cell, list) for cell in cells):
        raise Unclear("lists")
    if {type(cell) for cell in cells if cell is not None} == {bool}:
        return [None if cell is None else str(cell).lower() for cell in cells]
    words = plain_texts(cells)
    numbers = [_number(word) if word else None for word in words]
    others = [w for w, n in zip(words, numbers, strict=True) if w and n is None]
    if any(not _is_missing(word) for word in others):
        return list(words)
    if others and not any(number is not None for number in numbers):
        return list(words)
    return list(numbers)
