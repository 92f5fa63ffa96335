"""Ranks of three sides and more: which places each may have, and which are not told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmlab.report.boards.words import counted
from mmlab.report.compare.questions import Answers, Question
from mmlab.report.compare.suites import SuiteAnswers, stand_of_suite, suite_beats
from mmlab.report.compare.verdicts import beats_of, stand
from mmlab.report.pictures.ranks import stretches
from mmlab.statistics.standing import Flags, Standing

#: Sides of which groups are found.
_MOST = 40


@dataclass(frozen=True)
class Ranks:
    """The standing of all sides that answered a question, in their order.

    `values` are the sides' means, `over` says of how many samples and seeds. Of a group, from the
    best to the last, none is shown to be better than another; a side may be in several. There are
    none for more than 40 sides.
    """

    question: str
    sides: tuple[str, ...]
    standing: Standing
    metric: str
    unit: str
    better: str
    values: tuple[float, ...]
    over: str
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def order(self) -> list[int]:
        """Places of the sides from the best to the last."""
        sign = -1 if self.better == "higher" else 1
        return sorted(range(len(self.values)), key=lambda place: sign * self.values[place])


def find_ranks(
    answers: Sequence[Answers], suites: Sequence[SuiteAnswers], names: Sequence[str]
) -> Iterator[Ranks]:
    """Those of each question, and of each mean over datasets, that three sides answered.

    `names` are all sides'. There are none where samples are too few to tell any.
    """
    for one in answers:
        if (standing := stand(one)) is not None:
            means = [float(side.mean()) for side in one.values]
            over = _over([len(side) for side in one.values], len(one.samples))
            beats = beats_of(one) if len(means) <= _MOST else None
            yield _ranks(one.question, names, standing, means, over, beats)
    for suite in suites:
        if (standing := stand_of_suite(suite)) is not None:
            means = [float(np.mean([d.measured.squares.mean for d in row])) for row in suite.rows]
            seeds = [int(row[0].measured.squares.seeds) for row in suite.rows]
            samples = sum(len(one.samples) for one in suite.answers)
            over = f"{counted(len(suite.answers), 'dataset')}, {_over(seeds, samples)}"
            beats = suite_beats(suite) if len(means) <= _MOST else None
            yield _ranks(suite.question, names, standing, means, over, beats)


def _ranks(
    question: Question,
    names: Sequence[str],
    standing: Standing,
    means: Sequence[float],
    over: str,
    beats: Flags | None,
) -> Ranks:
    found = Ranks(
        question.name,
        tuple(names[place] for place in question.places),
        standing,
        question.metric,
        question.unit,
        question.better,
        tuple(means),
        over,
    )
    return found if beats is None else _with_groups(found, beats)


def _with_groups(found: Ranks, beats: Flags) -> Ranks:
    order = found.order
    sorted_beats = beats[np.ix_(order, order)]
    groups = tuple(
        tuple(found.sides[place] for place in order[first : last + 1])
        for first, last in stretches(sorted_beats)
    )
    return replace(found, groups=groups)


def _over(seeds: Sequence[int], samples: int) -> str:
    """Over how many samples and seeds sides are compared.

    >>> _over([3, 3], 1200), _over([1, 3], 150)
    ('1,200 samples, 3 seeds each', '150 samples, 1 to 3 seeds each')
    """
    least, most = min(seeds), max(seeds)
    shown = counted(most, "seed") if least == most else f"{least} to {most} seeds"
    return f"{counted(samples, 'sample')}, {shown} each"
