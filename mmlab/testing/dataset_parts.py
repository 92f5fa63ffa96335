"""What a dataset tells of its samples without reading them: outlines, sources, surveys."""

from __future__ import annotations

from collections import Counter

from mmlab.plugin import Sample, Source, Surveyed, Traced
from mmlab.testing.tools import require


def check_trace(dataset: Traced, index: int, sample: Sample) -> None:
    """That a sample's sources are of its values, and as long as they are said to be."""
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


def check_survey(dataset: Surveyed, count: int) -> None:
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


def check_outline(outline: Sample, sample: Sample) -> None:
    """That an outline says of a sample what the sample says."""
    # NaN is not NaN
    said, known = ((s.id, s.labels, repr(s.targets), s.boxes) for s in (outline, sample))
    require(
        said == known,
        f"{sample.id}: the outline must have the sample's id, labels, targets and boxes",
    )
    same_keys = set(outline.values) == set(sample.values)
    require(same_keys, f"{sample.id}: the outline must name the modalities that the sample has")
    for modality, raw in sample.values.items():
        if isinstance(raw, str) or is_texts(raw):
            same = outline.values[modality] == raw
            require(same, f"{sample.id}: the outline must have the texts of the sample")


def is_texts(raw: object) -> bool:
    """Whether a raw value is a tuple of captions."""
    return isinstance(raw, tuple) and bool(raw) and all(isinstance(text, str) for text in raw)
