"""The interval of a mean of paired differences that vary over samples and over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmlab.statistics.intervals import LEVEL

Array = npt.NDArray[np.float64]
#: What an interval of paired differences covers.
PairedKind = Literal["seeds and samples", "samples", "none"]
PAIRED_KINDS: tuple[PairedKind, ...] = ("seeds and samples", "samples", "none")


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
