"""Whether `train.best` names a metric that the validation of a plan gives."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mmlab.faults import Fault, nearest, show

if TYPE_CHECKING:
    from mmlab.plan import Plan

_WHERE = ("train", "best")


def best_faults(plan: Plan) -> list[Fault]:
    """What is wrong with `train.best`, as far as evaluators declare the names of their metrics.

    Which scalars a loss gives, and what stands for a "*", is known before the first step.
    """
    table = plan.cell.spec.train
    if table is None or table.best == "loss":
        return []
    name, slash, metric = table.best.partition("/")
    if name in plan.losses and slash:
        return []
    if name not in plan.evaluators:
        return [_unknown_name(plan, table.best)]
    declared = plan.evaluators[name].declares("metrics")
    if any(fnmatchcase(metric, pattern) for pattern in declared):
        return []
    return [_unknown_metric(name, metric, declared)]


def _unknown_name(plan: Plan, best: str) -> Fault:
    known = ["loss", *plan.evaluators, *plan.losses]
    name, slash, metric = best.partition("/")
    suggestion = nearest(name, [other for other in known if other not in plan.losses or slash])
    hint = f' (did you mean "{suggestion}{slash}{metric}"?)' if suggestion else ""
    message = f"names no loss and no evaluation of this spec{hint}"
    return Fault(
        _WHERE,
        f'"{name}" is a loss, not one of its scalars' if name in plan.losses else message,
        found=show(best),
        allowed=f'"loss", or EVALUATION/METRIC of {", ".join(plan.evaluators) or "none"}',
        next_step='write "loss", or name a metric such as "zero_shot/top1"',
    )


def _unknown_metric(name: str, metric: str, declared: Iterable[str]) -> Fault:
    names = sorted(declared)
    suggestion = nearest(metric, [_written(pattern, metric) for pattern in names])
    hint = f' (did you mean "{name}/{suggestion}"?)' if suggestion else ""
    return Fault(
        _WHERE,
        f'the evaluation "{name}" has no such metric{hint}',
        found=show(f"{name}/{metric}" if metric else name),
        allowed=", ".join(f"{name}/{pattern}" for pattern in names),
        next_step=f'write "{name}/{suggestion}"' if suggestion else "name one of these",
    )


def _written(pattern: str, metric: str) -> str:
    """A pattern as somebody would write it who has written `metric`: with the same condition.

    >>> _written("*_to_*/recall@1", "image_to_text/recal@1")
    'image_to_text/recall@1'
    """
    condition, slash, _ = metric.rpartition("/")
    if "*" not in pattern or not slash:
        return pattern
    written = f"{condition}/{pattern.rpartition('/')[2]}"
    return written if fnmatchcase(written, pattern) else pattern
