"""Quality against cost as a table: a row a side, a column a cost, the Pareto fronts marked."""

from __future__ import annotations

from collections.abc import Iterator

from mmlab.report.boards.words import figure_text
from mmlab.report.compare.details import Section
from mmlab.report.compare.tradeoffs import TradeOff
from mmlab.report.costs import COSTS
from mmlab.report.pictures.axes import short

_HEADINGS = {"time": "training", "memory": "peak memory"}


def trade_off_section(found: TradeOff) -> Section:
    """The costs that some side has; those on the front of one have a star there."""
    costs = [cost.name for cost in COSTS if any(cost.name in own for own in found.costs)]
    rows = tuple(
        (side, _value(found, place), *(_cost(found, place, cost) for cost in costs))
        for place, side in enumerate(found.sides)
    )
    columns = ("side", found.metric, *(_HEADINGS.get(cost, cost) for cost in costs))
    return Section(f"Quality against cost: {found.question}", columns, rows, tuple(_notes(found)))


def _value(found: TradeOff, place: int) -> str:
    value = found.values[place]
    row = {"unit": found.unit, "mean": value.value, "low": value.low, "high": value.high}
    return figure_text(row)


def _cost(found: TradeOff, place: int, cost: str) -> str:
    spent = found.costs[place].get(cost)
    if spent is None:
        return "—"
    unit = {"time": " s", "memory": "B"}.get(cost, "")
    mark = "*" if found.sides[place] in found.fronts.get(cost, ()) else ""
    return f"{short(spent)}{unit}{mark}"


def _notes(found: TradeOff) -> Iterator[str]:
    yield (
        "*: on the Pareto front of this cost, no side is better that costs as little; "
        "by the values alone, which intervals may turn around"
    )
    yield "costs are medians over a side's runs; time and memory are of where they ran"
    reasons = dict.fromkeys(one.reason for one in found.values if one.low is None and one.reason)
    if reasons:
        yield f"without an interval: {', '.join(reasons)}"
