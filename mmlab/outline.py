"""What is known of every sample of a split without its files, read once for all cells.

Counting labels, learning a vocabulary and scoring cached features need ids, labels and texts alone;
decoding every picture for each of them would cost an epoch each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mmlab.plugin import Dataset, Outlined, Sample
from mmlab.samples import captions_of, check_sample, target_names


@dataclass(frozen=True)
class Outline:
    """Every sample of a split in order; a value that was not read is None, a missing one no key."""

    samples: Sequence[Sample]

    def label_counts(self, label_count: int) -> tuple[int, ...]:
        """How many samples have each label."""
        counts = [0] * label_count
        for sample in self.samples:
            for label in sample.labels:
                counts[label] += 1
        return tuple(counts)


def read_outline(dataset: Dataset) -> Outline:
    """The outline of a split: from the dataset where it gives one, else by reading every sample.

    Raises DataError where a sample is not what `check_sample` asks for.
    """
    give = dataset.outline if isinstance(dataset, Outlined) else _reader_of(dataset)
    samples = []
    for index in range(len(dataset)):
        sample = give(index)
        check_sample(sample, len(dataset.labels), len(target_names(dataset)))
        samples.append(sample)
    return Outline(samples)


def raw_values(outline: Outline, dataset: Dataset, modality: str) -> Iterator[object]:
    """Every raw value of one modality, each caption of a sample on its own."""
    for index, sample in enumerate(outline.samples):
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
