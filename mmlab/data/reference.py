"""Reference data: what modules are made for beside their options, labels and targets above all.

It is read from the split that a plan trains on, and kept with the weights it leaves, so that a
model loads where its training data are gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmlab.data.samples import SampleIndex, target_names
from mmlab.data.splits import Splits
from mmlab.errors import DataError
from mmlab.plan.plan import Plan
from mmlab.plugin import Dataset


@dataclass(frozen=True)
class LabelStatistics:
    """Samples per label and samples with any; mean and deviation of each target's known values."""

    label_counts: tuple[int, ...]
    labelled_count: int
    target_means: tuple[float, ...]
    target_deviations: tuple[float, ...]


def label_statistics(outline: SampleIndex, dataset: Dataset) -> LabelStatistics:
    """Labels and targets of a split, over what is known of them.

    A target's deviation is its standard deviation with n in the denominator, 1 where its values do
    not vary; the mean of a target that no sample knows is NaN.
    """
    columns = zip(*(sample.targets for sample in outline.samples), strict=True)
    spreads = [_spread([value for value in column if not math.isnan(value)]) for column in columns]
    means, deviations = zip(*spreads, strict=True) if spreads else ((), ())
    return LabelStatistics(
        label_counts=outline.label_counts(len(dataset.labels)),
        labelled_count=sum(bool(sample.labels) for sample in outline.samples),
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
    found = label_statistics(splits.outline(dataset), dataset) if plan.losses else None
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


def _require_targets(plan: Plan, names: Sequence[str], truths: LabelStatistics) -> None:
    unknown = [n for n, m in zip(names, truths.target_means, strict=True) if math.isnan(m)]
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
