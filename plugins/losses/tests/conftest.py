"""Losses of similarities whose scores are given, and numbers to give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes, Similarity, Vocabulary


@dataclass(frozen=True)
class Given:
    """A similarity whose scores are given; of further features it is their plain product."""

    scores: Scores
    present: Tensor
    sides: Mapping[str, Features]

    @property
    def size(self) -> int:
        return len(self.scores.forward)

    def of(self, features: Mapping[str, Features]) -> Similarity:
        scores = features["u"].pooled @ features["v"].pooled.T
        return Given(Scores(scores, scores), self.present, features)

    def dense(self) -> Scores:
        return self.scores

    def block(self, start: int, stop: int) -> Scores:
        return Scores(self.scores.forward[start:stop], self.scores.backward[start:stop])


@pytest.fixture
def shapes() -> Shapes:
    """Two encoders, the second of which reads texts."""
    vocabulary = Vocabulary(20, 0, 1, frozenset({0, 1, 2}))
    return Shapes({"u": 4, "v": 4}, None, ("a", "b"), (1, 1), False, {"v": vocabulary})


@pytest.fixture
def scalars() -> Callable[..., Mapping[str, Tensor]]:
    """What a loss gives for scores; `present` says of two encoders which samples they have."""

    def scalars_of(
        loss: Any,
        forward: Tensor,
        backward: Tensor | None = None,
        present: Sequence[Sequence[bool]] | None = None,
        target: Sequence[int] | None = None,
        texts: Tensor | None = None,
    ) -> Mapping[str, Tensor]:
        size = len(forward)
        marks = torch.tensor(present if present else [[True] * size] * 2)
        none = forward.new_zeros(size, 1)
        features = {key: Features(none, None, None, marks[i]) for i, key in enumerate("uv")}
        truth = torch.tensor(target if target else [-1] * size)
        inputs = {} if texts is None else {"v": texts}
        batch = Batch(inputs, {}, truth, torch.arange(size), {})
        scores = Scores(forward, forward if backward is None else backward)
        outputs = Outputs(features, None, None, Given(scores, marks.all(dim=0), features))
        given: Mapping[str, Tensor] = loss(outputs, batch, lambda key, x: features[key])
        return given

    return scalars_of


@pytest.fixture
def loss_of(scalars: Callable[..., Mapping[str, Tensor]]) -> Callable[..., Tensor]:
    """The loss alone."""
    return lambda *given, **more: scalars(*given, **more)["loss"]


@pytest.fixture
def random_scores() -> Callable[..., Tensor]:
    """Scores (size, size) in -1..1, in float64."""

    def scores(size: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(size, size, dtype=torch.float64, generator=generator) * 2 - 1

    return scores
