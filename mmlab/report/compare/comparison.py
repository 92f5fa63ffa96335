"""`mmlab compare`, from names to verdicts: the straight line that each comparison walks.

names -> sides -> questions -> answers -> verdicts, and what lies behind them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmlab.report.compare.changes import Change, find_changes
from mmlab.report.compare.labels import Details, read_details
from mmlab.report.compare.questions import Question, find_questions, read_answers
from mmlab.report.compare.sides import Side, find_sides
from mmlab.report.compare.verdicts import Verdict, adjusted, judge, with_needs
from mmlab.store import Store


@dataclass(frozen=True)
class Comparison:
    """Sides beside the first of them, the baseline, question by question.

    `verdicts` are ordered by question, then by side. `details` has what lies behind one of them,
    by its place, where they were asked for. `dropped` counts samples by question that not all sides
    have a value of; `left_out` are the sides that were asked nothing that the first was.
    """

    sides: tuple[Side, ...]
    verdicts: tuple[Verdict, ...]
    changes: tuple[Change, ...]
    details: dict[int, Details]
    dropped: dict[str, int]
    left_out: tuple[str, ...] = ()

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
    questions = find_questions(store, sides, metric, force=force)
    answers = [read_answers(store, question) for question in questions]
    shown = [side.name for side in sides]
    rows = [(one, row) for one in answers for row in range(1, len(one.question.places))]
    verdicts = adjusted([verdict for one in answers for verdict in judge(one, shown)])
    if len(sides) == 2:
        verdicts = [with_needs(one, *where) for one, where in zip(verdicts, rows, strict=True)]
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
        tuple(name for place, name in enumerate(shown) if not _is_asked(place, questions)),
    )


def _is_asked(place: int, questions: Sequence[Question]) -> bool:
    return any(place in question.places for question in questions)
