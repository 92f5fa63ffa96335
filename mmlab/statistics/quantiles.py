"""Confidence intervals of medians and other quantiles of outcomes: Woodruff's.

The share of outcomes at or below the estimated quantile has an interval, as any share has; read
backwards through the ordered outcomes it is one of the quantile. Source: Woodruff, JASA 47 (1952),
635-646.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mmlab.statistics.crossed import measure
from mmlab.statistics.estimates import Array, Estimate, covers_of, fewest_clusters, no_estimate
from mmlab.statistics.shares import share_limits


def estimate_quantile(
    outcomes: npt.ArrayLike, clusters: npt.ArrayLike | None = None, *, level: float = 0.5
) -> Estimate:
    """The quantile of all outcomes (seeds, samples), say of ranks, and its interval.

    It is the median outcome of a new sample asked of a model of a new seed. A mean over seeds of
    each seed's own median is something else, and no interval of that is known to hold.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    seeds, samples = values.shape
    count = samples if clusters is None else len(np.unique(np.asarray(clusters)))
    ordered = np.sort(values, axis=None)
    quantile = ordered[order_index(level, ordered.size)]
    absent = no_estimate(_worst(ordered, quantile), seeds, samples, count, fewest_clusters("share"))
    if absent is not None:
        return absent
    low, high = woodruff_levels(values <= quantile, clusters, level)
    ends = ordered[[order_index(low, ordered.size), order_index(high, ordered.size, outwards=1)]]
    low_end, high_end = (float(end) for end in ends)
    return Estimate(float(quantile), low_end, high_end, covers_of(seeds), seeds, samples, count)


def _worst(ordered: Array, quantile: float) -> float:
    """The quantile; NaN where some outcome is none, which are sorted last."""
    return math.nan if math.isnan(ordered[-1]) else float(quantile)


def woodruff_levels(
    is_below: npt.NDArray[np.bool_], clusters: npt.ArrayLike | None, level: float
) -> tuple[float, float]:
    """The levels of the two limits, from which outcomes (seeds, samples) are at or below."""
    squares = measure(is_below, clusters).squares
    limits = share_limits(squares)
    low = level - (squares.mean - limits.low)
    high = level + (limits.high - squares.mean)
    return float(np.clip(low, 0.0, 1.0)), float(np.clip(high, 0.0, 1.0))


def order_index(level: float, count: int, outwards: int = 0) -> int:
    """The place, from 0, of the quantile among `count` ordered values, `outwards` places further.

    >>> order_index(0.5, 5), order_index(0.5, 4), order_index(1.0, 4, outwards=1)
    (2, 1, 3)
    """
    place = math.ceil(level * count - 1e-9) - 1 + outwards
    return min(max(place, 0), count - 1)
