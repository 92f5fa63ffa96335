"""The conformance check for datasets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from mmlab.data.samples import has_boxes
from mmlab.errors import unstorable
from mmlab.plugin import (
    SPLITS,
    Dataset,
    Noted,
    Outlined,
    Prompted,
    Published,
    ReadTogether,
    Sample,
    Surveyed,
    Targeted,
    Traced,
)
from mmlab.testing.boxes import check_boxes
from mmlab.testing.claims import Claim, require_all
from mmlab.testing.dataset_contents import (
    check_revision,
    content,
    reading,
    require_disjoint,
    require_same,
)
from mmlab.testing.dataset_elsewhere import check_elsewhere
from mmlab.testing.dataset_parts import check_outline, check_survey, check_trace, is_texts
from mmlab.testing.tools import BUILD, OTHER, Factory, ambient, build, check_schema, require

#: What must not differ between the splits of a dataset.
SHARED = ("modalities", "labels", "templates", "is_multi_label")


def check_dataset(
    factory: Factory,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    **options: object,
) -> None:
    """Check a dataset with these options; every sample of every split is read twice.

    Checked: the option schema; declarations, the same for all splits; a training split that is not
    empty; ids that are unique, disjoint between splits, and come in the same order every time; raw
    values of the promised kinds; at least one value of each modality to train on; label ids that
    exist, one at most in single-label data (of a multi-label sample () says that none is true, and
    None that its labels are unknown); targets as many as are named; boxes within the picture, with
    labels, only where the dataset says that it has some; an outline, if it gives one,
    that says of a sample what the sample says; sources, if it traces them, of values that the
    sample has and of the size they are said to have; templates with one `{}` each; as many names
    for prompts as labels, if it gives any; notes of one line each, if it has any; siblings, if it
    gives any, that are the splits that the factory makes; a survey, if it gives one, that says of
    all samples what it says of each; a revision that is the same every time, and another where an
    option changes the content; the same content at a second reading from the last sample to the
    first; no values of one split in another; reading that draws, prints and writes nothing.

    A factory that has a name in a module is read in two fresh processes too, of another hash seed
    and in another folder, which must say the same.

    `expected_failed_checks` gives the reason for each claim that may fail, by its name:
    {"disjoint_contents": "published with two equal pictures"}; see `dataset_claims`.
    """
    require_all(dataset_claims(factory, **options), expected_failed_checks)


def dataset_claims(factory: Factory, **options: object) -> list[Claim]:
    """What `check_dataset` checks; what one claim has read serves the next."""
    case = _Case(factory, options)
    return [
        Claim("options", "Options are described, valid and JSON", lambda: case.resolved),
        Claim("declarations", "What it declares is well formed", case.check_declarations),
        Claim("shared", "Splits declare the same", lambda: _check_shared(case.datasets)),
        Claim("samples", "Samples are what they are said to be", lambda: case.contents),
        Claim("disjoint", "No id is in two splits", case.check_ids),
        Claim("disjoint_contents", "No sample is in two splits", case.check_contents),
        Claim("same_again", "Every reading gives the same", case.check_again),
        Claim("elsewhere", "Other processes read the same", case.check_elsewhere),
        Claim("revision", "Other content has another revision", case.check_revision),
    ]


@dataclass(frozen=True)
class _Case:
    """A dataset's splits, built when first asked for, and what their samples hold."""

    factory: Factory
    options: Mapping[str, object]

    @cached_property
    def resolved(self) -> dict[str, object]:
        return check_schema("dataset", self.factory, self.options)

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        return _build_all(self.factory, self.resolved, BUILD)

    @cached_property
    def contents(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """By split and id what a sample holds, after a look at every sample."""
        return {split: _check_samples(dataset, split) for split, dataset in self.datasets.items()}

    def check_declarations(self) -> None:
        for dataset in self.datasets.values():
            _check_declarations(dataset)

    def check_ids(self) -> None:
        _check_disjoint({split: list(by_id) for split, by_id in self.contents.items()})

    def check_contents(self) -> None:
        require_disjoint(self.contents)

    def check_again(self) -> None:
        for split, again in _build_all(self.factory, self.resolved, OTHER).items():
            self._check_split(again, split)
            if isinstance(again, ReadTogether):
                for other in SPLITS:
                    self._check_split(again.sibling(other), other)

    def _check_split(self, again: Dataset, split: str) -> None:
        same = again.revision == self.datasets[split].revision
        require(same, "`revision` must be the same every time for the same content")
        known = self.contents[split]
        with ambient(OTHER):  # from the last to the first: nothing depends on what was read before
            samples = [again[index] for index in reversed(range(len(again)))][::-1]
        ids = [sample.id for sample in samples]
        require(ids == list(known), "samples must come in the same order every time")
        require_same(ids, [*known.values()], [*map(content, samples)], "at a second reading")

    def check_elsewhere(self) -> None:
        check_elsewhere(self.factory, self.resolved)

    def check_revision(self) -> None:
        check_revision(self.factory, self.resolved, self.datasets["train"])


def _build_all(factory: Factory, options: Mapping[str, object], seed: int) -> dict[str, Dataset]:
    return {split: build(factory, options, seed, split=split) for split in SPLITS}


def _check_declarations(dataset: Dataset) -> None:
    for name in ("modalities", "labels", "templates"):
        value = getattr(dataset, name)
        is_texts = isinstance(value, tuple) and all(isinstance(x, str) and x for x in value)
        require(
            is_texts, f"`{name}` must be a tuple of texts that are not empty, not {value!r:.80}"
        )
        require(len(set(value)) == len(value), f"`{name}` must not repeat any")
    require(bool(dataset.modalities), "a dataset must have at least one modality")
    require(isinstance(dataset.is_multi_label, bool), "`is_multi_label` must be a bool")
    is_named = isinstance(dataset.revision, str) and bool(dataset.revision)
    require(is_named, "`revision` must be a text that is not empty")
    if isinstance(dataset, Published):
        for name in (dataset.test_set, dataset.main_metric):
            require(isinstance(name, str) and bool(name), "a published test set must have names")
    if isinstance(dataset, Prompted):
        names = dataset.prompt_names
        is_texts = isinstance(names, tuple) and all(isinstance(x, str) and x for x in names)
        require(is_texts, f"`prompt_names` must be a tuple of texts, not {names!r:.80}")
        is_each = len(names) == len(dataset.labels)
        require(is_each, f"{len(names)} `prompt_names` for {len(dataset.labels)} labels")
    _check_notes(dataset)
    for template in dataset.templates:
        require(_fits_one_label(template), f"the template {template!r} must hold one {{}} exactly")


def _check_notes(dataset: Dataset) -> None:
    notes = dataset.notes if isinstance(dataset, Noted) else ()
    is_lines = not isinstance(notes, str) and all(
        isinstance(note, str) and len(note.splitlines()) == 1 for note in notes
    )
    require(is_lines, f"`notes` must be texts of one line each, not {notes!r:.80}")


def _fits_one_label(template: str) -> bool:
    try:
        filled = template.format("\0")
    except (IndexError, KeyError, ValueError):
        return False
    return template.count("{}") == 1 and filled.count("\0") == 1


def _check_shared(datasets: Mapping[str, Dataset]) -> None:
    train = datasets["train"]
    for split, dataset in datasets.items():
        for name in SHARED:
            same = getattr(dataset, name) == getattr(train, name)
            require(same, f"`{name}` of the split {split!r} differs from the training split's")
        same = getattr(dataset, "prompt_names", ()) == getattr(train, "prompt_names", ())
        require(same, f"`prompt_names` of the split {split!r} differ from the training split's")
        same = _target_names(dataset) == _target_names(train)
        require(same, f"`target_names` of the split {split!r} differ from the training split's")
        same = has_boxes(dataset) == has_boxes(train)
        require(same, f"`has_boxes` of the split {split!r} differs from the training split's")
    require(len(train) > 0, "the training split is empty")


def _check_samples(dataset: Dataset, split: str) -> dict[str, tuple[str, ...]]:
    """What the samples of a split hold by id, after a look at every sample."""
    ids: list[str] = []
    contents: list[tuple[str, ...]] = []
    modalities: set[str] = set()
    with ambient(BUILD):
        for index in range(len(dataset)):
            with reading(split):
                sample = dataset[index]
            _check_sample(sample, dataset)
            if isinstance(dataset, Outlined):
                check_outline(dataset.outline(index), sample)
            if isinstance(dataset, Traced):
                check_trace(dataset, index, sample)
            ids.append(sample.id)
            contents.append(content(sample))
            modalities |= set(sample.values)
        if isinstance(dataset, Surveyed):
            check_survey(dataset, len(ids))
    twice = len(ids) - len(set(ids))
    require(not twice, f"{twice} ids of the split {split!r} are not unique")
    lacking = set(dataset.modalities) - modalities
    require(split != "train" or not lacking, f"no training sample has the modalities {lacking}")
    return dict(zip(ids, contents, strict=True))


def _check_sample(sample: Sample, dataset: Dataset) -> None:
    require(isinstance(sample, Sample), "a dataset must give Samples")
    require(isinstance(sample.id, str) and bool(sample.id), f"{sample.id!r} is no id: give a text")
    fault = f"the id {sample.id!r} holds a NUL or a lone surrogate, which databases refuse"
    require(unstorable(sample.id) is None, fault)
    known = set(sample.values) <= set(dataset.modalities)
    require(known, f"{sample.id}: {set(sample.values)} are not all in `modalities`")
    for modality, raw in sample.values.items():
        _check_raw(raw, modality, sample.id)
    _check_labels(sample, dataset)
    _check_targets(sample, _target_names(dataset))
    check_boxes(sample, dataset)


def _target_names(dataset: Dataset) -> tuple[str, ...]:
    return dataset.target_names if isinstance(dataset, Targeted) else ()


def _check_targets(sample: Sample, names: tuple[str, ...]) -> None:
    is_numbers = isinstance(sample.targets, tuple) and all(
        isinstance(value, float) and not math.isinf(value) for value in sample.targets
    )
    require(is_numbers, f"{sample.id}: targets must be a tuple of finite floats or NaN")
    is_complete = len(sample.targets) == len(names)
    require(is_complete, f"{sample.id}: {len(sample.targets)} targets, but {len(names)} names")


def _check_labels(sample: Sample, dataset: Dataset) -> None:
    count, labels = len(dataset.labels), () if sample.labels is None else sample.labels
    is_known = isinstance(labels, tuple) and all(0 <= label < count for label in labels)
    require(is_known, f"{sample.id}: labels {labels} must be None, or a tuple of ids below {count}")
    require(len(set(labels)) == len(labels), f"{sample.id}: a label is given twice")
    is_single = dataset.is_multi_label or len(labels) <= 1
    require(is_single, f"{sample.id}: {len(labels)} labels in a single-label dataset")


def _check_raw(raw: object, modality: str, place: str) -> None:
    kind, is_kind = _kinds(raw).get(modality, ("", True))
    require(is_kind, f"{place}: a value of {modality} must be {kind}, not {type(raw).__name__}")


def _kinds(raw: Any) -> dict[str, tuple[str, bool]]:  # Any: a raw value is whatever a dataset gives
    """What the values of the known modalities are, and whether this one is that."""
    return {
        "image": ("an RGB PIL image", isinstance(raw, Image.Image) and raw.mode == "RGB"),
        "text": ("a str or a tuple of some", isinstance(raw, str) or is_texts(raw)),
        "audio": ("finite float32 (channels, time) and a rate in Hz", _is_audio(raw)),
        "video": ("uint8 (time, 3, height, width) or a list of RGB PIL images", _is_video(raw)),
        "tabular": ("a mapping of column names to texts, numbers or None", _is_row(raw)),
    }


def _is_audio(raw: object) -> bool:
    if not (isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[0], Tensor)):
        return False
    is_sound = raw[0].dtype == torch.float32 and raw[0].ndim == 2 and raw[1] > 0
    return is_sound and bool(raw[0].isfinite().all())


def _is_video(raw: object) -> bool:
    if isinstance(raw, list):
        return bool(raw) and all(isinstance(x, Image.Image) and x.mode == "RGB" for x in raw)
    is_bytes = isinstance(raw, Tensor) and raw.dtype == torch.uint8 and raw.ndim == 4
    return is_bytes and cast(Tensor, raw).shape[1] == 3


def _is_row(raw: object) -> bool:
    if not isinstance(raw, Mapping) or not all(isinstance(name, str) for name in raw):
        return False
    return all(cell is None or isinstance(cell, str | int | float) for cell in raw.values())


def _check_disjoint(ids: Mapping[str, Sequence[str]]) -> None:
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = set(ids[a]) & set(ids[b])
        require(
            not shared, f"{len(shared)} samples are both in {a} and in {b}: {sorted(shared)[:3]}"
        )
