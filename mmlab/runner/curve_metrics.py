"""What the points of a run's training curves are: declarations of losses, evaluators and training.

Curves are shown in this order: scores on the validation split, losses, other scalars of training,
and last how training went along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mmlab.metric import LOSS, Metric
from mmlab.plan.plan import Plan
from mmlab.train.progress import TRAINING


def curve_metrics(plan: Plan) -> tuple[Metric, ...]:
    """The metrics of a plan's curves, named as their points: "validation/zero_shot/top1"."""
    named = [(name, metric) for name, loss in plan.losses.items() for metric in loss.metrics]
    scalars = [(name, metric) for name, metric in named if metric.name != LOSS.name]
    losses = [(name, metric) for name, metric in named if metric.name == LOSS.name]
    asked = [(name, one) for name, found in plan.evaluators.items() for one in found.metrics]
    return (
        *_curves("validation", asked),
        *_curves("validation", scalars),
        *_curves("{stage}", [("", LOSS), *losses]),
        *_curves("train", scalars),
        *_curves("train", (("", metric) for metric in TRAINING)),
    )


def _curves(stage: str, metrics: Iterable[tuple[str, Metric]]) -> Iterator[Metric]:
    """Metrics by the names of who gives them, as those of points: direction and unit stay."""
    for name, metric in metrics:
        path = "/".join(filter(None, (stage, name, metric.path)))
        yield Metric(path, metric.better, metric.unit)
