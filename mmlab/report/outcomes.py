"""Outcomes of samples as tables (seeds, samples): what intervals and comparisons are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import select

from mmlab.metric import MEDIAN_RANK
from mmlab.store import Store, views
from mmlab.store.bulk import among

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

#: The evaluations of one recipe by seed; of a seed that was repeated several.
BySeed = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Answered:
    """What a recipe answered: values (seeds, samples), and the numbers of the samples.

    `clusters` numbers what was drawn together; None where each sample was drawn alone.
    """

    samples: Numbers
    values: Array
    clusters: Numbers | None = None

    def on(self, samples: Numbers) -> Array:
        """The values of some of the samples, in their order."""
        return self.values[:, np.searchsorted(self.samples, samples)]

    def clusters_on(self, samples: Numbers) -> Numbers | None:
        """The clusters of some of the samples, in their order."""
        if self.clusters is None:
            return None
        return self.clusters[np.searchsorted(self.samples, samples)]


class Outcomes:
    """The stored rows of samples of some evaluations."""

    def __init__(self, rows: pl.DataFrame) -> None:
        """`rows` has evaluation_id, sample_id, outcome, rank and cluster."""
        rows = rows.sort("evaluation_id", "sample_id")
        self._samples = rows["sample_id"].to_numpy().astype(np.int64)
        self._outcome = rows["outcome"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        self._rank = rows["rank"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        self._cluster = _numbered(rows)
        found, starts = np.unique(rows["evaluation_id"].to_numpy(), return_index=True)
        bounds = [*starts.tolist(), len(rows)]
        self._where = {
            int(one): slice(*bounds[place : place + 2]) for place, one in enumerate(found)
        }

    @classmethod
    def read(cls, store: Store, evaluations: Iterable[int]) -> Outcomes:
        """Those of these evaluations, in one statement."""
        row = views.sample_outcomes.c
        query = select(row.evaluation_id, row.sample_id, row.outcome, row.rank, row.cluster)
        return cls(store.frame(query.where(among(row.evaluation_id, sorted(set(evaluations))))))

    def answered(self, evaluations: BySeed, mean_of: str) -> Answered | None:
        """A recipe's values of what a metric is the mean or median of; see `Metric.mean_of`.

        Samples that no seed has a value of are left out. None where the seeds have values of
        different samples, or of none.
        """
        tables = [self._of_seed(evaluations[seed], mean_of) for seed in sorted(evaluations)]
        known = [table for table in tables if table is not None]
        if len(known) < len(tables) or not known or not len(known[0].samples):
            return None
        first = known[0].samples
        if not all(np.array_equal(first, table.samples) for table in known[1:]):
            return None
        values = np.concatenate([table.values for table in known])
        return Answered(first, values, known[0].clusters)

    def ranks(self, evaluations: BySeed) -> Answered | None:
        """The best ranks of a truth, from 1; None as above, or where a sample has none."""
        found = self.answered(evaluations, "rank")
        return found if found is not None and bool((found.values >= 1).all()) else None

    def _of_seed(self, evaluations: Sequence[int], mean_of: str) -> Answered | None:
        """The mean over a seed's repetitions."""
        tables = [self._of(one, mean_of) for one in evaluations if one in self._where]
        if len(tables) < len(evaluations) or not tables:
            return None
        first = tables[0].samples
        if not all(np.array_equal(first, table.samples) for table in tables[1:]):
            return None
        mean = np.mean([table.values for table in tables], axis=0)[None]
        return Answered(first, mean, tables[0].clusters)

    def _of(self, evaluation: int, mean_of: str) -> Answered:
        where = self._where[evaluation]
        values = _values(self._outcome[where], self._rank[where], mean_of)
        known = ~np.isnan(values)
        clusters = None if self._cluster is None else self._cluster[where][known]
        return Answered(self._samples[where][known], values[known], clusters)


def _numbered(rows: pl.DataFrame) -> Numbers | None:
    """A number for each row's cluster, its sample's own below 0; None where none has a cluster."""
    if rows["cluster"].null_count() == len(rows):
        return None
    number = rows["cluster"].rank("dense").cast(pl.Int64)
    return number.fill_null(-rows["sample_id"] - 1).to_numpy().astype(np.int64)


def _values(outcome: Array, rank: Array, mean_of: str) -> Array:
    if mean_of == "rank":
        return rank
    if mean_of == MEDIAN_RANK:  # a truth behind imported first labels is behind their ranks
        return np.where(np.isnan(rank) & ~np.isnan(outcome), np.inf, rank)
    if mean_of.startswith("rank<="):
        hit = (rank >= 1) & (rank <= int(mean_of.removeprefix("rank<=")))
        # Imported first labels may not hold the truth: it has an outcome and no rank.
        is_unknown = np.isnan(rank) & np.isnan(outcome)
        return np.where(is_unknown, np.nan, hit.astype(np.float64))
    return -outcome if mean_of.startswith("-") else outcome
