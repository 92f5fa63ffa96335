"""The order in which cells are executed: after those whose weights they start from."""

from __future__ import annotations

from collections.abc import Sequence

from mmlab.errors import SpecError, explain
from mmlab.plan.plan import Plan


def in_order(plans: Sequence[Plan]) -> list[Plan]:
    """The plans, each after those whose weights it starts from; otherwise in the given order.

    Raises SpecError when experiments wait for each other.
    """
    names = {plan.cell.experiment for plan in plans}
    waiting, ordered, finished = list(plans), [], set[str]()
    while waiting:
        ready = [plan for plan in waiting if (_needs(plan) & names) <= finished]
        if not ready:
            raise _circle(waiting)
        ordered += ready
        waiting = [plan for plan in waiting if plan not in ready]
        finished = names - {plan.cell.experiment for plan in waiting}
    return ordered


def _needs(plan: Plan) -> set[str]:
    tables = [table.weights for table in plan.cell.spec.encoders.values()]
    return {table.run for table in tables if table is not None and table.run is not None}


def _circle(plans: Sequence[Plan]) -> SpecError:
    names = ", ".join(sorted({plan.cell.experiment for plan in plans}))
    return SpecError(
        explain(
            waiting_place(plans[0]),
            "experiments wait for each other's weights",
            found=names,
            allowed="an order in which every experiment comes after those it starts from",
            next_step="remove one of the `weights = { run = ... }`",
        )
    )


def waiting_place(plan: Plan) -> str:
    """The place in a spec that waits for another experiment's weights."""
    tables = plan.cell.spec.encoders.items()
    key = next(key for key, table in tables if table.weights is not None and table.weights.run)
    return plan.place("encoders", key, "weights", "run")
