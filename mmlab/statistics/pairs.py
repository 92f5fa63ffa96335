"""What two recipes did on the same samples: exact tests, and how large a difference is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, permutation_test

Array = npt.NDArray[np.float64]

#: Random flips of signs; the least p value is 1 over one more.
RESAMPLES = 9_999
#: Of how many pairs of seeds the chance to be better is taken, at the most.
_SEED_PAIRS = 400


def exact_mcnemar(left: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The two-sided p value of hits and misses (samples,) of two models: McNemar's exact test.

    Given that so many samples differ, each goes either way with one half. Source: McNemar,
    Psychometrika 12 (1947), 153-157. It is of these two models: another seed is not in it. Samples
    must be independent.
    """
    one, other = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    gained, lost = int(np.sum(one < other)), int(np.sum(one > other))
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def permutation_of_ranks(left: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The two-sided p value of a difference in mean rank, by flipping signs of samples.

    Ranks are (seeds, samples), of the same samples; means over seeds are compared. Exact as it is
    random: no distribution is assumed. Source: Fisher, The Design of Experiments (1935), section
    21. The stream is fixed, so that equal ranks give equal p values.
    """
    one, other = (np.asarray(side, dtype=np.float64).mean(0) for side in (left, right))
    if len(one) < 2 or np.array_equal(one, other):
        return 1.0  # one sample is as likely either way

    def mean_difference(first: Array, second: Array, axis: int = -1) -> Array:
        return np.asarray((first - second).mean(axis))

    found = permutation_test(
        (one, other),
        mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, 4_000_000 // len(one)),
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def standardised(left: npt.ArrayLike, right: npt.ArrayLike) -> float | None:
    """Effect size: the mean difference over the standard deviation of samples' differences.

    Cohen's d for pairs, of means over seeds (seeds, samples); None where all differ alike. Source:
    Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), section 2.3.5.
    """
    one, other = (np.asarray(side, dtype=np.float64).mean(0) for side in (left, right))
    difference = one - other
    deviation = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return float(difference.mean()) / deviation if deviation > 0 else None


def chance_to_be_better(left: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """How often left's value is higher than right's, for a seed of each and a sample at random.

    Both (seeds, samples) on the same samples; ties count half. From 0 to 1. Source: McGraw and
    Wong, Psychological Bulletin 111 (1992), 361-365, for pairs.
    """
    one, other = (np.asarray(side, dtype=np.float64) for side in (left, right))
    pairs = [(a, b) for a in range(len(one)) for b in range(len(other))][:_SEED_PAIRS]
    shares = [(one[a] > other[b]).mean() + (one[a] == other[b]).mean() / 2 for a, b in pairs]
    return float(np.mean(shares))
