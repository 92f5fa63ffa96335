"""The usual intervals, as tables print them elsewhere: what those of mmlab are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

#: What an interval of paired differences covers.
PairedKind = Literal["seeds and samples", "samples", "none"]

LEVEL = 0.95
#: The standard normal quantile of (1 + LEVEL) / 2.
_NORMAL_QUANTILE = 1.959963984540054


Array = npt.NDArray[np.float64]


def student_half_width(deviation: Array, count: Array) -> Array:
    """Half the width of the t interval of a mean: t(0.975, n - 1) * s / sqrt(n).

    `deviation` is the sample standard deviation (n - 1 in the denominator) of `count` values. NaN
    for fewer than two values. Assumes that the values are independent and about normal; with two
    seeds the factor is 12.7, and so wide an interval is the honest answer.
    """
    enough = count >= 2
    if not enough.any():
        return np.full(enough.shape, np.nan)
    from scipy.special import stdtrit  # a fifth of a second, which one seed need not pay

    freedom = np.where(enough, count - 1, 1)
    quantile = stdtrit(freedom, (1 + LEVEL) / 2)
    return np.where(enough, quantile * deviation / np.sqrt(np.maximum(count, 1)), np.nan)


def wilson_interval(hits: Array, count: Array) -> tuple[Array, Array]:
    """The score interval of a share `hits / count`: Wilson (1927), JASA 22, 209-212.

    Stays inside [0, 1] and is sensible at 0 and `count` hits. NaN where `count` is 0. Assumes
    independent samples: captions of one image are not, and then it is too narrow.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        z2 = _NORMAL_QUANTILE**2
        share = hits / count
        centre = (hits + z2 / 2) / (count + z2)
        spread = count * share * (1 - share) + z2 / 4
        half = _NORMAL_QUANTILE / (count + z2) * np.sqrt(np.maximum(spread, 0.0))
        low = np.where(hits > 0, centre - half, 0.0)
        high = np.where(hits < count, centre + half, 1.0)
    return np.where(count > 0, low, np.nan), np.where(count > 0, high, np.nan)


def normal_half_width(mean: Array, mean_square: Array, count: Array) -> Array:
    """1.96 standard errors of a mean, from the mean and the mean square of `count` outcomes.

    NaN for fewer than two outcomes.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(mean_square - mean**2, 0.0) * count / (count - 1)
        half = _NORMAL_QUANTILE * np.sqrt(variance / count)
    return np.where(count >= 2, half, np.nan)


@dataclass(frozen=True)
class Paired:
    """A mean difference and its 95 % interval; the ends are None where it has none."""

    mean: float
    low: float | None
    high: float | None
    interval: PairedKind


def paired_interval(differences: Array) -> Paired:
    """The mean of differences (seeds, samples), and what another draw of both would do to it.

    Every seed asks the same samples, so the differences are a table of two crossed random effects
    without repetition: a seed's, a sample's, and what is left. The variance of the grand mean of S
    seeds and n samples is estimated by mean squares as (MS_seed + MS_sample - MS_rest) / (S n), and
    never below MS_seed / (S n) or MS_sample / (S n), which is where a negative component would put
    it. Its degrees of freedom are Satterthwaite's; the interval is Student's t.

    With one seed it is the paired t interval over samples, and says so: "samples" covers no other
    seed. "none" for fewer than two samples. Source: Searle, Casella and McCulloch, Variance
    Components (1992), chapter 4; Satterthwaite, Biometrics Bulletin 2 (1946), 110-114.
    """
    seeds, samples = differences.shape
    mean = float(differences.mean())
    if samples < 2:
        return Paired(mean, None, None, "none")
    if seeds < 2:
        variance = float(differences.var(ddof=1)) / samples
        return _interval(mean, variance, samples - 1, "samples")
    return _interval(mean, *_crossed(differences), "seeds and samples")


def _crossed(differences: Array) -> tuple[float, float]:
    """The variance of the grand mean, and its degrees of freedom."""
    seeds, samples = differences.shape
    of_seed = differences.mean(1, keepdims=True)
    of_sample = differences.mean(0, keepdims=True)
    rest = differences - of_seed - of_sample + differences.mean()
    free = np.array([seeds - 1, samples - 1, (seeds - 1) * (samples - 1)])
    sums = [
        samples * float(np.square(of_seed - differences.mean()).sum()),
        seeds * float(np.square(of_sample - differences.mean()).sum()),
        float(np.square(rest).sum()),
    ]
    squares = np.array(sums) / free  # of seeds, of samples, of the rest
    both = float(squares[0] + squares[1] - squares[2])
    candidates = [(float(square), float(f)) for square, f in zip(squares[:2], free, strict=False)]
    if both > 0:
        candidates.append((both, both**2 / float((squares**2 / free).sum())))
    variance, freedom = max(candidates)
    return variance / (seeds * samples), freedom


def _interval(mean: float, variance: float, freedom: float, kind: PairedKind) -> Paired:
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * variance**0.5
    return Paired(mean, mean - half, mean + half, kind)
