"""Quality against cost of three sides and more, with the Pareto front of each cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import select

from mmlab.report.compare.questions import Answers, Question
from mmlab.report.compare.sides import Side
from mmlab.report.compare.suites import SuiteAnswers, estimates_of_suite
from mmlab.report.compare.verdicts import scatter_of
from mmlab.report.costs import COSTS, median_costs, pareto_front
from mmlab.statistics.estimates import Estimate
from mmlab.statistics.means import estimate_mean
from mmlab.statistics.shares import estimate_share
from mmlab.store import Store, views
from mmlab.store.bulk import among

_FEWEST = 3


@dataclass(frozen=True)
class TradeOff:
    """The sides that answered a question, each with its mean and its costs by name.

    A side lacks the costs that were not measured. `fronts` are the sides on the Pareto front of a
    cost, in the order of it: those of which no side is better that costs as little. There is one
    for each cost in which sides differ.
    """

    question: str
    metric: str
    unit: str
    better: str
    sides: tuple[str, ...]
    values: tuple[Estimate, ...]
    costs: tuple[Mapping[str, float], ...]
    fronts: Mapping[str, tuple[str, ...]]


def find_trade_offs(
    store: Store, sides: Sequence[Side], answers: Sequence[Answers], suites: Sequence[SuiteAnswers]
) -> Iterator[TradeOff]:
    """Those of each question, and each mean over datasets, that three sides answered.

    There are none where no cost tells sides apart.
    """
    asked: list[tuple[Question, Callable[[], list[Estimate]]]] = [
        *((one.question, partial(_estimates, one)) for one in answers),
        *((one.question, partial(estimates_of_suite, one)) for one in suites),
    ]
    if not any(len(question.places) >= _FEWEST for question, _ in asked):
        return
    costs = _costs(store, sides)
    for question, estimates in asked:
        if len(question.places) >= _FEWEST:
            found = _trade_off(question, sides, estimates(), [costs[p] for p in question.places])
            if found.fronts:
                yield found


def _trade_off(
    question: Question,
    sides: Sequence[Side],
    values: Sequence[Estimate],
    costs: Sequence[Mapping[str, float]],
) -> TradeOff:
    names = [sides[place].name for place in question.places]
    sign = 1 if question.better == "higher" else -1
    fronts = {}
    for cost in COSTS:
        known = [place for place, own in enumerate(costs) if cost.name in own]
        points = [(costs[place][cost.name], sign * values[place].value) for place in known]
        if len({spent for spent, _ in points}) > 1:
            fronts[cost.name] = tuple(names[known[place]] for place in pareto_front(points))
    told = (question.name, question.metric, question.unit, question.better)
    return TradeOff(*told, tuple(names), tuple(values), tuple(costs), fronts)


def _estimates(answers: Answers) -> list[Estimate]:
    scatter = scatter_of(answers)
    if answers.scale == "unbounded":
        return [estimate_mean(one, answers.clusters, scatter=scatter) for one in answers.values]
    return [
        estimate_share(one, answers.clusters, scale=answers.scale, scatter=scatter)
        for one in answers.values
    ]


def _costs(store: Store, sides: Sequence[Side]) -> list[dict[str, float]]:
    """Of each side the costs that were measured: medians over its runs."""
    run = views.all_runs.c
    ids = [run_id for side in sides for run_id in side.run_ids]
    found = store.frame(select(run.run_id, run.summary).where(among(run.run_id, ids)))
    summaries = dict(found.rows())
    return [median_costs(summaries[run_id] for run_id in side.run_ids) for side in sides]
