"""The pictures of a comparison: what is told apart, quality against cost, labels that changed."""

from __future__ import annotations

from collections.abc import Iterator

from mmlab.report.boards.words import figure_text
from mmlab.report.compare.comparison import Comparison
from mmlab.report.compare.ranks import Ranks
from mmlab.report.compare.tradeoffs import TradeOff
from mmlab.report.costs import COSTS
from mmlab.report.pictures.cost import Mark, cost_picture
from mmlab.report.pictures.label_changes import label_changes_pictures
from mmlab.report.pictures.names import told_apart
from mmlab.report.pictures.picture import Picture, named_apart
from mmlab.report.pictures.ranks import MOST, Placed, Standings, ranks_picture
from mmlab.statistics.estimates import Estimate


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """Of three sides and more their ranks and costs; the labels behind verdicts that were read."""
    return named_apart(
        [
            *(_ranks(one) for one in comparison.ranks if len(one.sides) <= MOST),
            *(picture for one in comparison.trade_offs for picture in _costs(one)),
            *label_changes_pictures(comparison),
        ]
    )


def _ranks(found: Ranks) -> Picture:
    names = told_apart(list(found.sides))
    order = found.order
    place_of = {found.sides[place]: number for number, place in enumerate(order)}
    standings = Standings(
        rows=tuple(
            Placed(names[place], found.values[place], _told(found, place)) for place in order
        ),
        groups=tuple((place_of[one[0]], place_of[one[-1]]) for one in found.groups),
        axis=found.metric,
        unit=found.unit,
        is_lower_better=found.better == "lower",
    )
    return ranks_picture(standings, found.question, found.over)


def _told(found: Ranks, place: int) -> str:
    """A side's value and the ranks that it may have."""
    row = {"unit": found.unit, "mean": found.values[place], "low": None, "high": None}
    low, high = found.standing.low[place], found.standing.high[place]
    return f"{figure_text(row)}, rank {low if low == high else f'{low} to {high}'}"


def _costs(found: TradeOff) -> Iterator[Picture]:
    names = told_apart(list(found.sides))
    sign = 1 if found.better == "higher" else -1
    for cost in COSTS:
        if cost.name in found.fronts:
            marks = [
                _mark(name, own[cost.name], value, found.unit)
                for name, own, value in zip(names, found.costs, found.values, strict=True)
                if cost.name in own
            ]
            yield cost_picture(marks, cost, found.metric, found.unit, found.question, sign)


def _mark(name: str, cost: float, value: Estimate, unit: str) -> Mark:
    row = {"unit": unit, "mean": value.value, "low": value.low, "high": value.high}
    return Mark(name, cost, value.value, value.low, value.high, figure_text(row))
