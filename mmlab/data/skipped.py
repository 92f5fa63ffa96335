"""Samples that cannot be read: found before anything is batched, left out, and recorded.

A dataset that may not leave out any is given as it is, and a bad sample raises where it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from mmlab.errors import DataError, explain, message_of
from mmlab.plugin import Dataset, Outlined, Proposing, Sample, Sectioned, Split, Traced
from mmlab.records import SkippedSample

#: What reading a sample raises when its file is missing or broken. Pillow has two words for it.
READ_ERRORS = (DataError, OSError, ValueError, SyntaxError)


class SampleSubset:
    """Some samples of a dataset, in their order, with a revision of its own.

    Everything else a dataset tells of itself is the dataset's, but for the name of a published test
    set: these are not exactly its samples.
    """

    def __init__(self, dataset: Dataset, positions: Sequence[int], revision: str) -> None:
        self._dataset = dataset
        self._positions = positions
        self.modalities = dataset.modalities
        self.labels = dataset.labels
        self.templates = dataset.templates
        self.is_multi_label = dataset.is_multi_label
        self.revision = revision
        # Set only where the dataset has them: whether it does is what these protocols ask.
        if isinstance(dataset, Outlined):
            outline = dataset.outline
            self.outline = lambda index: outline(self._positions[index])
        if isinstance(dataset, Sectioned):
            places = {position: place for place, position in enumerate(positions)}
            self.sections = {
                name: [places[position] for position in section if position in places]
                for name, section in dataset.sections.items()
            }
        if isinstance(dataset, Traced):
            trace, open_source = dataset.trace, dataset.open_source
            self.trace = lambda index: trace(positions[index])
            self.open_source = lambda index, modality: open_source(positions[index], modality)
        if isinstance(dataset, Proposing):
            proposals = dataset.proposals
            self.proposals = lambda index: proposals(positions[index])
        for name in ("target_names", "prompt_names", "notes", "has_boxes"):
            if hasattr(dataset, name):
                setattr(self, name, getattr(dataset, name))

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._dataset[self._positions[index]]


def without_unreadable(
    dataset: Dataset, split: Split, max_skipped: float, name: str
) -> tuple[Dataset, list[SkippedSample]]:
    """The dataset without what cannot be read, and what that is. Reads every sample once.

    Raises DataError where it is more than a share `max_skipped` of the split.
    """
    found = []
    for position in range(len(dataset)):
        try:
            dataset[position]
        except READ_ERRORS as error:
            reason = " ".join(message_of(error).split()) or type(error).__name__
            sample = _id_of(dataset, position)
            found.append(SkippedSample(dataset.revision, split, position, sample, reason))
    if not found:
        return dataset, []
    if len(found) > max_skipped * len(dataset):
        raise _too_many(name, split, found, len(dataset), max_skipped)
    left_out = {skipped.position for skipped in found}
    positions = [position for position in range(len(dataset)) if position not in left_out]
    revision = _revision(dataset.revision, sorted(left_out))
    readable = SampleSubset(dataset, positions, revision)
    return readable, [replace(skipped, dataset_revision=revision) for skipped in found]


def _id_of(dataset: Dataset, position: int) -> str:
    with suppress(*READ_ERRORS):  # what is wrong may be what an outline says
        if isinstance(dataset, Outlined):
            return dataset.outline(position).id
    return f"position {position}"


def _revision(revision: str, left_out: Sequence[int]) -> str:
    content = json.dumps([revision, list(left_out)]).encode()
    return f"readable-{hashlib.sha256(content).hexdigest()}"


def _too_many(
    name: str, split: Split, found: Sequence[SkippedSample], count: int, max_skipped: float
) -> DataError:
    first = found[0]
    return DataError(
        explain(
            f"dataset {name!r}",
            f"more of the {split} split cannot be read than may be left out",
            found=f"{len(found)} of {count} samples; the first is {first.sample!r}: "
            + first.reason.partition(" found: ")[0],
            allowed=_at_most(int(max_skipped * count), max_skipped, count),
            next_step="mend the files, or raise max_skipped of this dataset",
        )
    )


def _at_most(number: int, max_skipped: float, count: int) -> str:
    """How many may be left out, and why so many.

    >>> _at_most(0, 0.001, 16)
    'none: max_skipped = 0.001 of 16 samples is less than one'
    """
    share = f"max_skipped = {max_skipped:g} of {count} samples"
    if number == 0:
        return f"none: {share} is less than one"
    return f"at most {number}: {share}"


def describe_skipped(number: int, split: str) -> str:
    """What is said where samples are left out.

    >>> describe_skipped(1, "train")
    'left out 1 sample of the train split that cannot be read; the table skipped_samples says why'
    """
    samples = "1 sample" if number == 1 else f"{number} samples"
    return (
        f"left out {samples} of the {split} split that cannot be read; "
        "the table skipped_samples says why"
    )
