"""Means over the datasets of a suite compared: one verdict a side, with what its datasets say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from mmlab.metric import OF_SUITE, SHARE
from mmlab.report.compare.questions import Answers, Question
from mmlab.report.compare.verdicts import Verdict, limits_of
from mmlab.report.suites import MAIN, mean_condition
from mmlab.statistics.estimates import Estimate
from mmlab.statistics.pairs import chance_to_be_better
from mmlab.statistics.standing import Flags, JointDifference, Standing, beats_of
from mmlab.statistics.suite_differences import (
    compare_suites,
    suite_difference,
    suite_joint_differences,
    suite_standing,
)
from mmlab.statistics.suites import (
    OnDataset,
    board_suite_scatter,
    estimate_suite,
    joined_parts,
    measure_dataset,
    suite_parts,
)
from mmlab.store import Store, views
from mmlab.store.bulk import among


@dataclass(frozen=True)
class SuiteAnswers:
    """What sides answered on every dataset of a suite: `rows` by side, of the datasets in order.

    `lacking` says, for each side that has no mean, why: a mean over fewer datasets is another.
    """

    question: Question
    answers: tuple[Answers, ...]
    rows: tuple[tuple[OnDataset, ...], ...]
    lacking: Mapping[int, str]


def find_suites(store: Store, answers: Sequence[Answers], sides: int) -> list[SuiteAnswers]:
    """The suites that the first side was asked, of shares; `sides` counts all of them."""
    asked: dict[tuple[str, str, str], dict[str, Answers]] = {}
    for one in answers:
        suite, slash, dataset = one.question.evaluation.partition(OF_SUITE)
        if slash:
            key = (suite, one.question.condition, one.question.split)
            asked.setdefault(key, {})[dataset] = one
    declared = _declared(store, answers)
    found = []
    for found_answers in asked.values():
        numbers = {one.question.numbers[0] for one in found_answers.values()}
        keys = list(dict.fromkeys(key for n in sorted(numbers) for key in declared.get(n, ())))
        if len(keys) > 1 and (made := _suite(keys, found_answers, sides)):
            found.append(made)
    return found


def _declared(store: Store, answers: Sequence[Answers]) -> dict[int, list[str]]:
    """The datasets that evaluations of the first side were asked together with."""
    row = views.run_evaluations.c
    numbers = [one.question.numbers[0] for one in answers]
    query = select(row.evaluation_id, row.suite).where(among(row.evaluation_id, numbers))
    rows = store.frame(query.where(row.suite.is_not(None))).iter_rows()
    return {number: json.loads(keys) for number, keys in rows}


def _suite(keys: Sequence[str], found: Mapping[str, Answers], sides: int) -> SuiteAnswers | None:
    """One suite; None where its metrics are no shares."""
    known = [found[key] for key in keys if key in found]
    if any(one.question.unit != SHARE or one.question.better != "higher" for one in known):
        return None
    lacking = {place: why for place in range(sides) if (why := _lacks(place, keys, found))}
    places = tuple(place for place in range(sides) if place not in lacking)
    rows = [tuple(_on_dataset(one, place) for one in known) for place in places]
    first = known[0].question
    metrics = {one.question.metric for one in known}
    question = Question(
        evaluation=first.evaluation.partition(OF_SUITE)[0],
        condition=mean_condition(first.condition, len(keys)),
        split=first.split,
        dataset_revision="",
        metric=first.metric if len(metrics) == 1 else MAIN,
        unit=SHARE,
        better="higher",
        mean_of="",
        places=places,
        evaluations=(),
        forced=next((one.question.forced for one in known if one.question.forced), None),
    )
    return SuiteAnswers(question, tuple(known), tuple(rows), lacking)


def _lacks(place: int, keys: Sequence[str], found: Mapping[str, Answers]) -> str | None:
    """Why a side has no mean over all datasets, if so."""
    lacking = [key for key in keys if key not in found or place not in found[key].question.places]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    seeds = {tuple(_seeds(found[key], place)) for key in keys}
    return "not every seed was asked every dataset" if len(seeds) > 1 else None


def _seeds(answers: Answers, place: int) -> list[int]:
    question = answers.question
    return sorted(question.evaluations[question.places.index(place)])


def _on_dataset(answers: Answers, place: int) -> OnDataset:
    values = answers.values[answers.question.places.index(place)]
    return measure_dataset(values, answers.clusters, answers.scale)


def judge_suite(found: SuiteAnswers, names: Sequence[str]) -> Iterator[Verdict]:
    """Every side that has a mean but the first beside the first; none where that has none."""
    places, rows = found.question.places, found.rows
    if not places or places[0] != 0 or len(places) < 2:
        return
    pairs = [(row, 0) for row in range(1, len(places))]
    if len(pairs) > 1:
        differences = suite_joint_differences(rows, pairs)
    else:
        differences = [JointDifference(suite_difference(rows[1], rows[0]), None, None)]
    for (row, _), one in zip(pairs, differences, strict=True):
        yield Verdict(
            question=found.question,
            baseline=names[0],
            side=names[places[row]],
            baseline_mean=_mean(rows[0]),
            mean=_mean(rows[row]),
            difference=one.single,
            mcnemar_p=None,
            rank_p=None,
            effect=None,
            chance=_chance(found, places[row]),
            detectable=None,
            joint=limits_of(one),
        )


def _mean(datasets: Sequence[OnDataset]) -> float:
    return float(np.mean([one.measured.squares.mean for one in datasets]))


def _chance(found: SuiteAnswers, place: int) -> float:
    """The mean over datasets of how often a side does better on a sample."""
    chances = [
        chance_to_be_better(
            one.values[one.question.places.index(place)],
            one.values[one.question.places.index(0)],
        )
        for one in found.answers
    ]
    return float(np.mean(chances))


def stand_of_suite(found: SuiteAnswers) -> Standing | None:
    """The ranks of all sides that have a mean, where they are more than two."""
    if len(found.rows) < 3:
        return None
    standing = suite_standing(found.rows)
    return None if standing.reason else standing


def suite_beats(found: SuiteAnswers) -> Flags:
    """Which side's mean is shown to beat which, where `stand_of_suite` has a standing."""
    return beats_of(compare_suites(found.rows))


def estimates_of_suite(found: SuiteAnswers) -> list[Estimate]:
    """The mean over datasets of each side that has one, with its interval."""
    if not found.rows:
        return []
    scatter = board_suite_scatter(joined_parts([suite_parts(row) for row in found.rows]))
    return [estimate_suite(row, scatter) for row in found.rows]
