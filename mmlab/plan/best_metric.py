"""Whether `train.best` names a metric that the validation of a plan gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.records import name_directions
from mmlab.spec.faults import Fault, nearest, show

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
        return [_starred(name, metric)] if "*" in metric else []
    if name not in plan.evaluators:
        return [_bare_loss(plan, name) if name in plan.losses else _unknown_name(plan, table.best)]
    declared = _metrics(plan, plan.evaluators[name])
    if "*" not in metric and any(fnmatchcase(metric, pattern) for pattern in declared):
        return []
    return [_unknown_metric(name, metric, declared)]


def _metrics(plan: Plan, evaluator: Resolved) -> frozenset[str]:
    """The metrics that an evaluator declares, with this plan's directions of retrieval."""
    declared = evaluator.declares("metrics")
    if len(plan.inputs) != 2 or "similarity" not in evaluator.declares("needs"):
        return declared
    directions = name_directions(*map(plan.modality, plan.inputs))
    return frozenset(
        pattern.replace("*_to_*", direction) for pattern in declared for direction in directions
    )


def _starred(name: str, scalar: str) -> Fault:
    return Fault(
        _WHERE,
        'a "*" names no scalar of a loss',
        found=show(f"{name}/{scalar}"),
        allowed=f"{name}/SCALAR",
        next_step=f'write one scalar, "{name}/loss", say',
    )


def _bare_loss(plan: Plan, name: str) -> Fault:
    return Fault(
        _WHERE,
        f'"{name}" is a loss, not one of its scalars',
        found=show(name),
        allowed=_allowed(plan),
        next_step=f'write "{name}/loss"' if len(plan.losses) > 1 else 'write "loss"',
    )


def _unknown_name(plan: Plan, best: str) -> Fault:
    suggestion = _suggest_name(plan, *best.partition("/"))
    hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
    return Fault(
        _WHERE,
        f"names no loss and no evaluation of this spec{hint}",
        found=show(best),
        allowed=_allowed(plan),
        next_step=f'write "{suggestion}"' if suggestion else _say_example(plan, best),
    )


def _suggest_name(plan: Plan, name: str, slash: str, metric: str) -> str | None:
    """What was meant, with the metric as it is written; only a whole "loss" has none."""
    if name == "loss":
        return f"{metric}/loss" if metric in plan.losses and len(plan.losses) > 1 else "loss"
    known = [*plan.evaluators, *(plan.losses if slash else ["loss"])]
    nearby = nearest(name, known)
    return f"{nearby}{slash}{metric}" if nearby else None


def _allowed(plan: Plan) -> str:
    names = {"LOSS/SCALAR": plan.losses, "EVALUATION/METRIC": plan.evaluators}
    forms = [f"{form} of {', '.join(known)}" for form, known in names.items() if known]
    return "; ".join(['"loss"', *forms])


def _say_example(plan: Plan, best: str) -> str:
    """To write the loss, or a metric of this spec: the one most like what is written."""
    metrics = {
        pattern: f"{name}/{pattern}"
        for name, evaluator in reversed([*plan.evaluators.items()])  # the first has the last word
        for pattern in _metrics(plan, evaluator)
        if "*" not in pattern
    }
    if not metrics:
        return 'write "loss"'
    example = _nearest_metric(best.rpartition("/")[2], metrics) or min(metrics)
    return f'write "loss", or name a metric such as "{metrics[example]}"'


def _nearest_metric(metric: str, names: Iterable[str]) -> str | None:
    """The most similar of some metrics; one that is written without a condition may have any.

    >>> _nearest_metric("recal@1", ["image_to_text/recall@1", "image_to_text/recall@5"])
    'image_to_text/recall@1'
    """
    bare = "/" not in metric
    known = {name.rpartition("/")[2] if bare else name: name for name in sorted(names)[::-1]}
    suggestion = nearest(metric, known)
    return known[suggestion] if suggestion else None


def _unknown_metric(name: str, metric: str, declared: Iterable[str]) -> Fault:
    names = sorted(declared)
    written = [_written(pattern, metric) for pattern in names]
    suggestion = _nearest_metric(metric, [other for other in written if "*" not in other])
    hint = f' (did you mean "{name}/{suggestion}"?)' if suggestion else ""
    return Fault(
        _WHERE,
        f'the evaluation "{name}" has no such metric{hint}',
        found=show(f"{name}/{metric}" if metric else name),
        allowed=", ".join(f"{name}/{pattern}" for pattern in names),
        next_step=f'write "{name}/{suggestion}"' if suggestion else _say_choice(names),
    )


def _say_choice(names: Sequence[str]) -> str:
    has_conditions = any("*" in pattern for pattern in names)
    return "name one of these" + (', with a condition in place of "*"' if has_conditions else "")


def _written(pattern: str, metric: str) -> str:
    """A pattern as somebody would write it who has written `metric`: with the same condition.

    >>> _written("*/mean_rank", "image noise 0.5/mean_rnk")
    'image noise 0.5/mean_rank'
    """
    condition, slash, _ = metric.rpartition("/")
    if "*" not in pattern or not slash:
        return pattern
    written = f"{condition}/{pattern.rpartition('/')[2]}"
    return written if fnmatchcase(written, pattern) else pattern
