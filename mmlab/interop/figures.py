"""One published figure set, as a file of another tool states it, and the checks all tools share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmlab.errors import DataError, MmlabError, explain, secret_in, unstorable
from mmlab.files import open_file
from mmlab.interop.faults import Faults
from mmlab.interop.names import is_share

#: A file of results is a table; what is larger is something else.
FILE_BYTES = 64 * 1024 * 1024
TEXT_CHARACTERS = 1000


@dataclass(frozen=True)
class File:
    """A file that was read: its name without a folder, its bytes and their sha256."""

    path: Path
    content: bytes
    sha256: str

    @property
    def name(self) -> str:
        """Its name, without the folder."""
        return self.path.name


@dataclass(frozen=True)
class Figures:
    """What one model reached on one dataset in one task, in the words of the tool that says so.

    `metrics` map the tool's own names to values, None where one is not defined. `labels` and
    `templates` are empty where the file does not tell them. `own` is what `mmlab export` added to a
    result of its own. `place` is the file and row.
    """

    model: str
    pretrained: str
    dataset: str
    task: str
    metrics: Mapping[str, float | None]
    file: File
    place: str
    language: str = "en"
    labels: Sequence[str] = ()
    templates: Sequence[str] = ()
    own: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """What they are about: two with one key must say the same."""
        return (self.model, self.pretrained, self.dataset, self.task, self.language)


def read_file(path: Path) -> File:
    """The bytes of a file. Raises DataError where there is none or it is too large."""
    try:
        with open_file(path) as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise unreadable(str(path), "it cannot be read", error.strerror) from error
    if len(content) > FILE_BYTES:
        raise unreadable(str(path), "it is too large", f"more than {FILE_BYTES:,} bytes")
    return File(path, content, hashlib.sha256(content).hexdigest())


def read_all(paths: Sequence[Path], read: Callable[[File], list[Figures]]) -> list[Figures]:
    """The figures in all files. Raises one error that holds the faults of all of them."""
    found: list[Figures] = []
    faults = Faults()
    for path in paths:
        with faults.kept():
            found += read(read_file(path))
    faults.raise_all()
    return found


def unreadable(place: str, fault: str, found: object) -> DataError:
    """The error for a file, or a part of it, that holds no results."""
    return DataError(
        explain(
            place,
            f"these are no results: {fault}",
            found=str(found)[:200],
            allowed=f"a CSV or JSON file of at most {FILE_BYTES:,} bytes, as its tool writes it",
            next_step="name the file that the tool wrote, or correct it; nothing was imported",
        )
    )


def read_metric(place: str, name: str, value: object) -> float | None:
    """A metric's value; None where it is not defined (top-5 of four labels is written as NaN).

    Raises DataError for what is no number, and for a share outside of [0, 1].
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _no_number(place, name, value)
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise _no_number(place, name, value) from error
    if math.isnan(number):
        return None
    if not math.isfinite(number) or (is_share(name) and not 0 <= number <= 1):
        raise _no_number(place, name, value)
    return number


def _no_number(place: str, name: str, value: object) -> DataError:
    allowed = "a number from 0 to 1" if is_share(name) else "a number"
    return unreadable_value(place, name, value, allowed)


def unreadable_value(place: str, name: str, value: object, allowed: str) -> DataError:
    """The error for one cell."""
    return DataError(
        explain(
            f"{place}, {name}",
            "this value cannot be used",
            found=ascii(value)[:200],
            allowed=allowed,
            next_step="correct it in the file; nothing was imported",
        )
    )


def read_text(place: str, name: str, value: object, default: str | None = None) -> str:
    """A text that is not empty. Raises DataError for anything else, unless there is a default."""
    if default is not None and (value is None or value == ""):
        return default
    _require_no_secret(place, name, value)
    if isinstance(value, str) and 0 < len(value) <= TEXT_CHARACTERS and not unstorable(value):
        return value
    allowed = f"a text of 1 to {TEXT_CHARACTERS} characters, without NUL and lone surrogates"
    raise unreadable_value(place, name, value, allowed)


def _require_no_secret(place: str, name: str, value: object) -> None:
    """Raise DataError, which does not show it, for a text with a password, token or key."""
    if isinstance(value, str) and (found := secret_in(value)):
        allowed = "a text without password, token and key: it is stored and shown in reports"
        raise unreadable_value(place, name, f"{found}; not shown", allowed)


def read_texts(place: str, name: str, value: object) -> list[str]:
    """A list of texts, empty where there is none."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise unreadable_value(place, name, value, "a list of texts")
    return [read_text(place, name, text) for text in value]


def read_own(place: str, name: str, value: object) -> dict[str, str | int]:
    """A table of texts and whole numbers, empty where there is none; what is null is left out."""
    if value is None or value == "":
        return {}
    allowed = "a table of texts and whole numbers"
    if not isinstance(value, dict):
        raise unreadable_value(place, name, value, allowed)
    for key, told in value.items():
        _require_no_secret(place, name, told)
        is_text = isinstance(told, str) and not unstorable(told)
        is_number = isinstance(told, int) and abs(told) < 2**63
        if unstorable(key) or not (told is None or is_text or is_number):
            raise unreadable_value(place, f"{name}.{key}", told, allowed)
    return {key: told for key, told in value.items() if told is not None}


def without_repeats(found: Sequence[Figures]) -> list[Figures]:
    """Each once. Raises DataError where two files or rows say different things of one subject."""
    kept: dict[tuple[str, ...], Figures] = {}
    for figures in found:
        first = kept.setdefault(figures.key, figures)
        if dict(first.metrics) != dict(figures.metrics):
            raise _contradiction(first, figures)
    return list(kept.values())


def _contradiction(first: Figures, second: Figures) -> MmlabError:
    return DataError(
        explain(
            second.place,
            f"it contradicts {first.place}",
            found=f"{' '.join(second.key)}: {dict(second.metrics)} and {dict(first.metrics)}",
            allowed="one set of figures for a model, dataset, task and language",
            next_step="import one of them only; nothing was imported",
        )
    )
