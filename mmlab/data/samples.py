"""What is known of every sample of a split: ids, labels, targets and texts, checked and read once.

Counting labels, learning a vocabulary and scoring cached features need no files; decoding every
picture for each of them would cost an epoch each time. Texts are checked before a database refuses
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from mmlab.errors import DataError, check_text, explain, harmless
from mmlab.plugin import Dataset, Noted, Outlined, Prompted, Sample, Targeted


def target_names(dataset: Dataset) -> tuple[str, ...]:
    """The names of a dataset's targets; none for a dataset that says nothing of any."""
    return dataset.target_names if isinstance(dataset, Targeted) else ()


def prompt_names(dataset: Dataset) -> tuple[str, ...]:
    """What prompts call each label: its name, unless the dataset says otherwise."""
    return dataset.prompt_names if isinstance(dataset, Prompted) else dataset.labels


def known_labels(sample: Sample, *, is_multi_label: bool) -> tuple[int, ...] | None:
    """The sample's label ids; () where none of several is true, None where they are unknown."""
    return sample.labels if sample.labels or is_multi_label else None


def new_notes(dataset: Dataset, told: set[str]) -> list[str]:
    """What a dataset tells of its reading that is not among what was told, and is from now on."""
    notes = dataset.notes if isinstance(dataset, Noted) else ()
    lines = dict.fromkeys(harmless(note, keep="") for note in notes)
    new = [line for line in lines if line not in told]
    told.update(new)
    return new


def captions_of(raw: object) -> tuple[object, ...]:
    """Every caption of a text value that is several; any other raw value alone."""
    is_several = isinstance(raw, tuple) and bool(raw) and isinstance(raw[0], str)
    return cast(tuple[object, ...], raw) if is_several else (raw,)


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


def check_sample(sample: Sample, label_count: int, target_count: int = 0) -> None:
    """Raise DataError where an id or a caption cannot be stored, or a truth makes no sense.

    A label id needs a label; targets are as many as the dataset names, finite, or NaN for unknown.
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
    give = dataset.outline if isinstance(dataset, Outlined) else _reader_of(dataset)
    samples = []
    for index in range(len(dataset)):
        sample = give(index)
        check_sample(sample, len(dataset.labels), len(target_names(dataset)))
        samples.append(sample)
    return SampleIndex(samples)


def raw_values(samples: SampleIndex, dataset: Dataset, modality: str) -> Iterator[object]:
    """Every raw value of one modality, each caption of a sample on its own."""
    for index, sample in enumerate(samples.samples):
        if modality not in sample.values:
            continue
        known = sample.values[modality]
        yield from captions_of(dataset[index].values[modality] if known is None else known)


def _reader_of(dataset: Dataset) -> Callable[[int], Sample]:
    def read(index: int) -> Sample:
        sample = dataset[index]
        texts = {key: raw if _is_text(raw) else None for key, raw in sample.values.items()}
        return replace(sample, values=texts)

    return read


def _is_text(raw: object) -> bool:
    return all(isinstance(each, str) for each in captions_of(raw))
