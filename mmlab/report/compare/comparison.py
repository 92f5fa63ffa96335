"""`mmlab compare`, from names to verdicts: the straight line that each comparison walks.

names -> sides -> questions -> answers -> verdicts, and what lies behind them

Published figures have no answers; they are told beside the verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmlab.report.compare.changes import Change, find_changes
from mmlab.report.compare.labels import Details, read_details
from mmlab.report.compare.published import Published, find_published
from mmlab.report.compare.questions import Question, find_questions, read_answers
from mmlab.report.compare.ranks import Ranks, find_ranks
from mmlab.report.compare.sides import Side, find_sides
from mmlab.report.compare.suites import find_suites, judge_suite
from mmlab.report.compare.tradeoffs import TradeOff, find_trade_offs
from mmlab.report.compare.verdicts import Verdict, adjusted, judge, with_needs
from mmlab.store import Store


@dataclass(frozen=True)
class Comparison:
    """Sides beside the first of them, the baseline, question by question.

    `verdicts` are ordered by question, then by side; those of means over datasets come last.
    `details` has what lies behind one of them, by its place, where they were asked for. `ranks` and
    `trade_offs` of quality against cost are those of three sides and more. `dropped` counts samples
    by question that not all sides have a value of; `left_out` are the sides that were asked nothing
    that the first was, and `lacking` says of a suite which sides have no mean, and why.
    """

    sides: tuple[Side, ...]
    verdicts: tuple[Verdict, ...]
    changes: tuple[Change, ...]
    details: dict[int, Details]
    dropped: dict[str, int]
    left_out: tuple[str, ...] = ()
    lacking: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ranks: tuple[Ranks, ...] = ()
    published: tuple[Published, ...] = ()
    trade_offs: tuple[TradeOff, ...] = ()

    @property
    def has_regression(self) -> bool:
        """Whether a side is really worse than the baseline, at 5 % over all that was looked at."""
        return any(verdict.word == "worse" for verdict in self.verdicts)


def compare(
    store: Store,
    names: Sequence[str],
    *,
    metric: str | None = None,
    force: bool = False,
    with_details: bool = False,
) -> Comparison:
    """Compare what names mean with the first of them; see `mmlab.report.compare.sides`.

    `metric` is looked at instead of each evaluation's main one. With `force` evaluations of one
    name are compared whose protocols differ. Raises UsageError.
    """
    sides = find_sides(store, names)
    published = find_published(store, sides, metric)
    questions = find_questions(store, sides, metric, force=force, is_needed=not published)
    answers = [read_answers(store, question) for question in questions]
    suites = find_suites(store, answers, len(sides)) if answers else []
    shown = [side.name for side in sides]
    rows = [(one, row) for one in answers for row in range(1, len(one.question.places))]
    each = [verdict for one in answers for verdict in judge(one, shown)]
    verdicts = adjusted(
        [*each, *(verdict for one in suites for verdict in judge_suite(one, shown))]
    )
    if len(sides) == 2:
        alone = [with_needs(one, *where) for one, where in zip(verdicts, rows, strict=False)]
        verdicts = [*alone, *verdicts[len(alone) :]]
    told = {value.side for one in published for value in one.values}
    left_out = [name for place, name in enumerate(shown) if not _is_asked(place, questions)]
    details = {
        number: read_details(store, *where)
        for number, where in enumerate(rows if with_details else ())
    }
    return Comparison(
        tuple(sides),
        tuple(verdicts),
        tuple(find_changes(store, sides)),
        details,
        {one.question.name: one.dropped for one in answers if one.dropped},
        tuple(name for name in left_out if name not in told),
        {
            one.question.name: {shown[place]: why for place, why in one.lacking.items()}
            for one in suites
            if one.lacking
        },
        tuple(find_ranks(answers, suites, shown)),
        tuple(published),
        tuple(find_trade_offs(store, sides, answers, suites)),
    )


def _is_asked(place: int, questions: Sequence[Question]) -> bool:
    return any(place in question.places for question in questions)
