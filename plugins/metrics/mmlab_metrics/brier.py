"""The Brier score: how far probabilities are from what is true."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mmlab.plugin import Metric, ScoredSamples


class Brier:
    """Squared error of a sample's probabilities, summed over labels: 0 is best, 2 is worst.

    The mean over samples of sum_c (p_c - y_c)^2, y_c being 1 for true labels and 0 for others. With
    several labels a sample the sum may exceed 2. It is a proper score: no probabilities but the
    true ones make it smaller in expectation, so that it weighs calibration and accuracy together.

    Source: Brier, Monthly Weather Review 78 (1950), 1-3, equation 2.
    """

    numerics = 1
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("brier", "lower"),)

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        """The score, in float64."""
        errors = samples.probabilities.astype(np.float64)
        for row, truths in enumerate(samples.truths):
            errors[row, list(truths)] -= 1
        return {"brier": float(np.square(errors).sum(1).mean())}
