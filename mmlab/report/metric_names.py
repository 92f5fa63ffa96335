"""What the name of a metric says: which way it is better, its form and its place in a table."""

from __future__ import annotations

import re

#: In this order metrics are shown; the first that an evaluation has is the one it is ranked by.
_METRIC_ORDER = (
    "mAP",
    "r2",
    "mse",
    "mae",
    "top1",
    "top5",
    "recall@1",
    "recall@5",
    "recall@10",
    "mean_recall@1",
    "mean_per_class_recall",
    "mean_rank",
    "median_rank",
    "mean_probability",
    "ece",
    "mAP_absent_as_zero",
    "mean_auroc",
)
_FRACTION = re.compile(
    r"top\d+(/.*)?|mAP.*|.*(recall|precision|accuracy|probability|f1|auc|auroc).*"
)
_LOWER_IS_BETTER = re.compile(r"(.*[/_])?(loss|error|ece|mse|mae|(mean|median)_rank|perplexity)")
#: Of which metric the stored outcomes of an evaluator's samples are the summands, up to the sign:
#: `missing_modality` has the outcomes of its judge, classification or regression.
_OUTCOME_METRICS = {
    "classification": ("top1",),
    "few_shot": ("top1",),
    "linear_probe": ("top1",),
    "missing_modality": ("top1", "mse"),
    "prompts": ("top1",),
    "regression": ("mse",),
    "retrieval": ("recall@1",),
    "zero_shot": ("top1",),
}
_CUTOFF = re.compile(r"(?:top|recall@)(\d+)")


def is_lower_better(metric: str) -> bool:
    """Whether a smaller value of this metric is the better one: losses, errors and mean ranks.

    >>> is_lower_better("mean_rank"), is_lower_better("validation/loss"), is_lower_better("top1")
    (True, True, False)
    """
    return _LOWER_IS_BETTER.fullmatch(metric) is not None


def is_fraction(metric: str) -> bool:
    """Whether a metric lies in [0, 1] by its definition, so that it reads well in per cent."""
    return not is_lower_better(metric) and _FRACTION.fullmatch(metric) is not None


def is_of_outcomes(evaluator: str, metric: str) -> bool:
    """Whether an evaluator's metric is the mean of its samples' outcomes, or minus that.

    >>> is_of_outcomes("zero_shot", "top1"), is_of_outcomes("zero_shot", "mean_rank")
    (True, False)
    """
    return metric in _OUTCOME_METRICS.get(evaluator, ())


def cutoff(metric: str) -> int | None:
    """The K of a metric that is the share of ranks up to K; None for other metrics.

    >>> cutoff("top5"), cutoff("recall@10"), cutoff("mean_recall@1")
    (5, 10, None)
    """
    match = _CUTOFF.fullmatch(metric)
    return int(match[1]) if match else None


def metric_order(metric: str) -> tuple[int, str]:
    """A sorting key: the usual first metric of an evaluation first, unknown names last by name."""
    known = metric in _METRIC_ORDER
    return (_METRIC_ORDER.index(metric) if known else len(_METRIC_ORDER), metric)
