"""Learning rate schedules: each the rate of a step as a function of its number, holding no state.

mmlab supplies `train.lr`, the number of steps, and how many of them are warm-up:
round(train.warmup_fraction * steps). In the formulas lr, T and w; i is the 0-based step about to be
taken, and done = (i - w) / max(1, T - w), from 0 after the warm-up to nearly 1 at the last step.
All but one_cycle, whose rise is its own, warm up linearly: lr (i + 1) / w while i < w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from pydantic import Field

#: The learning rate of a 0-based step. Factory: `(lr, total_steps, warmup_steps, *, options)`.
Schedule = Callable[[int], float]

Share = Annotated[float, Field(ge=0, le=1)]
End = Annotated[Share, Field(description="share of train.lr that is left at the end")]


@dataclass(frozen=True)
class Constant:
    """The same rate throughout: lr."""

    lr: float
    total_steps: int
    warmup_steps: int

    def __call__(self, index: int) -> float:
        """The rate of a step."""
        if index < self.warmup_steps:
            return _warm_up(self.lr, index, self.warmup_steps)
        return self.lr


@dataclass(frozen=True)
class Linear:
    """A straight line from lr down to its share `end`: lr (1 - (1 - end) done)."""

    lr: float
    total_steps: int
    warmup_steps: int
    _: KW_ONLY
    end: End = 0.0

    def __call__(self, index: int) -> float:
        """The rate of a step."""
        if index < self.warmup_steps:
            return _warm_up(self.lr, index, self.warmup_steps)
        done = _done(index, self.total_steps, self.warmup_steps)
        return self.lr * (1 - (1 - self.end) * done)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from lr down to its share `end`: lr (end + (1 - end) (1 + cos(pi done)) / 2).

    Source: SGDR, Loshchilov and Hutter, arXiv:1608.03983, equation 5, without restarts.
    """

    lr: float
    total_steps: int
    warmup_steps: int
    _: KW_ONLY
    end: End = 0.0

    def __call__(self, index: int) -> float:
        """The rate of a step."""
        if index < self.warmup_steps:
            return _warm_up(self.lr, index, self.warmup_steps)
        done = _done(index, self.total_steps, self.warmup_steps)
        half = 0.5 * (1 + math.cos(math.pi * done))
        return self.lr * (self.end + (1 - self.end) * half)


@dataclass(frozen=True)
class OneCycle:
    """Up to lr and down again, both as half a cosine; the rise takes the w steps of the warm-up.

    From start lr at the first step to lr at step w - 1, then to end lr at the last. Without a rise
    the fall begins one step before the first, as torch's does. Momentum stays as it is.

    Source: Smith and Topin, arXiv:1708.07120, in the form of torch's OneCycleLR, whose pct_start is
    `train.warmup_fraction` (0.3 there unless set).
    """

    lr: float
    total_steps: int
    warmup_steps: int
    _: KW_ONLY
    start: Annotated[Share, Field(description="share of train.lr at the first step")] = 0.04
    end: Annotated[Share, Field(description="share of train.lr at the last step")] = 4e-6

    def __call__(self, index: int) -> float:
        """The rate of a step."""
        peak, last = self.warmup_steps - 1, self.total_steps - 1
        if index < peak:
            return self.lr * _between(self.start, 1.0, index / peak)
        return self.lr * _between(1.0, self.end, (index - peak) / max(1, last - peak))


@dataclass(frozen=True)
class InverseSqrt:
    """As one over the root of the step: lr sqrt(max(1, w) / (i + 1)).

    Source: Vaswani et al., arXiv:1706.03762, section 5.3, with the peak at lr.
    """

    lr: float
    total_steps: int
    warmup_steps: int

    def __call__(self, index: int) -> float:
        """The rate of a step."""
        if index < self.warmup_steps:
            return _warm_up(self.lr, index, self.warmup_steps)
        return self.lr * math.sqrt(max(1, self.warmup_steps) / (index + 1))


@dataclass(frozen=True)
class StepDecay:
    """Constant between drops: lr factor^n after n of the points `at`, shares of all steps.

    A share s means the step round(s T).
    """

    lr: float
    total_steps: int
    warmup_steps: int
    _: KW_ONLY
    factor: Annotated[Share, Field(description="what the rate is multiplied by at each drop")] = 0.1
    at: Annotated[
        tuple[Share, ...], Field(min_length=1, description="when it drops, as shares of all steps")
    ] = (0.5, 0.75)

    def __call__(self, index: int) -> float:
        """The rate of a step."""
        if index < self.warmup_steps:
            return _warm_up(self.lr, index, self.warmup_steps)
        drops = sum(index >= round(share * self.total_steps) for share in self.at)
        return self.lr * self.factor**drops


def _warm_up(lr: float, index: int, warmup_steps: int) -> float:
    """The rate while it rises in a straight line."""
    return lr * (index + 1) / warmup_steps


def _done(index: int, total_steps: int, warmup_steps: int) -> float:
    return (index - warmup_steps) / max(1, total_steps - warmup_steps)


def _between(start: float, end: float, done: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
