"""A mixture of datasets: several are trained on as one, in proportions that weights say."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, BinaryIO, cast

from pydantic import BaseModel, ConfigDict, Field

from mmlab.plugin import (
    Boxed,
    DataError,
    Dataset,
    Nested,
    NestedComponent,
    Noted,
    Origin,
    Outlined,
    Prompted,
    Sample,
    SpecError,
    Split,
    Targeted,
    Traced,
    explain,
)
from mmlab_datasets.texts import Template


class PartTable(BaseModel):
    """A table of `parts`: a dataset with its options, and what the mixture makes of it."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    use: Annotated[str, Field(min_length=1, description="name of an installed dataset")]
    name: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="of the part; default: `use`"),
    ] = None
    weight: Annotated[
        float | None, Field(gt=0, le=1e6, description="share of the training samples")
    ] = None


@dataclass(frozen=True)
class Part:
    """One split of a dataset that is mixed; label and target ids of its own become the mixture's.

    `places` are the numbers of the mixture's targets that its own are.
    """

    name: str
    dataset: Dataset
    labels: tuple[int, ...]
    places: tuple[int, ...]


class Mix:
    """Several datasets as one: samples with ids "PART/ID", labels of one name are one label.

    A sample that comes again within an epoch has the id "PART/ID#2" then, and so on.

    Without weights every sample is there once. With weights, which all parts then have, an epoch of
    training holds the parts in these proportions: it is as long as it takes for every sample of
    every part to come at least once, and the samples of the others come again, each equally often
    or once more than the others. Validation and test hold every sample once.

    Labels are in the order of the parts. A sample knows the targets of its part; the others are
    unknown. Modalities that a part lacks are missing from its samples. Evaluations ask of all
    samples, and of each part's alone, with the labels of all. Raises DataError where the parts
    contradict each other, and SpecError for names that repeat.
    """

    numerics = 1

    def __init__(
        self,
        split: Split,
        *,
        parts: Annotated[
            Sequence[PartTable],
            Nested("dataset"),
            Field(min_length=1, description="tables of a dataset each: use, its options, weight"),
        ],
        templates: Annotated[
            Annotated[Sequence[Template], Field(min_length=1)] | None,
            Field(description="prompts with one {} each; those of the parts, each once"),
        ] = None,
    ) -> None:
        given = cast(Sequence[NestedComponent], parts)
        names = _names(given)
        weights = _weights(given, names)
        made = {
            name: cast(Dataset, part.make(split=split))
            for name, part in zip(names, given, strict=True)
        }
        self.is_multi_label = _is_multi_label(made)
        self.labels = _joined(dataset.labels for dataset in made.values())
        self.target_names = _joined(_target_names(dataset) for dataset in made.values())
        self.modalities = _joined(dataset.modalities for dataset in made.values())
        own = _joined(dataset.templates for dataset in made.values())
        self.templates = own if templates is None else tuple(templates)
        self.has_boxes = any(isinstance(each, Boxed) and each.has_boxes for each in made.values())
        if any(isinstance(dataset, Prompted) for dataset in made.values()):
            self.prompt_names = _prompt_names(made, self.labels)
        self._parts = [self._part(name, dataset) for name, dataset in made.items()]
        sizes = [len(part.dataset) for part in self._parts]
        counts = _counts(sizes, weights) if split == "train" and weights else sizes
        self._ends = list(itertools.accumulate(counts))
        self.sections = _sections(names, counts) if len(names) > 1 else {}
        self.notes = (
            *(note for each in made.values() if isinstance(each, Noted) for note in each.notes),
            *(_told(names, sizes, counts) if counts != sizes else ()),
        )
        if all(isinstance(dataset, Outlined) for dataset in made.values()):
            self.outline = self._outline  # only then is nothing read: that is what it promises
        if any(isinstance(dataset, Traced) for dataset in made.values()):
            self.trace, self.open_source = self._trace, self._open_source
        revisions = [[name, dataset.revision] for name, dataset in made.items()]
        content = json.dumps([revisions, counts, self.labels, self.target_names])
        self.revision = f"mix-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of samples, those that come again counted again."""
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        """One sample of a part, with the mixture's ids."""
        part, position, again = self._place(index)
        return _renumbered(part, part.dataset[position], again, len(self.target_names))

    def _outline(self, index: int) -> Sample:
        part, position, again = self._place(index)
        sample = cast(Outlined, part.dataset).outline(position)
        return _renumbered(part, sample, again, len(self.target_names))

    def _trace(self, index: int) -> Origin:
        """What the part says, and nothing of a part that tells nothing; groups are of one part."""
        part, position, _ = self._place(index)
        if not isinstance(part.dataset, Traced):
            return Origin({})
        origin = part.dataset.trace(position)
        group = None if origin.group is None else f"{part.name}/{origin.group}"
        return Origin(origin.sources, group)

    def _open_source(self, index: int, modality: str) -> BinaryIO:
        part, position, _ = self._place(index)
        return cast(Traced, part.dataset).open_source(position, modality)

    def _place(self, index: int) -> tuple[Part, int, int]:
        """The part, the position in it, and how often that came before."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect.bisect_right(self._ends, index)
        part, end = self._parts[number], self._ends[number]
        size, count = len(part.dataset), end - (self._ends[number - 1] if number else 0)
        local = index - (end - count)
        position = local * size // count
        return part, position, local - -(-position * count // size)

    def _part(self, name: str, dataset: Dataset) -> Part:
        labels = tuple(self.labels.index(label) for label in dataset.labels)
        places = tuple(self.target_names.index(target) for target in _target_names(dataset))
        return Part(name, dataset, labels, places)


def _names(parts: Sequence[NestedComponent]) -> list[str]:
    names = [str(part.get("name", part["use"])) for part in parts]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if not repeated:
        return names
    raise SpecError(
        explain(
            "dataset.parts",
            "two parts have one name, which their samples' ids begin with",
            found=f"{', '.join(map(repr, repeated))}, {len(names)} parts",
            allowed="a name of its own for each part; it is `use` unless `name` says otherwise",
            next_step='give them names: { use = "manifest", name = "pets", ... }',
        )
    )


def _weights(parts: Sequence[NestedComponent], names: Sequence[str]) -> list[float] | None:
    """The weight of each part; None where none has one."""
    weights: list[Any] = [part.get("weight") for part in parts]
    if not any(weight is not None for weight in weights):
        return None
    lacking = [name for name, weight in zip(names, weights, strict=True) if weight is None]
    if not lacking:
        return weights
    raise SpecError(
        explain(
            "dataset.parts",
            "some parts have a weight and others have none",
            found=f"no weight of {', '.join(lacking)}",
            allowed="a weight for each part, or none at all: then each sample comes once",
            next_step="add the missing weights",
        )
    )


def _is_multi_label(parts: Mapping[str, Dataset]) -> bool:
    """Whether samples may have several labels; parts without labels may be of either kind.

    Raises DataError where parts contradict each other: what a sample of one part says of another
    part's label is not known, and several labels have no word for that.
    """
    labelled = {name: dataset for name, dataset in parts.items() if dataset.labels}
    several = [name for name, dataset in labelled.items() if dataset.is_multi_label]
    if not several:
        return False
    single = labelled.keys() - set(several)
    sets = {frozenset(dataset.labels) for dataset in labelled.values()}
    if not single and len(sets) == 1:
        return True
    fault = (
        "parts with one label a sample cannot be mixed with parts that have several"
        if single
        else "parts with several labels a sample must have the same labels"
    )
    raise DataError(
        explain(
            "dataset.parts",
            fault,
            found=f"several: {', '.join(several)}; one: {', '.join(sorted(single)) or 'none'}; "
            + "; ".join(f"{name} has {len(each.labels)} labels" for name, each in labelled.items()),
            allowed="parts of one kind; with several labels a sample, of equal label_names",
            next_step="set label_names alike in all parts, or mix parts of one kind",
        )
    )


def _joined(groups: Any) -> tuple[str, ...]:
    """Every name once, in the order in which they come."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _target_names(dataset: Dataset) -> tuple[str, ...]:
    return dataset.target_names if isinstance(dataset, Targeted) else ()


def _prompt_names(parts: Mapping[str, Dataset], labels: Sequence[str]) -> tuple[str, ...]:
    """What prompts call each label. Raises DataError where two parts call one otherwise."""
    called: dict[str, tuple[str, str]] = {}
    for name, dataset in parts.items():
        said = dataset.prompt_names if isinstance(dataset, Prompted) else dataset.labels
        for label, prompt in zip(dataset.labels, said, strict=True):
            first, known = called.setdefault(label, (name, prompt))
            if known != prompt:
                raise DataError(
                    explain(
                        "dataset.parts",
                        f"prompts call the label {label!r} by two names",
                        found=f"{known!r} in {first}, {prompt!r} in {name}",
                        allowed="one name for a label in all parts",
                        next_step="rename the label in one of them, or take one part out",
                    )
                )
    return tuple(called[label][1] for label in labels)


def _counts(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How many samples of an epoch each part gives: in proportion, and every sample once at least.

    Raises DataError for a part without samples, which can have no share.
    """
    if 0 in sizes:
        raise DataError(
            explain(
                "dataset.parts",
                "a part with a weight has no training samples",
                found=f"sizes {', '.join(map(str, sizes))}",
                allowed="training samples in each part",
                next_step="take the part out, or give its dataset a training split",
            )
        )
    longest = max(size / weight for size, weight in zip(sizes, weights, strict=True))
    return [max(size, round(longest * weight)) for size, weight in zip(sizes, weights, strict=True)]


def _sections(names: Sequence[str], counts: Sequence[int]) -> dict[str, range]:
    ends = [sum(counts[: number + 1]) for number in range(len(counts))]
    spans = zip(names, ends, counts, strict=True)
    return {name: range(end - count, end) for name, end, count in spans if count}


def _told(names: Sequence[str], sizes: Sequence[int], counts: Sequence[int]) -> list[str]:
    """How often samples come in an epoch, where weights make them come again."""
    said = (
        f"{name} {count:,} of {size:,} samples"
        for name, size, count in zip(names, sizes, counts, strict=True)
    )
    return [f"an epoch of the mixture has {sum(counts):,} samples by weight: {', '.join(said)}"]


def _renumbered(part: Part, sample: Sample, again: int, target_count: int) -> Sample:
    """A part's sample with the mixture's id, label ids (also of boxes) and targets.

    One that comes again has "#2" and so on in its id.
    """
    targets = [float("nan")] * target_count
    for place, value in zip(part.places, sample.targets, strict=True):
        targets[place] = value
    labels = sample.labels and tuple(sorted(part.labels[label] for label in sample.labels))
    boxes = sample.boxes
    if boxes is not None:
        boxes = replace(boxes, labels=tuple(part.labels[label] for label in boxes.labels))
    sample_id = f"{part.name}/{sample.id}" + (f"#{again + 1}" if again else "")
    return replace(sample, id=sample_id, labels=labels, targets=tuple(targets), boxes=boxes)
