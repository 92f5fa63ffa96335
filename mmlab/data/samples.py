"""What is known of every sample of a split: ids, labels, targets and texts, checked and read once.

Counting labels, learning a vocabulary and scoring cached features need no files; decoding every
picture for each of them would cost an epoch each time. Texts are checked before a database refuses
them.
"""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from mmlab.errors import DataError, check_text, explain, harmless, shortened
from mmlab.plan.component import Resolved
from mmlab.plugin import (
    Boxed,
    Dataset,
    Noted,
    Origin,
    Outlined,
    Prompted,
    ReadTogether,
    Sample,
    Split,
    Survey,
    Surveyed,
    Targeted,
    Traced,
)


def target_names(dataset: Dataset) -> tuple[str, ...]:
    """The names of a dataset's targets; none for a dataset that says nothing of any."""
    return dataset.target_names if isinstance(dataset, Targeted) else ()


def has_boxes(dataset: Dataset) -> bool:
    """Whether samples of a dataset may say where things are in their pictures."""
    return isinstance(dataset, Boxed) and dataset.has_boxes


def prompt_names(dataset: Dataset) -> tuple[str, ...]:
    """What prompts call each label: its name, unless the dataset says otherwise."""
    return dataset.prompt_names if isinstance(dataset, Prompted) else dataset.labels


def known_labels(sample: Sample, *, is_multi_label: bool) -> tuple[int, ...] | None:
    """The sample's label ids; () where none of several is true, None where they are unknown."""
    return sample.labels if sample.labels or is_multi_label else None


def new_notes(dataset: Dataset, told: set[str], more: Sequence[str] = ()) -> list[str]:
    """What a dataset tells of its reading, and `more`, that was not told, and is from now on."""
    notes = dataset.notes if isinstance(dataset, Noted) else ()
    lines = dict.fromkeys(shortened(harmless(note, keep="")) for note in (*notes, *more))
    new = [line for line in lines if line not in told]
    told.update(new)
    return new


def captions_of(raw: object) -> tuple[object, ...]:
    """Every caption of a text value that is several; any other raw value alone."""
    is_several = isinstance(raw, tuple) and bool(raw) and isinstance(raw[0], str)
    return cast(tuple[object, ...], raw) if is_several else (raw,)


def open_split(resolved: Resolved, split: Split, others: Iterable[Dataset] = ()) -> Dataset:
    """A split of a dataset component: of what another one has read where that has read them all.

    Raises DataError where it cannot be opened, or has labels that no database holds.
    """
    for other in others:
        if isinstance(other, ReadTogether):
            return other.sibling(split)
    dataset = cast(Dataset, resolved.make(split=split))
    check_labels(f"dataset {resolved.entry.name!r}", dataset)
    return dataset


def check_labels(place: str, dataset: Dataset) -> None:
    """Raise DataError at the first label that not every database can hold exactly.

    Also where prompts have other names, and these are not as many.
    """
    for number, label in enumerate(dataset.labels):
        check_text(f"{place}, label {number}", label)
    names, count = prompt_names(dataset), len(dataset.labels)
    if len(names) != count:
        raise DataError(
            explain(
                place,
                "does not name every label for prompts",
                found=f"{len(names)} prompt_names",
                allowed=f"{count}: one for each label",
                next_step="correct the dataset's prompt_names",
            )
        )


def alike_labels(labels: Sequence[str]) -> list[list[str]]:
    """Labels that differ in case or blanks alone, or in forms of one character, in groups.

    >>> alike_labels(["Hot dog", "cat", "hotdog ", "cats"])
    [['Hot dog', 'hotdog ']]
    """
    alike: dict[str, list[str]] = {}
    for label in labels:
        plain = unicodedata.normalize("NFKC", label).casefold()
        alike.setdefault("".join(plain.split()), []).append(label)
    return [group for group in alike.values() if len(group) > 1]


def check_sample(sample: Sample, label_count: int, target_count: int = 0) -> None:
    """Raise DataError where an id or a caption cannot be stored, or a truth makes no sense.

    A label id needs a label; targets are as many as the dataset names, finite, or NaN for unknown;
    a box is one, as far as can be told without its picture.
    """
    place = f"dataset: sample {sample.id!r}"
    check_text(f"{place}, id", sample.id)
    for modality, raw in sample.values.items():
        for caption in raw if isinstance(raw, tuple) else (raw,):
            if isinstance(caption, str):
                check_text(f"{place}, {modality}", caption)
    wrong = [label for label in sample.labels or () if not 0 <= label < label_count]
    if wrong:
        raise _no_such_label(place, wrong[0], label_count)
    if len(sample.targets) != target_count or any(map(math.isinf, sample.targets)):
        raise _wrong_targets(place, sample.targets, target_count)
    if sample.boxes is not None:
        sample.boxes.check(place, label_count)


def _no_such_label(place: str, label: int, label_count: int) -> DataError:
    return DataError(
        explain(
            place,
            "a label id has no label",
            found=f"label id {label}",
            allowed=f"0 to {label_count - 1}" if label_count else "none: the dataset has no labels",
            next_step="correct the dataset's labels or this sample's",
        )
    )


def _wrong_targets(place: str, targets: tuple[float, ...], target_count: int) -> DataError:
    return DataError(
        explain(
            place,
            "its targets are not those that the dataset names",
            found=", ".join(map(repr, targets[:5])) or "no target",
            allowed=f"{target_count} finite numbers, NaN where one is unknown",
            next_step="correct the dataset's target_names or this sample's targets",
        )
    )


@dataclass(frozen=True)
class SampleIndex:
    """Every sample of a split in order; a value that was not read is None, a missing one no key."""

    samples: Sequence[Sample]

    def label_counts(self, label_count: int) -> tuple[int, ...]:
        """How many samples have each label."""
        counts = [0] * label_count
        for sample in self.samples:
            for label in sample.labels or ():
                counts[label] += 1
        return tuple(counts)


def read_outline(dataset: Dataset) -> SampleIndex:
    """The outline of a split: from the dataset where it gives one, else by reading every sample.

    Raises DataError where a sample is not what `check_sample` asks for.
    """
    give = dataset.outline if isinstance(dataset, Outlined) else reader_of(dataset)
    samples = []
    for index in range(len(dataset)):
        sample = give(index)
        check_sample(sample, len(dataset.labels), len(target_names(dataset)))
        samples.append(sample)
    return SampleIndex(samples)


def groups_of(dataset: Dataset, indexes: Sequence[int]) -> list[str | None] | None:
    """The groups (one person, say) of samples at `indexes`; None where the dataset knows none."""
    if isinstance(dataset, Surveyed):
        every = list(dataset.survey().groups)
        found = [every[index] for index in indexes]
    elif isinstance(dataset, Traced):
        found = [dataset.trace(index).group for index in indexes]
    else:
        return None
    return found if any(group is not None for group in found) else None


@dataclass(frozen=True)
class NamedSplit:
    """A split that is compared with others. `look` gives a sample without its large values.

    Splits of one `family` are of one dataset: their ids, groups and labels mean the same.
    """

    name: str
    family: str
    dataset: Dataset
    look: Callable[[int], Sample] | None = None

    @classmethod
    def of(
        cls, name: str, family: str, dataset: Dataset, index: SampleIndex | None = None
    ) -> NamedSplit:
        """A split by what is known of its samples, or else by its own outline if it gives one."""
        look = dataset.outline if isinstance(dataset, Outlined) else None
        return cls(name, family, dataset, look if index is None else index.samples.__getitem__)


@dataclass
class Traces:
    """What is compared of one split, as numbers: a sample's row, or a file's entry, has one each.

    `names`, `texts`, `ids` and `groups` are hashes of this process, 0 where there is none.
    """

    part: NamedSplit
    ids: array[int] = field(default_factory=lambda: array("q"))
    texts: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    labels: Counter[int] = field(default_factory=Counter)
    labelled: int = 0
    modality_sets: Counter[tuple[str, ...]] = field(default_factory=Counter)
    targets: array[float] = field(default_factory=lambda: array("d"))
    names: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    rows: array[int] = field(default_factory=lambda: array("q"))
    modalities: list[str] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("B"))

    @classmethod
    def read(cls, part: NamedSplit) -> Traces:
        """The traces of a split; every sample is asked once, or all at once; no file is read."""
        if isinstance(part.dataset, Surveyed):
            return cls._of_survey(part, part.dataset.survey())
        traces, look = cls(part), part.look
        traced = part.dataset if isinstance(part.dataset, Traced) else None
        is_multi_label = part.dataset.is_multi_label
        for row in range(len(part.dataset)):
            if look is not None:
                traces.add_sample(look(row), is_multi_label=is_multi_label)
            if traced is not None:
                traces.add_origin(row, traced.trace(row))
        return traces

    @classmethod
    def _of_survey(cls, part: NamedSplit, survey: Survey) -> Traces:
        traces, is_multi_label = cls(part), part.dataset.is_multi_label
        for labels, count in survey.labels.items():
            traces.labelled += count * (labels is not None and (bool(labels) or is_multi_label))
            traces.labels.update(dict.fromkeys(labels or (), count))
        traces.modality_sets.update(survey.modalities)
        traces.ids = array("q", map(hash, survey.ids))
        traces.targets = array("d", survey.targets)
        traces.groups = array("q", map(_hash, survey.groups))
        traces.texts = array("q", map(_hash, survey.texts))
        for modality, (names, sizes) in survey.sources.items():
            hashes, size = np.fromiter(map(_hash, names), np.int64), np.fromiter(sizes, np.int64)
            rows = np.flatnonzero(hashes)
            traces.names.frombytes(hashes[rows].tobytes())
            traces.sizes.frombytes(size[rows].tobytes())
            traces.rows.frombytes(rows.astype(np.int64).tobytes())
            traces.places.extend([len(traces.modalities)] * len(rows))
            traces.modalities.append(modality)
        return traces

    def add_sample(self, sample: Sample, *, is_multi_label: bool) -> None:
        """Take in what an outline says: id, labels, targets, and texts where it has no files."""
        self.ids.append(hash(sample.id))
        known = known_labels(sample, is_multi_label=is_multi_label)
        if known is not None:
            self.labelled += 1
            for label in known:
                self.labels[label] += 1
        self.targets.extend(sample.targets)
        values = sample.values
        self.modality_sets[tuple(values)] += 1
        is_text = "text" in values and None not in values.values()
        self.texts.append(hash(repr(sorted(values.items()))) if is_text else 0)

    def add_origin(self, row: int, origin: Origin) -> None:
        """Take in the files and the group of a sample."""
        self.groups.append(_hash(origin.group))
        for modality, source in origin.sources.items():
            if modality not in self.modalities:
                self.modalities.append(modality)
            self.names.append(hash(source.name))
            self.sizes.append(source.size_bytes)
            self.rows.append(row)
            self.places.append(self.modalities.index(modality))

    def _source(self, entry: int) -> tuple[Traced, int, str]:
        dataset = cast(Traced, self.part.dataset)  # nothing else has files
        return dataset, self.rows[entry], self.modalities[self.places[entry]]

    def name(self, entry: int) -> str:
        """A file's name."""
        dataset, row, modality = self._source(entry)
        return dataset.trace(row).sources[modality].name

    def open(self, entry: int) -> BinaryIO:
        """A file's bytes."""
        dataset, row, modality = self._source(entry)
        return dataset.open_source(row, modality)

    def group(self, row: int) -> str:
        """A sample's group, "" without one."""
        dataset = self.part.dataset
        assert isinstance(dataset, Traced), "nothing else has groups"
        return dataset.trace(row).group or ""

    def sample(self, row: int) -> Sample:
        """A sample without its large values."""
        assert self.part.look is not None, "only samples that were looked at have a row"
        return self.part.look(row)

    def column(self, name: str) -> npt.NDArray[np.int64]:
        """A column as an array, without a copy."""
        column: array[int] = getattr(self, name)
        return np.frombuffer(column, np.int64) if column else np.zeros(0, np.int64)


def _hash(value: Hashable | None) -> int:
    return 0 if value is None else hash(value)


def raw_values(samples: SampleIndex, dataset: Dataset, modality: str) -> Iterator[object]:
    """Every raw value of one modality, each caption of a sample on its own."""
    for index, sample in enumerate(samples.samples):
        if modality not in sample.values:
            continue
        known = sample.values[modality]
        yield from captions_of(dataset[index].values[modality] if known is None else known)


def reader_of(dataset: Dataset) -> Callable[[int], Sample]:
    """What gives the outline of a sample by reading it: its texts, and None for what is large."""

    def read(index: int) -> Sample:
        sample = dataset[index]
        texts = {key: raw if _is_text(raw) else None for key, raw in sample.values.items()}
        return replace(sample, values=texts)

    return read


def _is_text(raw: object) -> bool:
    return all(isinstance(each, str) for each in captions_of(raw))
