"""Hits at K: how often a true label is among the first K."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from mmlab.plugin import SHARE, Metric, ScoredSamples


class Hits:
    """Share of samples with a true label among the K that score highest, the accuracy top-K.

    Labels are in the order of (-score, id), as everywhere in mmlab. Samples that no label is true
    of take no part; it is undefined where all are so, and where there are fewer than K labels.
    """

    numerics = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("hits@{k}", "higher", SHARE, mean_of="rank<={k}"),
    )

    def __init__(
        self, *, k: Annotated[int, Field(ge=1, description="labels that count as a hit")] = 10
    ) -> None:
        self.k = k

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        """The share."""
        found = [
            bool(np.isin(first, truths).any())
            for first, truths in zip(self._first(samples), samples.truths, strict=True)
            if truths
        ]
        is_defined = found and self.k <= len(samples.labels)
        return {f"hits@{self.k}": float(np.mean(found)) if is_defined else None}

    def _first(self, samples: ScoredSamples) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
        """The K first labels of each sample, (n, K)."""
        return np.argsort(-samples.scores, axis=1, kind="stable")[:, : self.k]
