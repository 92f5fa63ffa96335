"""Many tests at once: p values that account for how many were looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control


def holm(chances: Sequence[float]) -> list[float]:
    """P values adjusted so that at most 5 % of tables hold one that is wrongly below .05.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979), 65-70; it needs no independence.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(chances, dtype=np.float64)
    order = np.argsort(values)
    steps = values[order] * (len(values) - np.arange(len(values)))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(chances: Sequence[float]) -> list[float]:
    """P values adjusted so that of those below .05 at most 5 % are wrong, on average.

    Source: Benjamini and Hochberg, JRSS B 57 (1995), 289-300; for tests that are independent or
    positively dependent. It finds more than `holm`, which is what a list of many labels is for.
    """
    if not len(chances):
        return []
    return [float(value) for value in false_discovery_control(np.asarray(chances))]
