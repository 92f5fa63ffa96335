"""The conformance check for datasets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
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
    Source,
    Surveyed,
    Targeted,
    Traced,
)
from mmlab.testing.boxes import check_boxes
from mmlab.testing.tools import BUILD, OTHER, Factory, ambient, build, check_schema, require

#: What must not differ between the splits of a dataset.
SHARED = ("modalities", "labels", "templates", "is_multi_label")


def check_dataset(factory: Factory, **options: object) -> None:
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
    all samples what it says of each; a revision that is the same every time; no randomness.
    """
    resolved = check_schema("dataset", factory, options)
    datasets = _build_all(factory, resolved, BUILD)
    for dataset in datasets.values():
        _check_declarations(dataset)
    _check_shared(datasets)
    ids = {split: _check_samples(dataset, split) for split, dataset in datasets.items()}
    _check_disjoint(ids)
    for split, again in _build_all(factory, resolved, OTHER).items():
        _check_again(again, datasets[split], ids[split])
        if isinstance(again, ReadTogether):
            for other in SPLITS:
                _check_again(again.sibling(other), datasets[other], ids[other])


def _build_all(factory: Factory, options: Mapping[str, object], seed: int) -> dict[str, Dataset]:
    return {split: build(factory, options, seed, split=split) for split in SPLITS}


def _check_again(again: Dataset, first: Dataset, ids: Sequence[str]) -> None:
    same = again.revision == first.revision
    require(same, "`revision` must be the same every time for the same content")
    with ambient(OTHER):
        found = [again[index].id for index in range(len(again))]
    require(found == ids, "samples must come in the same order every time")


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


def _check_samples(dataset: Dataset, split: str) -> list[str]:
    """The ids of a split, after a look at every sample."""
    ids: list[str] = []
    modalities: set[str] = set()
    with ambient(BUILD):
        for index in range(len(dataset)):
            sample = dataset[index]
            _check_sample(sample, dataset)
            if isinstance(dataset, Outlined):
                _check_outline(dataset.outline(index), sample)
            if isinstance(dataset, Traced):
                _check_trace(dataset, index, sample)
            ids.append(sample.id)
            modalities |= set(sample.values)
        if isinstance(dataset, Surveyed):
            _check_survey(dataset, len(ids))
    twice = len(ids) - len(set(ids))
    require(not twice, f"{twice} ids of the split {split!r} are not unique")
    lacking = set(dataset.modalities) - modalities
    require(split != "train" or not lacking, f"no training sample has the modalities {lacking}")
    return ids


def _check_trace(dataset: Traced, index: int, sample: Sample) -> None:
    origin = dataset.trace(index)
    require(origin == dataset.trace(index), f"{sample.id}: `trace` must say the same every time")
    is_group = origin.group is None or (isinstance(origin.group, str) and bool(origin.group))
    require(is_group, f"{sample.id}: a group must be a text that is not empty, or None")
    for modality, source in origin.sources.items():
        named = f"{sample.id}: the source of {modality!r}"
        require(modality in sample.values, f"{named} is of no value of the sample")
        require(isinstance(source.name, str) and bool(source.name), f"{named} must have a name")
        with dataset.open_source(index, modality) as file:
            size = len(file.read())
        require(size == source.size_bytes, f"{named} has {size} bytes, not {source.size_bytes}")


def _check_survey(dataset: Surveyed, count: int) -> None:
    """That all samples at once are said to be what they are one by one."""
    told = dataset.survey()
    samples = [dataset.outline(index) for index in range(count)]
    origins = [dataset.trace(index) for index in range(count)]
    require([*told.ids] == [sample.id for sample in samples], "the ids of `survey` are others")
    labels = Counter(sample.labels for sample in samples)
    require(told.labels == labels, "the labels of `survey` are others")
    modalities = Counter(tuple(sample.values) for sample in samples)
    require(told.modalities == modalities, "the modalities of `survey` are others")
    targets = [repr(target) for sample in samples for target in sample.targets]  # of NaN too
    require([*map(repr, map(float, told.targets))] == targets, "the targets of `survey` are others")
    groups = [origin.group for origin in origins]
    require([*told.groups] == groups, "the groups of `survey` are others")
    for modality, (names, sizes) in told.sources.items():
        found = [
            None if name is None else Source(name, int(size))
            for name, size in zip(names, sizes, strict=True)
        ]
        known = [origin.sources.get(modality) for origin in origins]
        require(found == known, f"the sources of {modality!r} in `survey` are others")
    alone = [
        repr(sample.values)
        if "text" in sample.values and None not in sample.values.values()
        else None
        for sample in samples
    ]
    pairs = {*zip(alone, told.texts, strict=True)}
    is_same = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    is_none = all((a is None) == (b is None) for a, b in pairs)
    require(is_same and is_none, "the texts of `survey` are others")


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


def _check_outline(outline: Sample, sample: Sample) -> None:
    # NaN is not NaN
    said, known = ((s.id, s.labels, repr(s.targets), s.boxes) for s in (outline, sample))
    require(
        said == known,
        f"{sample.id}: the outline must have the sample's id, labels, targets and boxes",
    )
    same_keys = set(outline.values) == set(sample.values)
    require(same_keys, f"{sample.id}: the outline must name the modalities that the sample has")
    for modality, raw in sample.values.items():
        if isinstance(raw, str) or _is_texts(raw):
            same = outline.values[modality] == raw
            require(same, f"{sample.id}: the outline must have the texts of the sample")


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
        "text": ("a str or a tuple of some", isinstance(raw, str) or _is_texts(raw)),
        "audio": ("float32 (channels, time) and a rate in Hz", _is_audio(raw)),
        "video": ("uint8 (time, 3, height, width) or a list of RGB PIL images", _is_video(raw)),
        "tabular": ("a mapping of column names to texts, numbers or None", _is_row(raw)),
    }


def _is_texts(raw: object) -> bool:
    return isinstance(raw, tuple) and bool(raw) and all(isinstance(text, str) for text in raw)


def _is_audio(raw: object) -> bool:
    if not (isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[0], Tensor)):
        return False
    return raw[0].dtype == torch.float32 and raw[0].ndim == 2 and raw[1] > 0


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
