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
        return [_bare_loss(plan, name) if name in plan.losses else _unknown_name(plan, table.best)]
    declared = plan.evaluators[name].declares("metrics")
    if any(fnmatchcase(metric, pattern) for pattern in declared):
        return []
    return [_unknown_metric(name, metric, declared)]


def _bare_loss(plan: Plan, name: str) -> Fault:
    return Fault(
        _WHERE,
        f'"{name}" is a loss, not one of its scalars',
        found=show(name),
        allowed=_allowed(plan),
        next_step=f'write "{name}/loss"' if len(plan.losses) > 1 else 'write "loss"',
    )


def _unknown_name(plan: Plan, best: str) -> Fault:
    known = ["loss", *plan.evaluators, *plan.losses]
    name, slash, metric = best.partition("/")
    nearby = nearest(name, [other for other in known if other not in plan.losses or slash])
    suggestion = f"{nearby}{slash}{metric}" if nearby else None
    hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
    return Fault(
        _WHERE,
        f"names no loss and no evaluation of this spec{hint}",
        found=show(best),
        allowed=_allowed(plan),
        next_step=f'write "{suggestion}"' if suggestion else _say_example(plan, best),
    )


def _allowed(plan: Plan) -> str:
    names = {"LOSS/SCALAR": plan.losses, "EVALUATION/METRIC": plan.evaluators}
    forms = [f"{form} of {', '.join(known)}" for form, known in names.items() if known]
    return "; ".join(['"loss"', *forms])


def _say_example(plan: Plan, best: str) -> str:
    """To write the loss, or a metric of this spec: the one most like what is written."""
    metrics = {
        pattern: f"{name}/{pattern}"
        for name, evaluator in reversed([*plan.evaluators.items()])  # the first has the last word
        for pattern in evaluator.declares("metrics")
    }
    if not metrics:
        return 'write "loss"'
    whole_first = sorted(metrics, key=lambda pattern: ("*" in pattern, pattern))
    example = nearest(best.rpartition("/")[2], whole_first) or whole_first[0]
    return f'write "loss", or name a metric such as "{metrics[example]}"'


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
