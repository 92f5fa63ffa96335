"""Passes of a fusion: the named results that the checks of fusions compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from torch import Tensor

from mmlab.plugin import Features, SimilarityFusion
from mmlab.testing.modules import Run


def run_on(features: Sequence[Features]) -> Run:
    """The fusion's results for features that were not projected yet, by name."""

    def run(fusion: Any) -> dict[str, Tensor]:  # Any: an nn.Module that also keeps a contract
        return join(fusion, [fusion.project(i, f) for i, f in enumerate(features)])

    return run


def join(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    """All that a fusion gives for projected features."""
    return {**fuse(fusion, projected), **score(fusion, projected)}


def fuse(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    """The vector, if the fusion gives one; leading axes broadcast."""
    return {"fused": fusion.fuse(*projected)} if hasattr(fusion, "fuse") else {}


def score(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    """The scores of all pairs of rows, if the fusion gives them; of more inputs than two, none."""
    if not isinstance(fusion, SimilarityFusion) or len(projected) > 2:
        return {}
    scores = fusion.score(*projected)
    return {"forward": scores.forward, "backward": scores.backward}


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    """Every choice of some of the inputs."""
    for size in range(1, count + 1):
        yield from combinations(range(count), size)
