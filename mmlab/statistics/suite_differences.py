"""Recipes compared by their means over several datasets: differences, and all of them together.

On each dataset both answered the same samples. What seeds add is that of `mmlab.statistics.suites`.
For one dataset the forms are those of `mmlab.statistics.paired` and `joint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from mmlab.statistics.crossed import stacked
from mmlab.statistics.differences import (
    ONE_SEED,
    TOO_FEW_DIFFERENCES,
    Difference,
    of_estimate,
)
from mmlab.statistics.estimates import (
    FEWEST_DIFFERING,
    TOO_FEW_SAMPLES,
    UPPER,
    Array,
    covers_of,
    fewest_clusters,
    judge_width,
)
from mmlab.statistics.joint import Comparison, draw_means, draws_for, sample_variances, summed
from mmlab.statistics.paired import DifferenceLimits, SeedPart, pseudo_pairs, sample_variance
from mmlab.statistics.standing import (
    JointDifference,
    Standing,
    joined,
    quantile_over,
    standing_of,
)
from mmlab.statistics.suites import (
    OnDataset,
    SuiteParts,
    estimate_suite,
    joined_parts,
    seed_parts,
    suite_parts,
    suite_scatter,
    widest,
)
from mmlab.statistics.variance import POOL_ROWS, SeedScatter, outlying, upper_square


def suite_difference_limits(
    left: Sequence[OnDataset],
    right: Sequence[OnDataset],
    scatter: SeedScatter | None = None,
) -> DifferenceLimits:
    """The limits of the mean difference over datasets, left minus right, of a stack (...) of pairs.

    On each dataset both answered the same samples, as in `paired_limits`; seeds are not paired.
    """
    count, scale = len(left), widest([one.scale for one in left])
    found = [_paired(one, other) for one, other in zip(left, right, strict=True)]
    centre = sum((one.centre for one in found), np.zeros(())) / count
    variances = np.stack([one.variance for one in found]) / count**2
    free = np.stack([np.broadcast_to(one.freedom, one.centre.shape) for one in found])
    of_samples = variances.sum(0)
    both = joined_parts([suite_parts(left), suite_parts(right)])
    each = seed_parts(both, scatter or suite_scatter(both))
    seeds = SeedPart(each.total.sum(0), each.noise.sum(0), each.freedom[0])
    upper = upper_square(seeds.total, seeds.freedom, scale)
    below = (np.square(variances) / free).sum(0) + np.square(upper) / seeds.freedom
    fewest = np.where(seeds.total > 0, np.minimum(free.min(0), seeds.freedom), free.min(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.fmax(np.square(of_samples - seeds.noise + upper) / below, fewest)
    error, sample_error = np.sqrt(of_samples + seeds.total - seeds.noise), np.sqrt(of_samples)
    half = stdtrit(freedom, UPPER) * error
    low, high = np.maximum(centre - half, -1.0), np.minimum(centre + half, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = 2 * stdtr(freedom, -np.abs(centre) / error)
    return DifferenceLimits(low, high, p_value, centre, error, sample_error, freedom)


@dataclass(frozen=True)
class _Paired:
    """The mean difference on one dataset with pseudo-pairs in it, and what samples leave of it."""

    centre: Array
    variance: Array
    freedom: Array


def _paired(left: OnDataset, right: OnDataset) -> _Paired:
    squares = left.measured.squares
    seeds = np.minimum(squares.seeds, right.measured.squares.seeds)
    pseudo = pseudo_pairs(left.scale, squares.cluster_size, seeds)
    differences = left.measured.profile - right.measured.profile
    mean = differences.mean(-1)
    square = np.square(differences - mean[..., None]).sum(-1)
    return _Paired(
        centre=np.asarray(mean * squares.clusters / (squares.clusters + pseudo)),
        variance=sample_variance(square, mean, squares.clusters, pseudo),
        freedom=np.maximum(squares.clusters - 1, 1),
    )


def suite_difference(
    left: Sequence[OnDataset], right: Sequence[OnDataset], scatter: SeedScatter | None = None
) -> Difference:
    """Left minus right, the mean over datasets on which both answered the same samples."""
    sides = [estimate_suite(one) for one in (left, right)]
    value, seeds = sides[0].value - sides[1].value, (sides[0].seeds, sides[1].seeds)
    if sides[0].covers == "none":
        return replace(of_estimate(sides[0], seeds), value=value)
    found = suite_difference_limits(left, right, scatter)
    scale = widest([one.scale for one in left])
    quantile = float(stdtrit(min(float(one.measured.squares.clusters) for one in left) - 1, UPPER))
    alone, width = 2 * quantile * float(found.sample_error), float(found.high - found.low)
    reason, advice = judge_width(width, alone, min(seeds), scale)
    if min(seeds) == 1 < max(seeds):
        reason, advice = None, ONE_SEED
    differing = sum(
        int(np.count_nonzero(one.measured.profile != other.measured.profile))
        for one, other in zip(left, right, strict=True)
    )
    if scale == "share" and differing < FEWEST_DIFFERING:
        reason, advice = TOO_FEW_DIFFERENCES, f"{differing} of {sides[0].clusters} differ"
    return Difference(
        value=value,
        low=float(found.low),
        high=float(found.high),
        covers=covers_of(min(seeds)),
        seeds=seeds,
        samples=sides[0].samples,
        clusters=sides[0].clusters,
        p_value=float(found.p_value),
        differing=differing,
        reason=reason,
        advice=advice,
    )


def compare_suites(rows: Sequence[Sequence[OnDataset]], draws: int | None = None) -> Comparison:
    """Every difference between rows' means over datasets, and draws of what chance alone makes.

    `rows` has, for each recipe, its outcomes on the datasets in one order; on each of them all rows
    answered the same samples. See `mmlab.statistics.joint.compare_rows`.
    """
    count, datasets = len(rows[0]), [*zip(*rows, strict=True)]
    parts = joined_parts([suite_parts(row) for row in rows])
    own = np.broadcast_to(parts.seeds - 1, parts.mean.shape)
    is_own = outlying(own, parts.of_seeds, parts.rest, np.square(parts.slope))
    scatter = suite_scatter(_some(parts, ~is_own))
    shared, alone = seed_parts(parts, scatter), seed_parts(parts, None)
    seeds = SeedPart(
        *(np.where(is_own, getattr(alone, name), getattr(shared, name)) for name in vars(shared))
    )
    found = [_all_pairs(one) for one in datasets]
    of_samples = sum((one.variance for one in found), np.zeros(())) / count**2
    error = np.sqrt(of_samples + summed(seeds.total - seeds.noise))
    np.fill_diagonal(error, 1.0)
    means = [(one.covariance / count**2, float(one.freedom)) for one in found]
    return Comparison(
        difference=sum((one.centre for one in found), np.zeros(())) / count,
        error=error,
        draws=draw_means(means, seeds, is_own, draws or draws_for(len(rows))),
        scatters_more=is_own,
        scatter=scatter,
    )


@dataclass(frozen=True)
class _AllPairs(_Paired):
    """The differences of all rows on one dataset, (K, K), and the covariance of their means."""

    covariance: Array


def _all_pairs(rows: Sequence[OnDataset]) -> _AllPairs:
    squares = stacked([one.measured.squares for one in rows])
    clusters, size = squares.clusters[:1], squares.cluster_size[:1]
    covariance = np.atleast_2d(np.cov(np.stack([one.measured.profile for one in rows])))
    difference = squares.mean[:, None] - squares.mean
    pseudo = pseudo_pairs(rows[0].scale, size, np.minimum.outer(squares.seeds, squares.seeds))
    return _AllPairs(
        centre=difference * clusters / (clusters + pseudo),
        variance=sample_variances(covariance, difference, clusters, pseudo),
        freedom=clusters[0] - 1,
        covariance=covariance / clusters,
    )


def _some(parts: SuiteParts, which: npt.NDArray[np.bool_]) -> SuiteParts:
    """Some rows of a stack."""
    return SuiteParts(**{name: value[..., which] for name, value in vars(parts).items()})


def suite_standing(rows: Sequence[Sequence[OnDataset]]) -> Standing:
    """The standing of rows by their means over datasets; higher is better. As `rank_groups`."""
    count = len(rows)
    few = [one.measured.profile.shape[-1] < fewest_clusters(one.scale) for one in rows[0]]
    if any(few):
        every, no = (True,) * count, (False,) * count
        return Standing(every, (1,) * count, (count,) * count, no, TOO_FEW_SAMPLES)
    return standing_of(compare_suites(rows))


def suite_joint_differences(
    rows: Sequence[Sequence[OnDataset]], pairs: Sequence[tuple[int, int]]
) -> list[JointDifference]:
    """Differences of pairs of rows over datasets that hold together: as `joint_differences`."""
    if any(one.measured.profile.shape[-1] < fewest_clusters(one.scale) for one in rows[0]):
        alone = [suite_difference(rows[i], rows[j]) for i, j in pairs]
        return [JointDifference(one, None, None) for one in alone]
    found = compare_suites(rows)
    quantile = quantile_over(found, pairs)
    is_pooled = len(rows) >= POOL_ROWS
    return [
        joined(
            suite_difference(
                rows[i],
                rows[j],
                found.scatter if is_pooled and not found.scatters_more[[i, j]].any() else None,
            ),
            found,
            (i, j),
            quantile,
            is_bounded=True,
        )
        for i, j in pairs
    ]
