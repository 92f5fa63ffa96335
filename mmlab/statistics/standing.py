"""Rank groups instead of places: who may be the best, and which ranks hold together.

Comparison with the best: Hsu, Annals of Statistics 12 (1984), 1136-1144, and Edwards and Hsu, JASA
78 (1983), 965-971. Intervals of all ranks: Mogstad, Romano, Shaikh and Wilhelm, Review of Economic
Studies 91 (2024), 476-518. Many against one: Dunnett, JASA 50 (1955), 1096-1121.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmlab.statistics.crossed import Measured, measure_rows
from mmlab.statistics.differences import Difference, paired_difference
from mmlab.statistics.estimates import (
    LEVEL,
    TOO_FEW_SAMPLES,
    UNEVEN,
    Scale,
    are_uneven,
    fewest_clusters,
)
from mmlab.statistics.joint import Comparison, compare_rows
from mmlab.statistics.variance import POOL_ROWS

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Standing:
    """The standing of K rows.

    `tied` are the rows tied for first: each row that is truly best is among them with 95 %. `low`
    and `high` are the ends of each row's rank, from 1; all of them hold together with 95 %.
    `scatters_more` marks rows whose seeds scatter more than the others'. `reason` says why nothing
    could be told apart, if nothing could.
    """

    tied: tuple[bool, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    scatters_more: tuple[bool, ...]
    reason: str | None = None

    @property
    def words(self) -> str:
        """The standing of the first in words.

        >>> Standing((True, True, False), (1, 1, 2), (2, 3, 3), (False,) * 3).words
        'tied for first: 2 of 3'
        """
        count, rows = sum(self.tied), len(self.tied)
        return f"first: 1 of {rows}" if count == 1 else f"tied for first: {count} of {rows}"


def rank_groups(
    rows: Sequence[npt.ArrayLike],
    clusters: npt.ArrayLike | None = None,
    *,
    scale: Scale = "share",
) -> Standing:
    """The standing of rows, each (seeds, samples) of finite outcomes on the same samples.

    Higher is better. `clusters` has an id a sample. Rows may differ in their seeds.
    """
    measured, count = measure_rows(rows, clusters), len(rows)
    reason = _no_standing(measured, clusters, scale)
    if reason is not None:
        every, no = (True,) * count, (False,) * count
        return Standing(every, (1,) * count, (count,) * count, no, reason)
    return standing_of(compare_rows(measured, scale))


def _no_standing(measured: Measured, clusters: npt.ArrayLike | None, scale: Scale) -> str | None:
    """Why nothing is known of differences between rows; None where something is."""
    if measured.profile.shape[-1] < fewest_clusters(scale):
        return TOO_FEW_SAMPLES
    return UNEVEN if are_uneven(clusters, int(measured.squares.samples[0])) else None


def told_apart(
    rows: Sequence[npt.ArrayLike],
    clusters: npt.ArrayLike | None = None,
    *,
    scale: Scale = "share",
) -> Flags:
    """Which rows are shown to beat which: (K, K), true where the row beats the column.

    With 95 % no row beats one that is at least as good. `rows` as `rank_groups` has them; of too
    few samples, or too uneven groups of them, none beats another.
    """
    measured, count = measure_rows(rows, clusters), len(rows)
    if _no_standing(measured, clusters, scale) is not None:
        return np.zeros((count, count), dtype=np.bool_)
    return beats_of(compare_rows(measured, scale))


def beats_of(found: Comparison) -> Flags:
    """The same as `told_apart`, of rows whose differences and draws are known."""
    _, quantile = _compared_with_best(found)
    return np.asarray(found.difference > quantile * found.error)


def standing_of(found: Comparison) -> Standing:
    """The standing of rows whose differences and draws are known."""
    count = len(found.difference)
    tied, quantile = _compared_with_best(found)
    beats = found.difference / found.error > quantile
    return Standing(
        tied=tuple(tied.tolist()),
        low=tuple((1 + beats.sum(0)).tolist()),
        high=tuple((count - beats.sum(1)).tolist()),
        scatters_more=tuple(found.scatters_more.tolist()),
    )


def _compared_with_best(found: Comparison) -> tuple[Flags, float]:
    """Which rows none is shown to beat, and the quantile of the maximum over all pairs."""
    draws = found.draws.astype(np.float32)  # half the time, and quantiles of draws are no finer
    highest, above, factor = np.empty_like(draws), np.empty_like(draws), 1 / found.error
    for row in range(len(draws)):
        np.subtract(draws, draws[row], out=above)
        np.multiply(above, factor[row, :, None].astype(np.float32), out=above)
        above.max(0, out=highest[row])  # at least 0: the row against itself
    quantiles = np.quantile(highest, LEVEL, axis=1)
    is_beaten = found.difference / found.error > quantiles  # by the row, the column
    np.fill_diagonal(is_beaten, False)
    return np.logical_not(is_beaten.any(0)), float(np.quantile(highest.max(0), LEVEL))


@dataclass(frozen=True)
class JointDifference:
    """A difference with its own interval, and limits that hold together with those beside it."""

    single: Difference
    low: float | None
    high: float | None


def joint_differences(
    rows: Sequence[npt.ArrayLike],
    pairs: Sequence[tuple[int, int]],
    clusters: npt.ArrayLike | None = None,
    *,
    scale: Scale = "share",
) -> list[JointDifference]:
    """Differences of pairs of rows, first minus second: a gain table, many against a baseline.

    With 95 % no true difference of the table is outside its joint limits. `rows` as `rank_groups`
    has them.
    """
    measured = measure_rows(rows, clusters)
    if _no_standing(measured, clusters, scale) is not None:
        alone = [paired_difference(rows[i], rows[j], clusters, scale=scale) for i, j in pairs]
        return [JointDifference(one, None, None) for one in alone]
    found = compare_rows(measured, scale)
    quantile = quantile_over(found, pairs)
    return [_joint(rows, pair, clusters, scale, found, quantile) for pair in pairs]


def quantile_over(found: Comparison, pairs: Sequence[tuple[int, int]]) -> float:
    """How many standard errors limits are apart that hold for all of these pairs together."""
    largest = np.zeros(found.draws.shape[1])
    for one, other in pairs:
        t = np.abs(found.draws[one] - found.draws[other]) / found.error[one, other]
        np.maximum(largest, t, out=largest)
    return float(np.quantile(largest, LEVEL))


def _joint(
    rows: Sequence[npt.ArrayLike],
    pair: tuple[int, int],
    clusters: npt.ArrayLike | None,
    scale: Scale,
    found: Comparison,
    quantile: float,
) -> JointDifference:
    """Never narrower than the single interval."""
    one, other = pair
    is_pooled = len(rows) >= POOL_ROWS and not found.scatters_more[[one, other]].any()
    scatter = found.scatter if is_pooled else None
    single = paired_difference(rows[one], rows[other], clusters, scale=scale, scatter=scatter)
    return joined(single, found, pair, quantile, is_bounded=scale != "unbounded")


def joined(
    single: Difference,
    found: Comparison,
    pair: tuple[int, int],
    quantile: float,
    *,
    is_bounded: bool,
) -> JointDifference:
    """A difference with limits that hold together with those of other pairs."""
    if single.low is None or single.high is None:
        return JointDifference(single, None, None)
    half = quantile * found.error[pair]
    low, high = found.difference[pair] - half, found.difference[pair] + half
    if is_bounded:
        low, high = max(low, -1.0), min(high, 1.0)
    return JointDifference(single, float(min(low, single.low)), float(max(high, single.high)))
