"""A metric: how sure the model is of its first label."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mmlab.plugin import Metric, ScoredSamples


class Margin:
    """How far the first label's probability is above the second's, averaged over samples."""

    numerics = 1
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("margin", "higher", "share"),)

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        """The mean difference."""
        second, first = np.sort(samples.probabilities.astype(np.float64))[:, -2:].T
        return {"margin": float((first - second).mean())}
