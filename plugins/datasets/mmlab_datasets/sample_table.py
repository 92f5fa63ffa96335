"""The samples of an index as a table of columns, of which rows are made when they are asked for.

Objects for a million rows would take several times the memory. Texts are kept in Polars, and what
few samples differ in (splits, labels) is kept once, with a number for each sample.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from mmlab.plugin import Survey

Cell = str | float | None
T = TypeVar("T", bound=Hashable)
Places = npt.NDArray[np.int32]
#: What tells a change of every sample's file: its size, or a hash.
Stamps = npt.NDArray[np.int64] | Sequence[str]
#: Samples whose text is made at a time, to be hashed.
HASHED = 50_000
#: What JSON does not write as it is.
_ESCAPED = r"[^ !#-\[\]-~]"


class Row(NamedTuple):
    """One sample of the index, its cells understood; `number` is that of its first row.

    `files` are those that it has, by modality.
    """

    number: int
    id: str
    split: str
    files: Mapping[str, str]
    captions: tuple[str, ...]
    labels: tuple[int, ...] | None
    targets: tuple[float, ...]
    cells: tuple[Cell, ...]
    group: str | None


@dataclass(frozen=True)
class Distinct(Generic[T]):
    """Values of which there are few: each once, and the place of every sample's."""

    values: Sequence[T]
    places: Places

    @classmethod
    def of(cls, values: Collection[T] | pl.Series) -> Distinct[T]:
        """These values, one a sample, in the order in which they first come."""
        if isinstance(values, pl.Series):
            return cls(*_distinct(values))
        known: dict[T, int] = {}
        places = (known.setdefault(value, len(known)) for value in values)
        found = np.fromiter(places, np.int32, len(values))
        return cls(list(known), found)

    def at(self, places: Places) -> list[T]:
        """The values of some samples."""
        return [self.values[place] for place in self.places[places].tolist()]

    def all(self) -> list[T]:
        """The value of every sample."""
        return [self.values[place] for place in self.places.tolist()]


def _distinct(column: pl.Series) -> tuple[list[Any], Places]:  # Any: the column's own type
    """The values of a column in the order in which they first come, and each row's place there."""
    values = column.unique(maintain_order=True)
    places = pl.Series(range(len(values)), dtype=pl.Int32)
    known = pl.DataFrame({"value": values, "place": places})
    rows = pl.DataFrame({"value": column})
    found = rows.join(known, on="value", how="left", nulls_equal=True, maintain_order="left")
    return values.to_list(), found["place"].to_numpy()


@dataclass(frozen=True)
class Lists:
    """A list of texts for each sample: all texts in order, and where each list begins (n + 1,)."""

    texts: pl.Series
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[Sequence[str]]) -> Lists:
        """These lists."""
        counts = np.fromiter(map(len, values), np.int64, len(values))
        texts = pl.Series([text for each in values for text in each], dtype=pl.String)
        return cls(texts, np.concatenate([[0], np.cumsum(counts)]))

    @classmethod
    def of_one(cls, values: pl.Series) -> Lists:
        """Lists of one text each, of none where it is null."""
        starts = np.concatenate([[0], np.cumsum(values.is_not_null().to_numpy())])
        return cls(values.drop_nulls(), starts)

    def at(self, places: Places) -> list[tuple[str, ...]]:
        """The lists of some samples."""
        if self.texts.is_empty():
            return [()] * len(places)
        first, stop = self.starts[places], self.starts[places + 1]
        counts = stop - first
        before = np.cumsum(counts) - counts  # of the texts that are taken, those of other samples
        index = np.repeat(first - before, counts) + np.arange(counts.sum())
        texts = iter(self.texts.gather(index))
        return [tuple(islice(texts, count)) for count in counts.tolist()]

    def one(self, place: int) -> tuple[str, ...]:
        """The list of a sample."""
        texts = range(self.starts.item(place), self.starts.item(place + 1))
        return tuple(self.texts.item(text) for text in texts)

    def as_json(self, part: slice) -> pl.Series:
        """Some lists as JSON writes them."""
        starts = self.starts[part.start : part.stop + 1]
        if starts[0] == starts[-1]:
            return pl.Series(["[]"]).new_from_index(0, len(starts) - 1)
        texts = iter(_quoted(self.texts[starts[0] : starts[-1]]).to_list())
        counts = np.diff(starts).tolist()
        return pl.Series([f"[{', '.join(islice(texts, count))}]" for count in counts])


@dataclass(frozen=True)
class SampleTable:
    """Every sample of an index, whatever its split. A column that is not named is None or empty.

    `files` and `sizes` (in bytes, -1 where none is named) are by modality, `cells` by column.
    """

    numbers: Places
    ids: pl.Series
    splits: Distinct[str]
    files: Mapping[str, pl.Series]
    sizes: Mapping[str, npt.NDArray[np.int64]]
    captions: Lists
    labels: Distinct[tuple[int, ...] | None]
    targets: Sequence[npt.NDArray[np.float64]]
    cells: Mapping[str, pl.Series]
    groups: pl.Series | None

    def of_split(self, split: str) -> Places:
        """The places of the samples of a split, in order."""
        if split not in self.splits.values:
            return np.zeros(0, np.int32)
        found = self.splits.places == self.splits.values.index(split)
        return np.flatnonzero(found).astype(np.int32)

    def rows(self, places: Places) -> list[Row]:
        """The rows of some samples."""
        count = len(places)
        columns = [targets[places].tolist() for targets in self.targets]
        cells = [_texts(column, places) for column in self.cells.values()]
        return list(
            map(
                Row,
                self.numbers[places].tolist(),
                self.ids.gather(places).to_list(),
                self.splits.at(places),
                self._files(places),
                self.captions.at(places),
                self.labels.at(places),
                zip(*columns, strict=True) if columns else [()] * count,
                zip(*cells, strict=True) if cells else [()] * count,
                _texts(self.groups, places),
            )
        )

    def _files(self, places: Places) -> list[dict[str, str]]:
        """The files of some samples, by modality."""
        found: list[dict[str, str]] = [{} for _ in places]
        for key, column in self.files.items():
            for files, name in zip(found, column.gather(places).to_list(), strict=True):
                if name:
                    files[key] = name
        return found

    def row(self, place: int) -> Row:
        """One row, faster than `rows`: training asks for them in any order."""
        named = ((key, column.item(place)) for key, column in self.files.items())
        return Row(
            self.numbers.item(place),
            self.ids.item(place),
            self.splits.values[self.splits.places.item(place)],
            {key: name for key, name in named if name},
            self.captions.one(place),
            self.labels.values[self.labels.places.item(place)],
            tuple(column.item(place) for column in self.targets),
            tuple(column.item(place) for column in self.cells.values()),
            None if self.groups is None else self.groups.item(place),
        )

    def survey(self, places: Places, path: Callable[[str], str]) -> Survey:
        """What is known of some samples; `path` makes the absolute path of a file's name."""
        labels = np.bincount(self.labels.places[places], minlength=len(self.labels.values))
        told = zip(self.labels.values, labels.tolist(), strict=True)
        columns = [column[places] for column in self.targets]
        has_file = np.zeros(len(places), bool)
        for sizes in self.sizes.values():
            has_file |= sizes[places] >= 0
        return Survey(
            ids=self.ids.gather(places),
            labels={value: count for value, count in told if count},
            modalities=self._combinations(places),
            targets=np.column_stack(columns).ravel() if columns else (),
            groups=_texts(self.groups, places),
            sources={
                key: (self._paths(names.gather(places), path), self.sizes[key][places])
                for key, names in self.files.items()
            },
            texts=self._alone(places, has_file),
        )

    def _paths(self, names: pl.Series, path: Callable[[str], str]) -> Iterator[str | None]:
        return (None if name is None else path(name) for name in names)

    def _combinations(self, places: Places) -> Counter[tuple[str, ...]]:
        """How many of some samples have exactly these modalities, in the order of an outline."""
        has = {key: names.is_not_null().to_numpy()[places] for key, names in self.files.items()}
        has["text"] = np.diff(self.captions.starts)[places] > 0
        has["tabular"] = np.zeros(len(places), bool)
        for column in self.cells.values():
            has["tabular"] |= column.is_not_null().to_numpy()[places]
        codes = np.zeros(len(places), np.int64)
        for bit, found in enumerate(has.values()):
            codes |= found.astype(np.int64) << bit
        counts = enumerate(np.bincount(codes).tolist())
        return Counter(
            {
                tuple(key for bit, key in enumerate(has) if code >> bit & 1): count
                for code, count in counts
                if count
            }
        )

    def _alone(
        self, places: Places, has_file: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[object, ...] | None]:
        """Captions and cells of samples that have text and no file; None for the others."""
        for start in range(0, len(places), HASHED):
            part = slice(start, start + HASHED)
            if has_file[part].all():
                yield from repeat(None, int(has_file[part].size))
                continue
            for row in self.rows(places[part]):
                yield (row.captions, row.cells) if row.captions and not row.files else None

    def revision(self, stamps: Sequence[Stamps], names: Sequence[object]) -> str:
        """A hash of what the options made of the index, all splits, and of stamps of its files.

        It is over JSON: the names, then of each sample its values (targets, video and cells are
        left out where nothing follows them, for a spec may name them only since) and its stamps.
        """
        content = hashlib.sha256(json.dumps(names).encode())
        for start in range(0, len(self.ids), HASHED):
            part = slice(start, start + HASHED)
            texts = self._as_json(part, [_stamp_texts(stamp[part]) for stamp in stamps])
            content.update("".join(texts).encode())
        return f"manifest-{content.hexdigest()[:16]}"

    def _as_json(self, part: slice, stamps: Sequence[pl.Series]) -> pl.Series:
        """What is hashed of some samples, as `json.dumps` would write it."""
        numbers = pl.Series(self.numbers[part])
        none = pl.Series(["null"]).new_from_index(0, len(numbers))
        image, audio = (
            none if column is None else _quoted(column[part])
            for column in (self.files.get("image"), self.files.get("audio"))
        )
        ids, captions = _quoted(self.ids[part]), self.captions.as_json(part)
        # As long as no row said none of several, [] stood for labels that are unknown.
        told: list[object] = ["none" if own == () else own or [] for own in self.labels.values]
        splits = _mapped(self.splits.values, self.splits, part)
        labels = _mapped(told, self.labels, part)
        texts = numbers.cast(pl.String), ids, splits, image, audio, captions, labels
        values = _concat(", ", *texts)
        inner = _concat("", values, *self._tail(part, len(numbers)))
        return "[[" + _concat(", ", inner + "]", *stamps) + "]"

    def _tail(self, part: slice, count: int) -> list[pl.Series]:
        """Of each sample targets, video and cells as JSON, up to the last that it has."""
        told = (_numbers_as_json(pl.Series(column[part])) for column in self.targets)
        targets = ", " + _listed([*told], count)
        video = self.files.get("video")
        videos = None if video is None else ", " + _quoted(video[part])
        if self.cells:
            none = pl.Series([", null"]).new_from_index(0, count)
            pairs = [_pairs(name, column[part]) for name, column in self.cells.items()]
            return [targets, none if videos is None else videos, ", " + _listed(pairs, count)]
        if video is None or videos is None:
            return [targets] if self.targets else []
        alone = targets if self.targets else pl.Series([""]).new_from_index(0, count)
        both = _concat("", targets, videos)
        return [both.zip_with(video[part].is_not_null(), alone)]


def _listed(columns: Sequence[pl.Series], count: int) -> pl.Series:
    """The values of several columns as one list of JSON each."""
    if not columns:
        return pl.Series(["[]"]).new_from_index(0, count)
    return "[" + _concat(", ", *columns) + "]"


def _pairs(name: str, column: pl.Series) -> pl.Series:
    """The cells of a column with its name, as JSON."""
    texts = _quoted(column) if column.dtype == pl.String else _numbers_as_json(column)
    return f"[{json.dumps(name)}, " + texts + "]"


def _numbers_as_json(column: pl.Series) -> pl.Series:
    """Numbers as JSON writes them, each once: by its bits, for 0.0 and -0.0 are two."""
    bits = column.fill_null(0.0).to_numpy().view(np.int64)
    values, places = np.unique(bits, return_inverse=True)
    texts = pl.Series([json.dumps(value) for value in values.view(np.float64).tolist()])
    found = texts.gather(places)
    empty = column.is_null().arg_true()
    return found if empty.is_empty() else found.scatter(empty, "null")


def _concat(between: str, *columns: pl.Series) -> pl.Series:
    """The texts of several columns as one."""
    named = {str(place): column for place, column in enumerate(columns)}
    return pl.DataFrame(named).select(pl.concat_str(pl.all(), separator=between)).to_series()


def _stamp_texts(stamps: Stamps) -> pl.Series:
    if isinstance(stamps, np.ndarray):
        return pl.Series(stamps).cast(pl.String)
    return _quoted(pl.Series(stamps, dtype=pl.String))


def _texts(column: pl.Series | None, places: Places) -> list[str | None]:
    return [None] * len(places) if column is None else column.gather(places).to_list()


def _mapped(values: Sequence[object], column: Distinct[T], part: slice) -> pl.Series:
    """What is told of the distinct values of a column, as JSON, for some samples."""
    texts = pl.Series([json.dumps(value) for value in values], dtype=pl.String)
    return texts.gather(column.places[part])


def _quoted(column: pl.Series) -> pl.Series:
    """Texts as JSON writes them, one after the other only where something is escaped."""
    made = '"' + column + '"'
    escaped = column.str.contains(_ESCAPED).arg_true()
    if not escaped.is_empty():
        made = made.scatter(escaped, [json.dumps(text) for text in column.gather(escaped)])
    return made.fill_null("null")
