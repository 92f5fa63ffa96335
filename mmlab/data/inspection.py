"""What the data of a spec hold, found before anything is trained or a module is built.

Ids, labels, targets, modalities and files of every sample are counted by what datasets tell without
reading; pictures, sounds, texts and rows of tables are looked at in samples that are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mmlab.data.box_facts import BoxFacts, Look, in_words, read_box_facts
from mmlab.data.drawn import draw, look
from mmlab.data.facts import PICTURE_ERRORS, DrawnFacts, in_short, is_video, video_shape
from mmlab.data.hygiene import Hygiene, compare_traces
from mmlab.data.samples import (
    NamedSplit,
    Traces,
    captions_of,
    new_notes,
    open_split,
    reader_of,
    target_names,
)
from mmlab.data.splits import family_of
from mmlab.plan.component import Resolved
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import Finder, component_faults
from mmlab.plugin import SPLITS, Dataset, Outlined, Split
from mmlab.records import cell_name
from mmlab.spec import Cell, Override, Spec, asked_of, expand, load_spec

#: Samples that are shown.
SHOWN = 5
#: Characters of a text that are shown.
CHARACTERS = 120


@dataclass(frozen=True)
class Target:
    """A target of a split: how many samples know it, and their minimum, mean and maximum."""

    known: int
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class SplitFacts:
    """One split: its samples, and how many have each modality, label and target.

    `combinations` counts samples by all that they have: "image+text", say. `repeated_files` are
    those whose name or bytes another sample of the split has. `boxes` is None without any.
    """

    dataset: str
    revision: str
    samples: int
    present: Mapping[str, int]
    combinations: Mapping[str, int]
    labelled: int
    labels: Mapping[str, int]
    targets: Mapping[str, Target]
    repeated_files: int
    boxes: BoxFacts | None = None


@dataclass(frozen=True)
class Shown:
    """A drawn sample in short: each value in a few words, or why the sample cannot be read."""

    split: str
    id: str
    labels: tuple[str, ...]
    targets: Mapping[str, float]
    values: Mapping[str, str]
    error: str | None = None


@dataclass(frozen=True)
class DataFacts:
    """The data of some cells: by split what is known of all samples, and facts of drawn ones.

    A split is "train", "validation" or "test", or the data of an evaluation that has its own.
    """

    dataset: str
    cells: tuple[str, ...]
    labels: tuple[str, ...]
    is_multi_label: bool
    splits: Mapping[str, SplitFacts]
    drawn: DrawnFacts
    notes: tuple[str, ...]
    hygiene: Hygiene
    samples: tuple[Shown, ...]


@dataclass
class Use:
    """A dataset that cells name in [dataset], and the data of their evaluations beside it."""

    resolved: Resolved
    registry: Registry
    cells: list[Cell] = field(default_factory=list)
    others: dict[str, tuple[Resolved, Split]] = field(default_factory=dict)


def find_uses(path: Path, overrides: Sequence[Override]) -> list[Use]:
    """The datasets of a spec's cells, each once. Raises SpecError or PluginError.

    Nothing but datasets is imported: what else a spec names, `mmlab validate` checks.
    """
    registry, uses = Registry.discover(BUILTINS), dict[str, Use]()
    spec_file = load_spec(path, overrides, partial(component_faults, registry, path))
    for cell in expand(spec_file):
        finder = Finder(path, cell.source.document, registry)
        resolved = finder.find("dataset", cell.spec.dataset, "dataset")
        own = {
            f"the data of {one.name}": (
                finder.find("dataset", one.table.dataset, *one.data),
                one.table.split,
            )
            for one in asked_of(cell.spec.evaluate)
            if one.table.dataset is not None
        }
        finder.raise_faults()
        use = uses.setdefault(family_of(resolved), Use(resolved, registry))
        use.cells.append(cell)
        use.others |= own
    return [*uses.values()]


def inspect_data(use: Use, seed: int) -> DataFacts:
    """What a dataset holds, and what it shares with the data of evaluations; `seed` draws samples.

    Raises DataError where it cannot be opened. What is wrong within a file is counted.
    """
    parts = list(_open(use))
    told: set[str] = set()
    notes = [line for part in parts for line in new_notes(part.dataset, told)]
    tables = [Traces.read(part) for part in parts]
    filled = [table for table in tables if len(table.part.dataset)]
    hygiene = compare_traces(filled, closed_by=_closed_by(use, parts[0]), repeats=True)
    main = parts[0].dataset
    names = {name: resolved.entry.name for name, (resolved, _) in use.others.items()}
    return DataFacts(
        dataset=use.resolved.entry.name,
        cells=tuple(cell_name(cell.label, cell.seed) for cell in use.cells),
        labels=tuple(main.labels),
        is_multi_label=main.is_multi_label,
        splits={
            table.part.name: _split_facts(
                table, names.get(table.part.name, use.resolved.entry.name), hygiene.repeats
            )
            for table in tables
        },
        drawn=look([table.part for table in filled], seed),
        notes=tuple(notes),
        hygiene=hygiene,
        samples=tuple(_show([table.part for table in filled], seed)),
    )


def _open(use: Use) -> Iterator[NamedSplit]:
    """Every split of the dataset, and of the data of evaluations those that they ask for."""
    made: dict[str, Dataset] = {}
    for split in SPLITS:
        made[split] = open_split(use.resolved, split, made.values())
        yield _part(split, use.resolved, made[split])
    for name, (resolved, split) in use.others.items():
        yield _part(name, resolved, open_split(resolved, split))


def _part(name: str, resolved: Resolved, dataset: Dataset) -> NamedSplit:
    look = dataset.outline if isinstance(dataset, Outlined) else reader_of(dataset)
    return NamedSplit(name, family_of(resolved), dataset, Look(dataset, look))


def _closed_by(use: Use, train: NamedSplit) -> str | None:
    """The training split, where a head of any cell learns its labels from it."""
    learning = [cell.spec for cell in use.cells if cell.spec.head and cell.spec.train]
    if any(not _predicts_targets(spec, use.registry, train.dataset) for spec in learning):
        return train.name
    return None


def _predicts_targets(spec: Spec, registry: Registry, dataset: Dataset) -> bool:
    """Whether a loss reads targets. Its class, and torch, are imported where data have both."""
    if not (dataset.labels and target_names(dataset)):
        return not dataset.labels
    losses = [registry.resolve("loss", table.use) for table in spec.losses]
    return any("targets" in getattr(loss, "reads", ()) for loss in losses)


def _split_facts(table: Traces, name: str, repeats: Mapping[str, int]) -> SplitFacts:
    dataset = table.part.dataset
    present = Counter[str](dict.fromkeys(dataset.modalities, 0))
    for modalities, count in table.modality_sets.items():
        present.update(dict.fromkeys(modalities, count))
    combined = Counter[str]()
    for modalities, count in table.modality_sets.items():
        combined["+".join(sorted(modalities, key=dataset.modalities.index)) or "nothing"] += count
    return SplitFacts(
        dataset=name,
        revision=dataset.revision,
        samples=len(dataset),
        present=dict(present),
        combinations=dict(combined.most_common()),
        labelled=table.labelled,
        labels={dataset.labels[label]: count for label, count in table.labels.most_common()},
        targets=_targets(table, target_names(dataset)),
        repeated_files=repeats.get(table.part.name, 0),
        boxes=read_box_facts(table.part),
    )


def _targets(table: Traces, names: Sequence[str]) -> dict[str, Target]:
    if not names or not table.targets:
        return {}
    values = np.frombuffer(table.targets).reshape(-1, len(names))
    return {name: _target(values[:, column]) for column, name in enumerate(names)}


def _target(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Target:
    known = values[~np.isnan(values)]
    if not known.size:
        return Target(0)
    return Target(len(known), float(known.min()), float(known.mean()), float(known.max()))


def _show(parts: Sequence[NamedSplit], seed: int) -> Iterator[Shown]:
    """A few samples of all splits, drawn, each read as a run reads it."""
    total = sum(len(part.dataset) for part in parts)
    for place in draw(SHOWN, total, seed, "shown"):
        for part in parts:
            if place < len(part.dataset):
                yield _shown(part, place)
                break
            place -= len(part.dataset)


def _shown(part: NamedSplit, index: int) -> Shown:
    dataset = part.dataset
    try:
        sample, error = dataset[index], None
    except PICTURE_ERRORS as fault:
        assert part.look is not None, "whoever inspects can look at every sample"
        sample, error = part.look(index), in_short(fault)
    return Shown(
        split=part.name,
        id=sample.id,
        labels=tuple(dataset.labels[label] for label in sample.labels or ()),
        targets=dict(zip(target_names(dataset), sample.targets, strict=True)),
        values={
            **{name: describe(raw) for name, raw in sample.values.items() if raw is not None},
            **({} if sample.boxes is None else {"boxes": in_words(sample.boxes, dataset.labels)}),
        },
        error=error,
    )


def describe(raw: object) -> str:
    """A raw value in a few words.

    >>> describe(("a cat", "a pet", "an animal")), describe({"age": 3.0, "town": "Bonn"})
    ("'a cat' and 2 more", "age=3, town='Bonn'")
    """
    captions = captions_of(raw)
    if isinstance(captions[0], str):
        more = f" and {len(captions) - 1} more" if len(captions) > 1 else ""
        return f"{shortened(captions[0])!r}{more}"
    if isinstance(raw, Image.Image):
        return f"picture of {raw.width} x {raw.height}"
    if isinstance(raw, Mapping):
        return ", ".join(f"{name}={_cell(cell)}" for name, cell in raw.items())
    if isinstance(raw, tuple) and len(raw) == 2:
        return f"{raw[0].shape[-1] / raw[1]:.2f} s of sound at {raw[1]:,} Hz"
    if is_video(raw):
        frames, width, height = video_shape(raw)
        return f"{frames} frames of {width} x {height}"
    return shortened(" ".join(repr(raw).split()))


def _cell(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, int | float) else repr(cell)


def shortened(text: str) -> str:
    """A text of which the rest is left out where it is long."""
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 3]}..."
