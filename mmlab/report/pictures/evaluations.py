"""Which evaluations a picture is of, and what of them is read: confusions and reliability bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from mmlab.metric import by_number
from mmlab.report.frames import Runs, of_runs
from mmlab.report.leaderboard import COMPARISON
from mmlab.report.outcomes import BySeed
from mmlab.report.pictures.confusion import (
    MOST_LABELS,
    PAIRS,
    Pair,
    confusion_counts,
    matrix_picture,
    pairs_picture,
)
from mmlab.report.pictures.names import Key
from mmlab.report.pictures.picture import Picture
from mmlab.report.pictures.reliability import read_reliability, reliability_picture
from mmlab.store import Store, views
from mmlab.store.bulk import among


# A row of a leaderboard: values of whatever column.
def newest_evaluations(
    store: Store, row: Mapping[str, Any], runs: Runs = None, *, is_group: bool = False
) -> dict[Key, BySeed]:
    """The newest evaluation of each run in a row's comparison, by group and seed.

    With `is_group` those of the row's own group alone.
    """
    found = views.run_evaluations.c
    names = (*COMPARISON, *(("experiment", "group_hash") if is_group else ()))
    query = select(
        found.experiment, found.group_hash, found.run_id, found.seed, found.evaluation_id
    ).where(*(found[name] == row[name] for name in names))
    frame = store.frame(of_runs(query, found.run_id, runs)).sort("evaluation_id")
    newest = frame.unique("run_id", keep="last", maintain_order=True)
    by_group: dict[Key, dict[int, list[int]]] = {}
    for experiment, group, _, seed, number in newest.iter_rows():
        by_group.setdefault((experiment, group), {}).setdefault(seed, []).append(number)
    return {**by_group}


def read_confusions(store: Store, numbers: Sequence[int], title: str) -> Picture | None:
    """The confusions of evaluations of one recipe; None where nothing was confused or ranked."""
    row = views.label_confusions.c
    is_one = among(row.evaluation_id, numbers)
    labels = _labels(store, numbers[0])
    if not labels:
        return None
    count = func.sum(row.sample_count).label("sample_count")
    query = select(row.truth, row.predicted, count).where(is_one)
    query = query.group_by(row.truth, row.predicted)
    if len(labels) <= MOST_LABELS:
        found = store.frame(query)
        counts = confusion_counts(found, labels) / len(numbers)
        return matrix_picture(counts, labels, title, len(numbers)) if len(found) else None
    wrong = query.where(row.truth != row.predicted).order_by(count.desc(), row.truth, row.predicted)
    pairs = store.frame(wrong.limit(PAIRS))
    totals = dict(store.frame(select(row.truth, count).where(is_one).group_by(row.truth)).rows())
    right = store.frame(select(count).where(is_one, row.truth == row.predicted)).item() or 0
    if pairs.is_empty():
        return None
    share = right / sum(totals.values())
    found_pairs = [
        Pair(truth, predicted, n / len(numbers), totals[truth] / len(numbers))
        for truth, predicted, n in pairs.iter_rows()
    ]
    return pairs_picture(found_pairs, share, len(labels), title, len(numbers))


def read_calibration(store: Store, numbers: Sequence[int], title: str) -> Picture | None:
    """The reliability of evaluations of one recipe; None where scores are no probabilities."""
    row = views.reliability_bins.c
    columns = (row.evaluation_id, row.bin, row.low, row.high, row.sample_count)
    query = select(*columns, row.probability, row.accuracy)
    found = read_reliability(store.frame(query.where(among(row.evaluation_id, numbers))))
    return None if found is None else reliability_picture(found, title)


def _labels(store: Store, number: int) -> list[str]:
    """The labels of an evaluation in their order; those it has results of, and that were met."""
    result, met = views.label_results.c, views.label_confusions.c
    query = select(result.label, result.position).where(result.evaluation_id == number).distinct()
    known = store.frame(query).sort("position")["label"].to_list()
    query = select(met.truth, met.predicted).where(met.evaluation_id == number).distinct()
    frame = store.frame(query)
    others = {*frame["truth"], *frame["predicted"]} - {*known}
    return [*known, *sorted(others, key=by_number)] if not frame.is_empty() else []
