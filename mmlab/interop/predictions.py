"""Predictions of somebody else's model: the scores in a file, matched with samples and labels.

Everything that cannot be matched is refused with file, row and column: unknown or missing ids and
labels, anything that is there twice, and what is no finite number.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmlab.errors import DataError, UsageError, explain
from mmlab.files import file_sha256, open_file
from mmlab.interop.faults import SHOWN, Faults
from mmlab.interop.prediction_arrays import read_npz
from mmlab.interop.prediction_blocks import SAMPLE, Block, unusable
from mmlab.interop.prediction_tables import read_csv, read_parquet
from mmlab.records import Doubles, Ints, Predictions

_Integers = npt.NDArray[np.int64]
_Rows = npt.NDArray[np.uint32]
_Bools = npt.NDArray[np.bool_]
#: What the database and most models hold: float32.
_LARGEST = float(np.finfo(np.float32).max)
_Fault = Callable[[int], DataError]


@dataclass(frozen=True)
class Expected:
    """What a file must speak of: the split's ids in order, which of them count, and all labels."""

    split: str
    ids: Sequence[str]
    takes_part: _Bools
    labels: Sequence[str]


def content_of(found: Predictions) -> str:
    """Identity of predictions, whatever file they are in: sha256 of the scores in float32."""
    content = hashlib.sha256(str(found.label.shape).encode())
    content.update(np.ascontiguousarray(found.label, "<i4").tobytes())
    content.update(np.ascontiguousarray(found.score, "<f4").tobytes())
    return content.hexdigest()


def read_predictions(path: Path, expected: Expected, top: int | None) -> Predictions:
    """The scores of every sample that counts: of all labels, or of the `top` first ones.

    Raises one DataError with the faults of the first rows that have any, or of the whole.
    """
    if top is not None and top > len(expected.labels):
        raise UsageError(
            explain(
                "--top",
                "there are fewer labels",
                found=top,
                allowed=f"at most {len(expected.labels)}, as many as the dataset has labels",
                next_step="leave out --top where the file has all labels",
            )
        )
    collector = _Collector(path, expected, top)
    for block in _read_blocks(path):
        collector.add(block)
    return collector.finish()


def _read_blocks(path: Path) -> Iterator[Block]:
    """The rows of a file, by its ending. Raises DataError for what is no such file."""
    readers = {".csv": read_csv, ".parquet": read_parquet, ".npz": read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        endings = ", ".join(readers)
        raise unusable(str(path), "its ending names no form", path.suffix or "none", endings)
    try:
        open_file(path).close()
        yield from reader(path)
    except OSError as error:
        raise unusable(str(path), "it cannot be read", error.strerror or error) from error


@dataclass
class _Collector:
    """Entries (sample, label, score, row) of the blocks of a file, as numbers."""

    path: Path
    expected: Expected
    top: int | None
    samples: Mapping[str, int] = field(init=False)
    labels: Mapping[str, int] = field(init=False)
    entries: list[tuple[Ints, Ints, Doubles, _Rows]] = field(default_factory=list)
    has_header: bool = False

    def __post_init__(self) -> None:
        self.samples = {name: number for number, name in enumerate(self.expected.ids)}
        self.labels = {name: number for number, name in enumerate(self.expected.labels)}

    def add(self, block: Block) -> None:
        """Match the rows of a block. Raises DataError with what is wrong in it."""
        faults = Faults()
        samples = self._match_samples(block, faults)
        labels = self._match_labels(block, faults)
        self._check_scores(block, faults)
        faults.raise_all()
        kept = block.is_given
        rows = np.arange(block.first, block.first + len(samples), dtype=np.uint32)
        self.entries.append(
            (
                np.broadcast_to(samples[:, None], kept.shape)[kept].astype(np.int32),
                np.broadcast_to(labels, kept.shape)[kept].astype(np.int32),
                block.scores[kept],
                np.broadcast_to(rows[:, None], kept.shape)[kept],
            )
        )

    def _match_samples(self, block: Block, faults: Faults) -> _Integers:
        found = [
            self.samples.get(name, -1) if isinstance(name, str) else -1 for name in block.samples
        ]
        numbers = np.array(found, np.int64)
        split = self.expected.split

        def fault(row: int) -> DataError:
            name, place = block.samples[row], f"{block.place(self.path, row)}, column {SAMPLE!r}"
            if name is None or name == "":
                return unusable(place, "the sample's id is missing", "nothing", "an id")
            told = f"an id of one of the {len(self.samples):,} samples of the {split} split"
            return unusable(place, "no sample has this id", ascii(name), told)

        self._tell(np.flatnonzero(numbers < 0), fault, faults)
        return numbers

    def _match_labels(self, block: Block, faults: Faults) -> _Integers:
        """Label ids of the scores, (w,) or (m, w)."""
        if isinstance(block.labels, np.ndarray):
            names = block.labels.ravel().tolist()
            flat = [self.labels.get(name, -1) for name in names]
            numbers = np.array(flat, np.int64).reshape(block.labels.shape)
            width = block.scores.shape[1]

            def fault(entry: int) -> DataError:
                row, column = divmod(entry, width)
                place = f"{block.place(self.path, row)}, "
                place += "column 'label'" if block.is_long else f"label {column + 1}"
                return self._unknown_label(place, names[entry])

            self._tell(np.flatnonzero(numbers.ravel() < 0), fault, faults)
            return numbers
        if not self.has_header:
            self._check_header(block.labels, faults)
            self.has_header = True
        return np.array([self.labels[name] for name in block.labels], np.int64)

    def _check_header(self, names: Sequence[str], faults: Faults) -> None:
        """Raise for columns that are no labels, and unless `top` is set for labels without one."""
        place = f"{self.path}: header"
        for name in names:
            if name not in self.labels:
                faults.add(self._unknown_label(place, name))
        for name in [name for name, count in Counter(names).items() if count > 1]:
            faults.add(unusable(place, f"the label {name!r} is there twice", len(names), "once"))
        missing = [name for name in self.labels if name not in set(names)]
        if missing and self.top is None:
            faults.add(self._few_labels(place, f"{len(names):,} labels", missing[0]))
        faults.raise_all()

    def _unknown_label(self, place: str, name: object) -> DataError:
        if name is None or name == "":
            return unusable(place, "the label is missing", "nothing", "a label of the dataset")
        listed = ", ".join(map(repr, self.expected.labels[:8]))
        more = ", ..." if len(self.labels) > 8 else ""
        allowed = f"one of the dataset's {len(self.labels):,} labels: {listed}{more}"
        return unusable(place, "the dataset has no such label", ascii(name), allowed)

    def _few_labels(self, place: str, found: str, missing: str) -> DataError:
        count = len(self.labels)
        allowed = f"all {count:,} labels; of the first K of each sample, say --top K"
        return unusable(place, f"the label {missing!r} has no score", found, allowed)

    def _check_scores(self, block: Block, faults: Faults) -> None:
        width = block.scores.shape[1]
        finite = np.abs(block.scores) <= _LARGEST
        is_lacking = ~block.is_given & (block.is_long or self.top is None)

        def fault(entry: int) -> DataError:
            row, column = divmod(entry, width)
            place = block.place(self.path, row, column)
            if not block.is_given[row, column]:
                return unusable(place, "the score is missing", "nothing", "a finite number")
            found = block.scores[row, column]
            return unusable(place, "the score is not finite", found, "a finite float32 number")

        wrong = (block.is_given & ~finite) | is_lacking
        self._tell(np.flatnonzero(wrong.ravel()), fault, faults)

    def _tell(self, where: _Integers, fault: _Fault, faults: Faults) -> None:
        for entry in where[:SHOWN].tolist():
            faults.add(fault(entry))
        if len(where) > SHOWN:
            faults.add(DataError(f"{self.path}: and {len(where) - SHOWN:,} more of this kind"))

    def finish(self) -> Predictions:
        """All entries, by sample. Raises DataError for what is there twice, or not at all."""
        if not self.entries:
            raise unusable(str(self.path), "it is empty", "no row")
        sample, label, score, row = self._columns()
        key = sample.astype(np.int64) * len(self.labels) + label
        if not (key[1:] > key[:-1]).all():
            order = np.argsort(key, kind="stable")
            sample, label, row, key = sample[order], label[order], row[order], key[order]
            score = score[order]
        faults = Faults()
        self._check_repeated(sample, label, row, key, faults)
        faults.raise_all()
        counts = np.bincount(sample, minlength=len(self.samples))
        self._check_counts(sample, label, counts, faults)
        faults.raise_all()
        counted = self.expected.takes_part[sample]
        depth = self.top or len(self.labels)
        return Predictions(
            label=label[counted].reshape(-1, depth),
            score=score[counted].reshape(-1, depth),
            unused=int((counts[~self.expected.takes_part] > 0).sum()),
            file=self.path.name,
            sha256=file_sha256(self.path),
        )

    def _columns(self) -> tuple[Ints, Ints, Doubles, _Rows]:
        """The entries as columns."""
        samples, labels, scores, rows = (list(parts) for parts in zip(*self.entries, strict=True))
        self.entries.clear()
        return (
            np.concatenate(samples),
            np.concatenate(labels),
            np.concatenate(scores),
            np.concatenate(rows),
        )

    def _check_repeated(
        self, sample: Ints, label: Ints, row: _Rows, key: _Integers, faults: Faults
    ) -> None:
        """Of each sample that is there twice, the first label that is."""
        again = np.flatnonzero(key[1:] == key[:-1]) + 1
        _, firsts = np.unique(sample[again], return_index=True)

        def fault(entry: int) -> DataError:
            named = self.expected.ids[sample[entry]], self.expected.labels[label[entry]]
            place = f"{self.path}: row {row[entry]}"
            return unusable(
                place,
                f"sample {named[0]!r} has a score of label {named[1]!r} already",
                f"one in row {row[entry - 1]} too",
                "one score of each label for each sample",
            )

        self._tell(again[firsts], fault, faults)

    def _check_counts(self, sample: Ints, label: Ints, counts: _Integers, faults: Faults) -> None:
        is_missing = self.expected.takes_part & (counts == 0)
        if is_missing.any():
            faults.add(self._missing_samples(np.flatnonzero(is_missing)))
        depth = self.top or len(self.labels)
        wrong = self.expected.takes_part & (counts > 0) & (counts != depth)

        def fault(number: int) -> DataError:
            place = f"{self.path}: sample {self.expected.ids[number]!r}"
            found = f"{counts[number]:,} labels"
            if self.top is not None:
                return unusable(place, "it has not as many labels as --top says", found, f"{depth}")
            own = set(label[sample == number].tolist())
            missing = next(name for name, its in self.labels.items() if its not in own)
            return self._few_labels(place, found, missing)

        self._tell(np.flatnonzero(wrong), fault, faults)

    def _missing_samples(self, numbers: Iterable[int]) -> DataError:
        missing = [self.expected.ids[number] for number in numbers]
        listed = ", ".join(map(repr, missing[:8])) + (", ..." if len(missing) > 8 else "")
        needed = f"{int(self.expected.takes_part.sum()):,}"
        return unusable(
            f"{self.path}",
            f"{len(missing):,} samples of the {self.expected.split} split have no scores",
            f"no row of {listed}",
            f"all {needed} samples that count: a mean over some of them compares with nothing",
        )
