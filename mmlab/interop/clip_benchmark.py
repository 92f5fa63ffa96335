"""CLIP_benchmark's files: a JSON document per result, and the CSV that `build` makes of them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmlab.errors import UsageError, explain
from mmlab.interop.faults import Faults
from mmlab.interop.figures import (
    Figures,
    File,
    read_all,
    read_metric,
    read_own,
    read_text,
    read_texts,
    unreadable,
)

TOOL = "clip-benchmark"
#: Keys beside the metrics, in documents and in the CSV, where an index may have no name.
KEYS = frozenset({"dataset", "model", "pretrained", "task", "language", "model_fullname", ""})
_LISTS = ("classnames", "templates")
#: What names a result: one set of figures has all of these, and no other set has the same.
NAMES = ("dataset", "pretrained", "model", "language", "task")
#: What `mmlab export` adds, of no meaning to anybody else; the CSV has no tables to hold it.
OWN = "mmlab"


def read_results(paths: Sequence[Path]) -> list[Figures]:
    """The results in JSON, JSONL and CSV files, and in the JSON files of folders.

    Raises one DataError that holds the faults of all files.
    """
    return read_all([file for path in paths for file in _files(path)], _read)


def _files(path: Path) -> list[Path]:
    if not os.path.isdir(path):  # nor what no name is, which reading says
        return [path]
    files = sorted(path.glob("*.json"))
    if files:
        return files
    raise UsageError(
        explain(
            str(path),
            "the folder holds no results",
            found="no file that ends in .json",
            allowed="files, or folders of CLIP_benchmark's JSON files",
            next_step="name the folder into which clip_benchmark wrote",
        )
    )


def _read(file: File) -> list[Figures]:
    ending = file.path.suffix.lower()
    readers = {".json": _read_json, ".jsonl": _read_lines, ".csv": _read_csv}
    if ending not in readers:
        raise unreadable(str(file.path), "its ending is unknown", ending or "no ending")
    try:
        return readers[ending](file, file.content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise unreadable(str(file.path), "it is no UTF-8 text", error.reason) from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise unreadable(str(file.path), "it is damaged", error) from error


def _read_json(file: File, text: str) -> list[Figures]:
    document = json.loads(text)
    documents = document if isinstance(document, list) else [document]
    many = isinstance(document, list)
    return _from_documents(
        file,
        (
            (f"{file.path}: document {n}" if many else str(file.path), one)
            for n, one in enumerate(documents, start=1)
        ),
    )


def _read_lines(file: File, text: str) -> list[Figures]:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    return _from_documents(file, [(f"{file.path}: line {n}", json.loads(x)) for n, x in lines])


def _from_documents(file: File, documents: Iterable[tuple[str, object]]) -> list[Figures]:
    found, faults = list[Figures](), Faults()
    for place, document in documents:
        with faults.kept():
            found.append(_from_document(file, place, document))
    faults.raise_all()
    return found


def _from_document(file: File, place: str, document: object) -> Figures:
    if not isinstance(document, dict) or not isinstance(document.get("metrics"), dict):
        raise unreadable(place, "it has no metrics", type(document).__name__)
    return _figures(file, place, document, document["metrics"])


def _read_csv(file: File, text: str) -> list[Figures]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if reader.fieldnames is None:
        raise unreadable(str(file.path), "it is empty", f"{len(text)} characters")
    missing = {"dataset", "model", "pretrained", "task"} - set(reader.fieldnames)
    if missing:
        header = ",".join(reader.fieldnames)[:100]
        raise unreadable(str(file.path), f"it lacks the column {min(missing)!r}", header)
    skipped = KEYS | {*_LISTS, OWN}
    names = [name for name in reader.fieldnames if name not in skipped]
    found, faults = list[Figures](), Faults()
    for number, row in enumerate(reader, start=1):
        with faults.kept():
            found.append(_read_row(file, f"{file.path}: row {number}", row, names))
    faults.raise_all()
    return found


def _read_row(file: File, place: str, row: Mapping[str, str], names: Sequence[str]) -> Figures:
    if None in row or None in row.values():
        raise unreadable(place, "it has not as many cells as there are columns", list(row))
    metrics = {name: row[name] for name in names if row[name] != ""}
    listed = {key: value for key, value in row.items() if key not in {*_LISTS, OWN}}
    return _figures(file, place, listed, metrics)


def _figures(
    file: File, place: str, document: Mapping[str, object], metrics: Mapping[str, object]
) -> Figures:
    texts, values, faults = dict[str, str](), dict[str, float | None](), Faults()
    for name in ("model", "pretrained", "dataset", "task"):
        with faults.kept():
            texts[name] = read_text(place, name, document.get(name))
    for name, value in metrics.items():
        with faults.kept():
            values[read_text(place, "metrics", name)] = read_metric(place, name, value)
    faults.raise_all()
    if not values:
        raise unreadable(place, "it has no metrics", f"none of {texts['model']}")
    return Figures(
        **texts,
        metrics=values,
        file=file,
        place=place,
        language=read_text(place, "language", document.get("language"), default="en"),
        labels=read_texts(place, "classnames", document.get("classnames")),
        templates=read_texts(place, "templates", document.get("templates")),
        own=read_own(place, OWN, document.get(OWN)),
    )


def file_name(document: Mapping[str, object]) -> str:
    """The name that CLIP_benchmark gives a result's file, safe in any folder."""
    name = "_".join(str(document[key]).replace("/", "_") for key in NAMES)
    plain = "".join(c if c.isalnum() or c in "._-+@ " else "_" for c in name)
    return f"{plain.lstrip('.')[:200]}.json"
