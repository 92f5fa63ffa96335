"""Confidence intervals of medians and other quantiles of outcomes: Woodruff's.

The share of outcomes at or below the estimated quantile has an interval, as any share has; read
backwards through the ordered outcomes it is one of the quantile. Source: Woodruff, JASA 47 (1952),
635-646.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mmlab.statistics.estimates import NOT_FINITE, Array, Estimate
from mmlab.statistics.shares import estimate_share


def estimate_quantile(
    outcomes: npt.ArrayLike, clusters: npt.ArrayLike | None = None, *, level: float = 0.5
) -> Estimate:
    """The quantile of all outcomes (seeds, samples), say of ranks, and its interval.

    It is the median outcome of a new sample asked of a model of a new seed. A mean over seeds of
    each seed's own median is something else, and no interval of that is known to hold. There is
    none either where a limit is infinite: an outcome of which no more is known than that it is
    beyond all others. Marks and advice are those of the share's interval.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    ordered = np.sort(values, axis=None)
    quantile = float(ordered[order_index(level, ordered.size)])
    share = estimate_share(values <= quantile, clusters)
    if math.isnan(ordered[-1]) or math.isinf(quantile):
        return _without(share, math.nan)
    if share.low is None or share.high is None:
        return replace(share, value=quantile)
    levels = level - (share.value - share.low), level + (share.high - share.value)
    low, high = _limits(ordered, *levels)
    if math.isinf(low) or math.isinf(high):
        return _without(share, quantile)
    return replace(share, value=quantile, low=low, high=high)


def _without(share: Estimate, value: float) -> Estimate:
    """Without an interval, for outcomes that are no numbers, or limits that are none."""
    absent = replace(share, value=value, low=None, high=None, covers="none", advice=None)
    return replace(absent, reason=NOT_FINITE)


def _limits(ordered: Array, low: float, high: float) -> tuple[float, float]:
    """The outcomes at two levels, rounded outwards."""
    places = order_index(low, ordered.size), order_index(high, ordered.size, outwards=1)
    return float(ordered[places[0]]), float(ordered[places[1]])


def order_index(level: float, count: int, outwards: int = 0) -> int:
    """The place, from 0, of the quantile among `count` ordered values, `outwards` places further.

    >>> order_index(0.5, 5), order_index(0.5, 4), order_index(1.0, 4, outwards=1)
    (2, 1, 3)
    """
    place = math.ceil(level * count - 1e-9) - 1 + outwards
    return min(max(place, 0), count - 1)
