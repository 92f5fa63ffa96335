"""Whether one side is better than another: the difference, its interval, tests and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mmlab.report.compare.questions import Answers, Question
from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.differences import TOO_FEW_DIFFERENCES, Difference, paired_difference
from mmlab.statistics.estimates import Array, Scale
from mmlab.statistics.multiple import holm
from mmlab.statistics.pairs import (
    chance_to_be_better,
    exact_mcnemar,
    permutation_of_ranks,
    standardised,
)
from mmlab.statistics.planning import (
    Design,
    Needed,
    clusters_needed,
    design_of,
    seeds_needed,
    smallest_detectable,
)
from mmlab.statistics.standing import (
    Flags,
    JointDifference,
    Standing,
    joint_differences,
    rank_groups,
    told_apart,
)
from mmlab.statistics.variance import SeedScatter, board_scatter

Word = Literal["better", "worse", "no difference shown", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """One side beside the baseline, the first, under one question.

    `difference` is the side's mean less the baseline's, in the metric's unit, with its 95 %
    interval; of three sides and more `joint` are limits that hold for all of them together.
    `adjusted_p` is Holm's over all verdicts of a comparison. `mcnemar_p` is of one seed
    each alone, and `rank_p` of ranks, by permutation: both are of these models, other seeds are not
    in them. `effect` is Cohen's d for pairs, above 0 where the value is higher; `chance` how often
    the side does better on a sample, ties half. `detectable` is the smallest difference that would
    be shown four times in five, None where too few samples differ to know it; where none is shown
    and there are two sides, `seeds_needed` and `samples_needed` (or groups of them) say what would
    show the one that was found.
    """

    question: Question
    baseline: str
    side: str
    baseline_mean: float
    mean: float
    difference: Difference
    mcnemar_p: float | None
    rank_p: float | None
    effect: float | None
    chance: float
    detectable: float | None
    adjusted_p: float | None = None
    seeds_needed: Needed | None = None
    samples_needed: Needed | None = None
    joint: tuple[float, float] | None = None

    @property
    def is_real(self) -> bool:
        """Whether the interval excludes 0, that which holds for all sides where there are more."""
        is_apart = self.joint is None or not self.joint[0] <= 0 <= self.joint[1]
        return self.difference.is_real and is_apart

    @property
    def word(self) -> Word:
        """What can be said of the side, at 5 % over all verdicts of the comparison."""
        if self.difference.p_value is None and not self.difference.is_real:
            return "cannot tell"
        is_shown = self.adjusted_p is None or self.adjusted_p < 0.05
        if not self.is_real or not is_shown:
            return "no difference shown"
        is_higher = self.difference.value > 0
        return "better" if is_higher == (self.question.better == "higher") else "worse"


def judge(answers: Answers, names: Sequence[str]) -> list[Verdict]:
    """Every side that answered but the first beside the first. `names` are all sides'."""
    scatter, places = scatter_of(answers), answers.question.places
    pairs = [(row, 0) for row in range(1, len(places))]
    found = _differences(answers, pairs)
    return [
        _verdict(answers, row, (names[0], names[places[row]]), scatter, one)
        for (row, _), one in zip(pairs, found, strict=True)
    ]


def _differences(answers: Answers, pairs: Sequence[tuple[int, int]]) -> list[JointDifference]:
    """Each with its own interval, and of several with limits that hold together."""
    if len(pairs) > 1:
        return joint_differences(answers.values, pairs, answers.clusters, scale=answers.scale)
    (one, other), clusters = [answers.values[place] for place in pairs[0]], answers.clusters
    return [
        JointDifference(paired_difference(one, other, clusters, scale=answers.scale), None, None)
    ]


def limits_of(found: JointDifference) -> tuple[float, float] | None:
    """The limits that hold together, where there are some."""
    return None if found.low is None or found.high is None else (found.low, found.high)


def stand(answers: Answers) -> Standing | None:
    """The ranks of all sides that answered, where there are more than two."""
    if len(answers.values) < 3:
        return None
    rows, scale = _higher_better(answers)
    found = rank_groups(rows, answers.clusters, scale=scale)
    return None if found.reason else found


def beats_of(answers: Answers) -> Flags:
    """Which side is shown to beat which: as `mmlab.statistics.standing.told_apart`."""
    rows, scale = _higher_better(answers)
    return told_apart(rows, answers.clusters, scale=scale)


def _higher_better(answers: Answers) -> tuple[list[Array], Scale]:
    """The values, of which the higher are better; minus a share is no share."""
    if answers.question.better == "higher":
        return list(answers.values), answers.scale
    return [-one for one in answers.values], "unbounded"


def scatter_of(answers: Answers) -> SeedScatter | None:
    """What seeds do, pooled over the sides: of three at least that have several seeds."""
    rows = [measure(side, answers.clusters).squares for side in answers.values]
    return board_scatter(stacked(rows), answers.scale)


def _verdict(
    answers: Answers,
    row: int,
    names: tuple[str, str],
    scatter: SeedScatter | None,
    joint: JointDifference,
) -> Verdict:
    before, after = answers.values[0], answers.values[row]
    found = joint.single
    sign = 1 if answers.question.better == "higher" else -1
    # McNemar's test is wrong where samples were drawn together.
    are_single = len(before) == len(after) == 1 and answers.clusters is None
    ranks = answers.ranks
    return Verdict(
        question=answers.question,
        baseline=names[0],
        side=names[1],
        baseline_mean=float(before.mean()),
        mean=float(after.mean()),
        difference=found,
        mcnemar_p=(
            exact_mcnemar(before[0], after[0]) if are_single and answers.scale == "share" else None
        ),
        rank_p=permutation_of_ranks(ranks[row], ranks[0]) if ranks else None,
        effect=standardised(after, before),
        chance=chance_to_be_better(sign * after, sign * before),
        detectable=(
            smallest_detectable(_design(answers, row, scatter))
            if found.low is not None and found.reason != TOO_FEW_DIFFERENCES
            else None
        ),
        joint=limits_of(joint),
    )


def _design(answers: Answers, row: int, scatter: SeedScatter | None) -> Design:
    pair = answers.values[row], answers.values[0]
    return design_of(*pair, answers.clusters, scale=answers.scale, scatter=scatter)


def with_needs(verdict: Verdict, answers: Answers, row: int) -> Verdict:
    """The same, with what would show the difference, if it is not shown and could be."""
    value = verdict.difference.value
    if verdict.word != "no difference shown" or value == 0:
        return verdict
    design = _design(answers, row, scatter_of(answers))
    needs = seeds_needed(design, value), clusters_needed(design, value)
    return replace(verdict, seeds_needed=needs[0], samples_needed=needs[1])


def adjusted(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same, with p values that account for how many differences are looked at."""
    known = [one.difference.p_value for one in verdicts if one.difference.p_value is not None]
    steps = iter(holm(known))
    return [
        one if one.difference.p_value is None else replace(one, adjusted_p=next(steps))
        for one in verdicts
    ]
