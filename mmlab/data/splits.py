"""The splits of a plan's datasets, opened once, and the reference data that modules are made for.

Labels and targets above all: they are read from the split that a plan trains on, and kept with the
weights it leaves, so that a model loads where its training data are gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mmlab.data.hygiene import Hygiene, compare, unclean
from mmlab.data.samples import (
    NamedSplit,
    SampleIndex,
    known_labels,
    new_notes,
    open_split,
    read_outline,
    target_names,
)
from mmlab.data.skipped import without_unreadable
from mmlab.errors import DataError
from mmlab.hashing import digest
from mmlab.plan.component import Resolved, place_message
from mmlab.plan.plan import Plan
from mmlab.plugin import Dataset, Split
from mmlab.records import SkippedSample


class Splits:
    """Datasets by component and split, made when first asked for; `note` hears their notes."""

    def __init__(self, note: Callable[[str], None] | None = None) -> None:
        self._note = note
        self._told: set[str] = set()
        self._made: dict[tuple[str, Split], Dataset] = {}
        self._skipped: dict[int, list[SkippedSample]] = {}
        self._outlines: dict[int, SampleIndex] = {}  # by id: the datasets in `_made` stay alive
        self._read: dict[str, list[Dataset]] = {}  # by component, what is not yet left out included
        self._compared: dict[object, Hygiene] = {}
        self._families: dict[int, tuple[Resolved, str]] = {}  # by id: the first keeps it alive

    def look_anew(self) -> None:
        """Ask the files of all components again which data they are: a new cell begins."""
        self._families.clear()

    def _family(self, resolved: Resolved) -> str:
        """`family_of`, asked of the files once a component and cell."""
        known = self._families.get(id(resolved))
        if known is None:
            known = self._families[id(resolved)] = resolved, family_of(resolved)
        return known[1]

    def get(self, resolved: Resolved, split: Split) -> Dataset:
        """One split of a dataset component; it may be empty."""
        key = (self._family(resolved), split)
        if key not in self._made:
            others = self._read.setdefault(key[0], [])
            dataset = open_split(resolved, split, others)
            others.append(dataset)
            self._say(new_notes(dataset, self._told))
            if resolved.max_skipped is not None:
                name = resolved.entry.name
                dataset, skipped = without_unreadable(dataset, split, resolved.max_skipped, name)
                self._skipped[id(dataset)] = skipped
            self._made[key] = dataset
        return self._made[key]

    def _say(self, lines: Iterable[str]) -> None:
        if self._note is not None:
            for line in lines:
                self._note(line)

    def skipped(self, plan: Plan) -> list[SkippedSample]:
        """What could not be read of the splits that were read of a plan's datasets."""
        keys = {self._family(each) for each in (plan.dataset, *plan.evaluate_datasets.values())}
        made = [dataset for (key, _), dataset in self._made.items() if key in keys]
        return [one for dataset in made for one in self._skipped.get(id(dataset), ())]

    def index(self, dataset: Dataset) -> SampleIndex:
        """Ids, labels and texts of a split that this gave; read when first asked for."""
        if id(dataset) not in self._outlines:
            self._outlines[id(dataset)] = read_outline(dataset)
        return self._outlines[id(dataset)]

    def compare(self, plan: Plan) -> None:
        """Tell, once, what the splits that a plan reads share (leakage), and labels alike.

        Raises DataError with the same words where `strict_splits` of a dataset among them is set.
        """
        parts = dict(self._parts(plan))
        learns = plan.head is not None and not plan.predicts_targets
        closed_by = "train" if learns and plan.cell.spec.train is not None else None
        key = (closed_by, *((part.name, part.family) for part in parts))
        if key not in self._compared:
            self._compared[key] = compare([*parts], closed_by=closed_by)
            self._say(self._compared[key].lines())
        for resolved in parts.values():
            names = {part.name for part, one in parts.items() if one is resolved}
            found = self._compared[key].of(names) if resolved.is_strict else []
            if found:
                message = unclean(found, str((*resolved.table, "dataset")[0]))
                raise DataError(place_message(message, resolved.document, resolved.table))

    def _parts(self, plan: Plan) -> Iterator[tuple[NamedSplit, Resolved]]:
        """The splits that a plan trains on, is validated on and is evaluated on, but empty ones."""
        read: dict[str, tuple[Resolved, Split]] = {}
        if plan.cell.spec.train is not None:
            read = {"train": (plan.dataset, "train"), "validation": (plan.dataset, "validation")}
        for name, table in plan.evaluate_tables.items():
            own = plan.evaluate_datasets.get(name)
            label = table.split if own is None else f"the data of {name}"
            read.setdefault(label, (own or plan.dataset, table.split))
        for label, (resolved, split) in read.items():
            if len(dataset := self.get(resolved, split)):
                index = self._outlines.get(id(dataset))
                yield NamedSplit.of(label, self._family(resolved), dataset, index), resolved

    def reference(self, plan: Plan) -> Dataset:
        """The data a plan's modules are made for: what it trains on, or first is evaluated on."""
        if plan.cell.spec.train is not None:
            return self.training(plan)
        return self.evaluated(plan, next(iter(plan.evaluators)))

    def revisions(self, plan: Plan) -> dict[str, str]:
        """Revisions of the splits that training reads; none where nothing is trained.

        Raises DataError where one that is needed is empty. Nothing needs validation where the
        defaults of `train.best` and `train.patience` stand: the final weights are then the best.
        """
        table = plan.cell.spec.train
        if table is None:
            return {}
        self.training(plan)
        validation = self.get(plan.dataset, "validation")
        if not len(validation) and (table.best != "loss" or table.patience is not None):
            step = "give the dataset such a split, or leave out train.best and train.patience"
            raise _empty(plan, ("dataset",), "validation", step)
        read = {"train": self.get(plan.dataset, "train"), "validation": validation}
        judge = table.best.partition("/")[0]
        if judge in plan.evaluate_datasets:
            read[f"{judge}/validation"] = self.evaluated(plan, judge, "validation")
        return {name: dataset.revision for name, dataset in read.items()}

    def training(self, plan: Plan) -> Dataset:
        """The training split of a plan. Raises DataError unless it fills a batch."""
        dataset = self.get(plan.dataset, "train")
        table = plan.cell.spec.train
        assert table is not None, "only asked for where the spec trains"
        if len(dataset) >= max(1, table.batch_size):
            return dataset
        if not len(dataset):
            raise _empty(plan, ("dataset",), "train", "correct [dataset], or its files")
        raise DataError(
            plan.explain(
                ("train", "batch_size"),
                "the training split does not fill one batch",
                found=f"{len(dataset)} training samples, batch_size {table.batch_size}",
                allowed=f"1 to {len(dataset)}",
                next_step="lower train.batch_size",
            )
        )

    def evaluated(self, plan: Plan, name: str, split: Split | None = None) -> Dataset:
        """The data of one evaluation, its own or the plan's. Raises DataError when empty."""
        dataset = self.of_evaluation(plan, name, split)
        if len(dataset):
            return dataset
        chosen = split or plan.evaluate_tables[name].split
        instead = "" if split else "set `split` of this evaluation"
        raise lacks_split(plan, name, chosen, instead)

    def of_evaluation(self, plan: Plan, name: str, split: Split | None = None) -> Dataset:
        """The same; it may be empty."""
        chosen = split or plan.evaluate_tables[name].split
        return self.get(plan.evaluate_datasets.get(name, plan.dataset), chosen)


def lacks_split(plan: Plan, name: str, split: Split, instead: str) -> DataError:
    """An evaluation has no samples of a split; `instead` is what a spec can say about it."""
    step = "give the dataset such a split"
    return _empty(plan, ("evaluate", name), split, f"{instead}, or {step}" if instead else step)


def family_of(resolved: Resolved) -> str:
    """What two dataset components share if they read the same data in the same way."""
    return digest([resolved.locality(), resolved.max_skipped])


def _empty(plan: Plan, where: Sequence[str], split: Split, next_step: str) -> DataError:
    return DataError(
        plan.explain(
            where,
            f"the {split} split is empty",
            found="0 samples",
            allowed="a split with samples",
            next_step=next_step,
        )
    )


@dataclass(frozen=True)
class LabelStatistics:
    """Samples per label, and samples whose labels are known, those of none of them included.

    Of each target the mean and the deviation of its known values.
    """

    label_counts: tuple[int, ...]
    labelled_count: int
    target_means: tuple[float, ...]
    target_deviations: tuple[float, ...]


def label_statistics(index: SampleIndex, dataset: Dataset) -> LabelStatistics:
    """Labels and targets of a split, over what is known of them.

    A target's deviation is its standard deviation with n in the denominator, 1 where its values do
    not vary; the mean of a target that no sample knows is NaN.
    """
    columns = zip(*(sample.targets for sample in index.samples), strict=True)
    spreads = [_spread([value for value in column if not math.isnan(value)]) for column in columns]
    means, deviations = zip(*spreads, strict=True) if spreads else ((), ())
    is_multi_label = dataset.is_multi_label
    known = [known_labels(sample, is_multi_label=is_multi_label) for sample in index.samples]
    return LabelStatistics(
        label_counts=index.label_counts(len(dataset.labels)),
        labelled_count=sum(labels is not None for labels in known),
        target_means=means,
        target_deviations=deviations,
    )


def _spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation, summed exactly."""
    if not values:
        return math.nan, 1.0
    if min(values) == max(values):
        return values[0], 1.0
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


@dataclass(frozen=True)
class ReferenceData:
    """Names of labels and targets; what is known of them, where losses ask (None without any)."""

    labels: tuple[str, ...]
    is_multi_label: bool
    targets: tuple[str, ...]
    statistics: LabelStatistics | None = None


def reference_names(dataset: Dataset) -> ReferenceData:
    """What a dataset says of itself, without reading a sample."""
    labels, targets = tuple(dataset.labels), tuple(target_names(dataset))
    return ReferenceData(labels, dataset.is_multi_label, targets)


def reference_data(plan: Plan, splits: Splits) -> ReferenceData:
    """The reference data of a plan, from the split it trains on or is first evaluated on."""
    dataset = splits.reference(plan)
    found = label_statistics(splits.index(dataset), dataset) if plan.losses else None
    return replace(reference_names(dataset), statistics=found)


def output_count(plan: Plan, data: ReferenceData) -> int:
    """How many numbers a head of this plan gives: one for each target, or for each label."""
    return len(data.targets if plan.predicts_targets else data.labels)


def require_labels(plan: Plan, data: ReferenceData) -> None:
    """Raise DataError where a head has nothing to decide between, or no target to learn."""
    if not plan.predicts_targets:
        return _require_labels(plan, len(data.labels))
    assert data.statistics is not None, "a loss reads the targets"
    return _require_targets(plan, data.targets, data.statistics)


def _require_labels(plan: Plan, label_count: int) -> None:
    if label_count >= 2:
        return
    raise DataError(
        plan.explain(
            ("dataset",),
            "a head needs something to decide between",
            found=f"{label_count} label{'s' if label_count != 1 else ''}",
            allowed="a dataset with two labels or more",
            next_step="choose other labels in [dataset], or remove [head]",
        )
    )


def _require_targets(plan: Plan, names: Sequence[str], statistics: LabelStatistics) -> None:
    unknown = [n for n, m in zip(names, statistics.target_means, strict=True) if math.isnan(m)]
    if names and not unknown:
        return
    raise DataError(
        plan.explain(
            ("dataset",),
            "a loss reads targets, and there is nothing to learn",
            found=f"no training sample that knows {unknown[0]!r}" if unknown else "0 targets",
            allowed="a dataset with targets that training samples know",
            next_step="name other targets in [dataset], or use a loss of labels (cross_entropy)",
        )
    )
