"""What an interval says: an estimate, its confidence limits, what they cover, and why none stand.

Every interval of this package is a 95 % confidence interval. What it covers is its estimand:

- "seeds and samples": the recipe's mean on new samples of this kind, trained with a new seed. It is
  what a reader of a table wants to know, and needs two seeds at least.
- "samples": this one trained model's mean on new samples of this kind. Another seed is not in it.
- "none": no interval is honest; `reason` and `advice` say why, and what would help.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVEL = 0.95
#: The quantile that leaves half of 1 - LEVEL above it.
UPPER = 0.5 + LEVEL / 2

Covers = Literal["seeds and samples", "samples", "none"]
COVERS: tuple[Covers, ...] = get_args(Covers)
#: The estimand in words, for a legend or a title.
ESTIMANDS: Mapping[Covers, str] = {
    "seeds and samples": "the recipe on new samples of this kind and new seeds",
    "samples": "this model, new samples; another seed is not in it",
    "none": "no interval",
}

#: What outcomes are: hits and misses, numbers that cannot leave [0, 1], or any numbers.
Scale = Literal["share", "bounded", "unbounded"]

TOO_FEW_SAMPLES = "too few samples"
TOO_FEW_SEEDS = "too few seeds"
TOO_FEW_VALUES = "too few different values"
UNEVEN = "too uneven groups of samples"
NOT_FINITE = "not finite"
A_THIRD_SEED = "a third seed would about halve this"

#: Half the width, of means in [0, 1], above which an interval is of no use.
WIDEST_HALF = 0.25
#: How many times wider than from samples alone an interval is that a third seed would halve.
_SEEDS_RULE = 1.5


def scale_of(outcomes: npt.ArrayLike, *, is_share: bool) -> Scale:
    """The scale of outcomes: `is_share` says that they are declared to lie in [0, 1].

    >>> scale_of([0, 1, 1], is_share=True), scale_of([0.5, 1], is_share=True)
    ('share', 'bounded')
    >>> scale_of([0, 1, 1], is_share=False)
    'unbounded'
    """
    if not is_share:
        return "unbounded"
    values = np.asarray(outcomes, dtype=np.float64)
    return "share" if np.isin(values[~np.isnan(values)], (0, 1)).all() else "bounded"


@dataclass(frozen=True)
class Estimate:
    """A mean, a quantile or a difference, with its 95 % confidence interval where one holds.

    `low` and `high` are None where `covers` is "none", and then `reason` says why. A `reason`
    beside an interval marks it as too wide to be of use. `advice` says what would help. `clusters`
    counts what was drawn independently: the samples, where none of them belong together.
    """

    value: float
    low: float | None
    high: float | None
    covers: Covers
    seeds: int
    samples: int
    clusters: int
    reason: str | None = None
    advice: str | None = None

    @property
    def estimand(self) -> str:
        """What the interval covers, in words."""
        return ESTIMANDS[self.covers]


#: Of values that are nearly all equal no spread is known: an exact test of five that differ, all
#: one way, cannot reach 5 %.
FEWEST_DIFFERING = 6
#: Clusters so uneven that fewer than so many of one size would serve as well carry no interval.
_FEWEST_EVEN = 5.0
#: Beyond these digits of the largest, values that differ are rounding errors.
_DIGITS = 12


def even_clusters(clusters: npt.ArrayLike | None, samples: int) -> float:
    """How many clusters of one size would serve as well: (sum n)^2 / sum n^2.

    Source: Kish, Survey Sampling (1965), section 11.7, for weights; Carter, Schnepel and
    Steigerwald, Review of Economics and Statistics 99 (2017), 698-709, for clusters.

    >>> even_clusters(["a", "a", "b", "b"], 4), even_clusters([0, 0, 0, 1], 4)
    (2.0, 1.6)
    """
    if clusters is None:
        return float(samples)
    _, sizes = np.unique(np.asarray(clusters), return_counts=True)
    return float(np.square(sizes.sum()) / np.square(sizes).sum())


def are_uneven(clusters: npt.ArrayLike | None, samples: int) -> bool:
    """Whether a few clusters hold so many of the samples that the others hardly count."""
    return even_clusters(clusters, samples) < _FEWEST_EVEN


def differing(values: Array) -> int:
    """How many of these values are not the most frequent one, rounding errors aside.

    >>> differing(np.array([1.0, 1.0, 2.0, 3.0])), differing(np.array([0.3, 0.1 + 0.2]))
    (2, 0)
    """
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    _, counts = np.unique(np.round(values / scale, _DIGITS), return_counts=True)
    return int(len(values) - counts.max(initial=0))


def fewest_clusters(scale: Scale) -> int:
    """The fewest clusters that carry an interval: below, simulated ones did not hold."""
    return 20 if scale == "unbounded" else 5


def no_estimate(
    value: float,
    seeds: int,
    samples: int,
    clusters: int,
    needed: int,
    *,
    uneven: bool = False,
) -> Estimate | None:
    """The estimate without an interval where there are too few clusters, or a value that is none.

    None where an interval can be given. `needed` is the fewest clusters that carry one; `uneven`
    clusters, as `are_uneven` finds them, carry none.
    """
    if not math.isfinite(value):
        advice = "look at the failed or diverged seeds"
        return Estimate(value, None, None, "none", seeds, samples, clusters, NOT_FINITE, advice)
    if clusters >= needed:
        return _uneven(value, seeds, samples, clusters) if uneven else None
    kind = "samples" if clusters == samples else "independent groups of samples"
    advice = f"it needs at least {needed} {kind}, here are {clusters}"
    return Estimate(value, None, None, "none", seeds, samples, clusters, TOO_FEW_SAMPLES, advice)


def _uneven(value: float, seeds: int, samples: int, clusters: int) -> Estimate:
    """Where one group holds half of the samples, its own chance is in no interval."""
    advice = "samples of more groups; one or few hold most of these"
    return Estimate(value, None, None, "none", seeds, samples, clusters, UNEVEN, advice)


def without_spread(value: float, seeds: int, samples: int, clusters: int) -> Estimate:
    """The estimate without an interval for a mean without bounds of values that are nearly equal.

    A spread that is 0, or is that of a few values, would make an interval of no width.
    """
    advice = "more samples"
    return Estimate(value, None, None, "none", seeds, samples, clusters, TOO_FEW_VALUES, advice)


def without_seeds(value: float, seeds: int, samples: int, clusters: int) -> Estimate:
    """The estimate without an interval for a mean without bounds and two seeds of its own.

    Simulated intervals of such held .88 to .95 where seeds are the larger part.
    """
    return Estimate(
        value, None, None, "none", seeds, samples, clusters, TOO_FEW_SEEDS, "a third seed"
    )


def covers_of(seeds: int) -> Covers:
    """What an interval over samples covers, given the number of seeds."""
    return "seeds and samples" if seeds > 1 else "samples"


def judge_width(
    width: float, width_alone: float, seeds: int, scale: Scale = "share"
) -> tuple[str | None, str | None]:
    """Why an interval is too wide to be of use, if it is, and what would make it narrower.

    `width_alone` is what the samples alone leave open. Without bounds no width is too wide.
    """
    is_wide = scale != "unbounded" and width > 2 * WIDEST_HALF
    needs_seeds = width_alone <= 2 * WIDEST_HALF
    reason = (TOO_FEW_SEEDS if needs_seeds else TOO_FEW_SAMPLES) if is_wide else None
    if seeds == 2 and width > _SEEDS_RULE * width_alone:
        return reason, A_THIRD_SEED
    if is_wide and needs_seeds:
        return reason, "more seeds would make this narrower"
    return reason, "four times as many samples would about halve this" if is_wide else None
