"""What critical-difference pictures are of: recipes of one comparison, or over several datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import rankdata
from sqlalchemy import select

from mmlab.metric import SHARE
from mmlab.report.boards.words import counted, figure_text
from mmlab.report.frames import Runs
from mmlab.report.outcomes import Answered, Array, Numbers, Outcomes
from mmlab.report.pictures.evaluations import newest_evaluations
from mmlab.report.pictures.names import Key, group_names
from mmlab.report.pictures.ranks import FEWEST, MOST, Placed, Standings, stretches
from mmlab.statistics.estimates import Scale, scale_of
from mmlab.statistics.standing import told_apart
from mmlab.store import Store, views
from mmlab.store.bulk import among

#: Outcomes, of samples and seeds, that are read for one picture: a second's work.
MOST_OUTCOMES = 5_000_000

# Rows of frames: values of whatever column.
Row = dict[str, Any]


@dataclass(frozen=True)
class Dataset:
    """What recipes answered in one comparison, higher being better, with their leaderboard rows.

    `seeds` are each recipe's, in the order of its answers.
    """

    part: pl.DataFrame
    answers: Mapping[Key, Answered]
    seeds: Mapping[Key, tuple[int, ...]]

    @property
    def sign(self) -> int:
        """Minus one where less is better."""
        return 1 if self.part["better"][0] == "higher" else -1


def read_dataset(store: Store, part: pl.DataFrame, runs: Runs = None) -> Dataset | None:
    """The answers of a comparison's recipes whose ranks are known, by its rows of one metric.

    None where there are fewer than FEWEST, more than MOST, or too many outcomes to read again.
    """
    part = part.filter(pl.col("rank_low").is_not_null())
    outcomes_count = (part["samples"] * part["seeds"]).sum()
    if not FEWEST <= len(part) <= MOST or outcomes_count > MOST_OUTCOMES:
        return None
    by_group = newest_evaluations(store, part.row(0, named=True), runs)
    keys = list(part.select("experiment", "group_hash").iter_rows())
    numbers = [one for key in keys for ids in by_group[key].values() for one in ids]
    mean_of = _mean_of(store, numbers[0], part["metric"][0])
    outcomes = Outcomes.read(store, numbers)
    found = {key: outcomes.answered(by_group[key], mean_of) for key in keys}
    known = {key: one for key, one in found.items() if one is not None}
    if len(known) < len(keys):
        return None
    return Dataset(part, known, {key: tuple(sorted(by_group[key])) for key in keys})


def one_dataset(found: Dataset) -> Standings:
    """Recipes on the axis of their metric."""
    rows = found.part.sort("mean", descending=found.sign > 0).to_dicts()
    names = group_names(rows)
    keys = [(row["experiment"], row["group_hash"]) for row in rows]
    values = [found.sign * found.answers[key].values for key in keys]
    scale = _scale(found.part["unit"][0], values, found.sign)
    beats = told_apart(values, found.answers[keys[0]].clusters, scale=scale)
    return Standings(
        rows=tuple(
            Placed(names[key], row["mean"], f"{figure_text(row)}, rank {_rank(row)}")
            for key, row in zip(keys, rows, strict=True)
        ),
        groups=tuple(stretches(beats)),
        axis=found.part["metric"][0],
        unit=found.part["unit"][0],
        is_lower_better=found.sign < 0,
    )


def over_datasets(found: Sequence[Dataset]) -> Standings | None:
    """Recipes on the axis of their mean rank over datasets; None where too few were asked by all.

    They are told apart by the mean of the datasets' metrics, each dataset weighing the same: by
    the outcomes of all samples, which a share of 1 / datasets of the weight belongs to.
    """
    keys = [
        key
        for key in found[0].answers
        if all(key in one.answers and one.seeds[key] == found[0].seeds[key] for one in found)
    ]
    if not FEWEST <= len(keys) <= MOST:
        return None
    means = np.array([[one.sign * _mean(one, key) for key in keys] for one in found])
    ranks = rankdata(-means, axis=1).mean(0)
    order = [int(place) for place in np.argsort(ranks, kind="stable")]
    values = [_weighted([one.sign * one.answers[keys[k]].values for one in found]) for k in order]
    clusters = _joined_clusters([one.answers[keys[0]] for one in found])
    names = group_names(row for row in found[0].part.to_dicts() if _key(row) in set(keys))
    beats = told_apart(values, clusters, scale="unbounded")
    placed = (Placed(names[keys[k]], float(ranks[k]), f"mean rank {ranks[k]:.2f}") for k in order)
    axis = f"mean rank over {counted(len(found), 'dataset')}"
    return Standings(tuple(placed), tuple(stretches(beats)), axis, "rank", is_lower_better=True)


def over_words(found: Sequence[Dataset]) -> str:
    """Over what recipes are compared: datasets, samples and seeds."""
    seeds = {len(each) for one in found for each in one.seeds.values()}
    samples = sum(len(next(iter(one.answers.values())).samples) for one in found)
    shown = str(min(seeds)) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    what = f"{counted(samples, 'sample')}, {shown} seed{'s' if max(seeds) > 1 else ''} each"
    return what if len(found) == 1 else f"{len(found)} datasets, {what}"


def _mean_of(store: Store, evaluation: int, metric: str) -> str:
    row, told = views.leaderboard.c, views.declared_metrics.c
    query = (
        select(told.mean_of)
        .join(views.leaderboard, told.metric_declaration_id == row.metric_declaration_id)
        .where(among(row.evaluation_id, [evaluation]), row.metric == metric)
    )
    found: str = store.frame(query).item()
    return found


def _scale(unit: str, values: Sequence[Array], sign: int) -> Scale:
    every = np.concatenate([one.ravel() for one in values])
    return scale_of(every, is_share=unit == SHARE) if sign > 0 else "unbounded"


def _mean(found: Dataset, key: Key) -> float:
    return float(found.answers[key].values.mean())


def _weighted(parts: Sequence[Array]) -> Array:
    """Values of all datasets' samples whose plain mean is the mean of the datasets' means."""
    total = sum(part.shape[1] for part in parts)
    return np.concatenate([part * total / (len(parts) * part.shape[1]) for part in parts], axis=1)


def _joined_clusters(answers: Sequence[Answered]) -> Numbers | None:
    """Clusters of several datasets' samples; one drawn alone is a cluster of its own."""
    if all(one.clusters is None for one in answers):
        return None
    start, found = 0, []
    for one in answers:
        own = np.arange(len(one.samples)) if one.clusters is None else one.clusters
        _, numbered = np.unique(own, return_inverse=True)
        found.append(numbered + start)
        start += int(numbered.max()) + 1
    return np.concatenate(found)


def _key(row: Row) -> Key:
    return row["experiment"], row["group_hash"]


def _rank(row: Row) -> str:
    low, high = row["rank_low"], row["rank_high"]
    return f"{low}" if low == high else f"{low} to {high}"


def same_recipes(datasets: Sequence[Dataset]) -> Iterator[list[Dataset]]:
    """Those of one main metric on different data, several at a time."""
    found: dict[str, dict[str, Dataset]] = {}
    for one in datasets:
        of_metric = found.setdefault(one.part["metric"][0], {})
        of_metric.setdefault(one.part["dataset_revision"][0], one)
    return (list(each.values()) for each in found.values() if len(each) > 1)
