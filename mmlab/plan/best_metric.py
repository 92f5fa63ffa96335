"""Whether `train.best` names a metric that the validation of a plan gives, and its direction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Literal

from mmlab.metric import LOSS, OF_SUITE, Better, by_number, find
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.plan.registry import OWN
from mmlab.records import name_directions
from mmlab.spec import TrainTable
from mmlab.spec.faults import Fault, nearest, show

_WHERE = ("train", "best")
_MODES: dict[Better, Literal["min", "max"]] = {"lower": "min", "higher": "max"}


def best_faults(plan: Plan) -> list[Fault]:
    """What is wrong with `train.best`, as far as losses and evaluators declare their metrics.

    Which scalars a loss gives, and what stands for a "*", is known before the first step.
    """
    table = plan.cell.spec.train
    if table is None or table.best == "loss":
        return []
    name, slash, metric = table.best.partition("/")
    if name in plan.losses and slash:
        return [_starred(name, metric)] if "*" in metric else _aimless(plan, table)
    if name not in plan.evaluators:
        return [_bare_loss(plan, name) if name in plan.losses else _unknown_name(plan, table.best)]
    declared = _metrics(plan, plan.evaluators[name])
    is_known = "*" not in metric and any(fnmatchcase(metric, pattern) for pattern in declared)
    if is_known or not declared:
        return _aimless(plan, table)
    return [_unknown_metric(name, metric, declared)]


def new_best_faults(plan: Plan) -> list[Fault]:
    """What is wrong with the `train.best` of a cell that is yet to be run; stored ones may have it.

    What a dataset's class says of all its data is known before they are read.
    """
    table = plan.cell.spec.train
    if table is None or best_faults(plan):
        return []
    of_one_label = getattr(plan.dataset.factory, "is_multi_label", None) is False
    undefined = _of_several(plan) if of_one_label else None
    return [undefined] if undefined else _opposite(plan, table)


#: Metrics of mmlab's evaluators that only several labels a sample have.
_OF_SEVERAL_LABELS = frozenset({"mAP", "mAP_absent_as_zero", "mean_auroc"})


def undefined_best(plan: Plan, is_multi_label: bool, label_count: int) -> str | None:
    """What is wrong with a `train.best` that is not defined for the data; None if nothing is.

    It is known when the data are, and told before the first step.
    """
    fault = None if is_multi_label else _of_several(plan)
    if fault is None and label_count < 5:
        fault = _undefined(plan, frozenset({"top5"}), f"needs five labels, found {label_count}")
    if fault is None:
        return None
    parts = {"found": fault.found, "allowed": fault.allowed, "next_step": fault.next_step}
    return plan.explain(_WHERE, fault.message, **parts)


def _of_several(plan: Plan) -> Fault | None:
    """The fault of a `train.best` that is defined for several labels a sample alone."""
    return _undefined(plan, _OF_SEVERAL_LABELS, "is of several labels a sample, the data have one")


def _undefined(plan: Plan, names: frozenset[str], why: str) -> Fault | None:
    """The fault of a `train.best` that is one of these metrics of mmlab's own evaluators."""
    table = plan.cell.spec.train
    name, _, metric = table.best.partition("/") if table else ("", "", "")
    evaluator = plan.evaluators.get(name)
    own = evaluator is not None and evaluator.entry.distribution == OWN
    if evaluator is None or not own or not names & set(metric.split("/")):
        return None
    others = [one for one in _metrics(plan, evaluator) if not names & {*one.split("/")}]
    top = next((one for one in others if "top1" in one and "*" not in one), None)
    return Fault(
        _WHERE,
        f"this metric {why}",
        found=show(f"{name}/{metric}"),
        allowed=", ".join(f"{name}/{pattern}" for pattern in others),
        next_step=f'write "{name}/{top}"' if top else "name one of these",
    )


def train_table(plan: Plan) -> TrainTable | None:
    """The plan's `[train]` with `best_mode` "min" or "max": what the metric's declaration says.

    A plan without `best_faults` has a direction.
    """
    table = plan.cell.spec.train
    if table is None or table.best_mode != "auto":
        return table
    better = _better(plan, table.best)
    assert better is not None, "a metric without a direction is a fault of the spec"
    return table.model_copy(update={"best_mode": _MODES[better]})


def _better(plan: Plan, best: str) -> Better | None:
    """Which way what `train.best` names is better, as whoever gives it declares."""
    if best == LOSS.name:
        return LOSS.better
    name, _, metric = best.partition("/")
    if name in plan.losses:
        found = find(plan.losses[name].metrics, metric)
        return found[1].better if found else None
    covering = (one for one in plan.evaluators[name].metrics if one.covers(metric))
    return next((one.better for one in covering), None)


def _aimless(plan: Plan, table: TrainTable) -> list[Fault]:
    """A metric of which nobody says which way it is better: neither its giver nor the spec."""
    if table.best_mode != "auto" or _better(plan, table.best) is not None:
        return []
    name = table.best.partition("/")[0]
    giver = plan.losses.get(name) or plan.evaluators[name]
    fault = Fault(
        _WHERE,
        f"{giver.entry.name} does not declare which way this metric is better",
        found=f'{show(table.best)} with best_mode = "auto"',
        allowed='best_mode = "min" or "max", or a metric that is declared higher or lower',
        next_step='set train.best_mode to "min" or to "max"',
    )
    return [fault]


def _opposite(plan: Plan, table: TrainTable) -> list[Fault]:
    """A `best_mode` against the direction that the metric is declared with."""
    better = _better(plan, table.best)
    if better is None or table.best_mode in ("auto", _MODES[better]):
        return []
    mode = show(_MODES[better])
    fault = Fault(
        ("train", "best_mode"),
        f"{show(table.best)} is declared to be better {better}, so this would keep the worst",
        found=show(table.best_mode),
        allowed=f'"auto", {mode}',
        next_step=f"remove it, or write {mode}",
    )
    return [fault]


def _metrics(plan: Plan, evaluator: Resolved) -> list[str]:
    """An evaluator's metrics, "*" for what is not known; of retrieval with this plan's directions.

    Each is the name behind its condition, as `train.best` has it.
    """
    paths = [re.sub(r"\{\w+\}", "*", metric.path) for metric in evaluator.metrics]
    if len(plan.inputs) != 2 or "similarity" not in evaluator.declares("needs"):
        return paths
    directions = name_directions(*map(plan.modality, plan.inputs))
    named = (path.replace("*_to_*", direction) for path in paths for direction in directions)
    return list(dict.fromkeys(named))


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
    known = [*_alone(plan), *(plan.losses if slash else ["loss"])]
    nearby = nearest(name, known)
    return f"{nearby}{slash}{metric}" if nearby else None


def _alone(plan: Plan) -> dict[str, Resolved]:
    """The evaluators of one dataset each: no weights are chosen by a suite of other data."""
    return {name: one for name, one in plan.evaluators.items() if OF_SUITE not in name}


def _allowed(plan: Plan) -> str:
    names = {"LOSS/SCALAR": plan.losses, "EVALUATION/METRIC": _alone(plan)}
    forms = [f"{form} of {', '.join(known)}" for form, known in names.items() if known]
    return "; ".join(['"loss"', *forms])


def _say_example(plan: Plan, best: str) -> str:
    """To write the loss, or a metric of this spec: the one most like what is written."""
    metrics = {
        pattern: f"{name}/{pattern}"
        for name, evaluator in reversed([*_alone(plan).items()])  # the first has the last word
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
    names = sorted(declared, key=by_number)
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
