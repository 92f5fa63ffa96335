"""What a training split knows: how often each label occurs, and how each target is spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmlab.errors import DataError
from mmlab.outline import Outline
from mmlab.plan import Plan
from mmlab.plugin import Dataset
from mmlab.samples import target_names


@dataclass(frozen=True)
class Truths:
    """Samples per label and samples with any; mean and deviation of each target's known values."""

    label_counts: tuple[int, ...]
    labelled_count: int
    target_means: tuple[float, ...]
    target_deviations: tuple[float, ...]


def describe_truths(outline: Outline, dataset: Dataset) -> Truths:
    """Labels and targets of a split, over what is known of them.

    A target's deviation is its standard deviation with n in the denominator, 1 where its values do
    not vary; the mean of a target that no sample knows is NaN.
    """
    columns = zip(*(sample.targets for sample in outline.samples), strict=True)
    spreads = [_spread([value for value in column if not math.isnan(value)]) for column in columns]
    means, deviations = zip(*spreads, strict=True) if spreads else ((), ())
    return Truths(
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


def output_count(plan: Plan, dataset: Dataset) -> int:
    """How many numbers a head of this plan gives: one for each target, or for each label."""
    return len(target_names(dataset) if plan.predicts_targets else dataset.labels)


def require_truths(plan: Plan, dataset: Dataset, truths: Truths | None) -> None:
    """Raise DataError where a head has nothing to decide between, or no target to learn."""
    if not plan.predicts_targets:
        return _require_labels(plan, len(dataset.labels))
    assert truths is not None, "a loss reads the targets"
    return _require_targets(plan, target_names(dataset), truths)


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


def _require_targets(plan: Plan, names: Sequence[str], truths: Truths) -> None:
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
