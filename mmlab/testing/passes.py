"""A made-up pass of a model with two encoders, to check losses with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes, Vocabulary, normalize
from mmlab.testing.tools import Change, fill_first, normal

SIZE = 6
LENGTH = 5
CHANNELS = 4

#: What the made-up model is like, unless a check says otherwise.
SHAPES = Shapes(
    dims={"image": 8, "text": 7},
    fused=6,
    labels=("a", "b", "c", "d", "e"),
    label_counts=(4, 3, 2, 1, 0),
    is_multi_label=False,
    vocabularies={"text": Vocabulary(size=20, pad=0, mask=1, special=frozenset({0, 1, 2}))},
    token_dims={"image": 8, "text": 7},
    labelled_count=10,
    targets=("x", "y"),
    target_deviations=(1.0, 2.0),
)


@dataclass(frozen=True)
class Pass:
    """A batch, and the numbers from which a model's outputs for it follow.

    `samples` has one row per sample: "fused", "prediction", and for each encoder's key a vector;
    the cosines of two encoders' vectors are the similarity. `weights` has one matrix per encoder.
    """

    batch: Batch
    samples: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    shapes: Shapes
    reads: frozenset[str]
    score_scale: float = 1.0

    @property
    def size(self) -> int:
        """Samples in the batch."""
        return len(self.batch.index)

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """All that the outputs are made of, in a fixed order."""
        return (*self.samples.values(), *self.weights.values())

    def outputs(self) -> Outputs:
        """What the model would give, as far as the loss reads it."""
        features = {key: self._features(key) for key in self.batch.inputs}
        fused = self.samples["fused"] if "fused" in self.reads else None
        prediction = self.samples["prediction"] * self.score_scale
        u, v = (self.samples[key] for key in list(self.shapes.dims)[:2])
        return Outputs(
            features,
            fused,
            prediction if "prediction" in self.reads else None,
            self._similarity(u, v) if "similarity" in self.reads else None,
        )

    def encode(self, key: str, x: Tensor) -> Features:
        """The encoder: a row of its matrix for each id, or its matrix times each place."""
        weight = self.weights[key]
        vocabulary = self.shapes.vocabularies.get(key)
        tokens = F.embedding(x, weight) if vocabulary else x.to(weight.dtype) @ weight
        pooled = tokens.mean(dim=-2)
        if "tokens" not in self.reads:
            return Features.of(pooled)
        return Features.of(pooled, tokens, x != vocabulary.pad if vocabulary else None)

    def _similarity(self, u: Tensor, v: Tensor) -> _Cosines:
        keys = list(self.shapes.dims)[:2]
        vectors = zip(keys, (u, v), strict=True)
        sides = {key: Features(x, None, None, self.batch.present[key]) for key, x in vectors}
        return _Cosines(sides, self.score_scale)

    def _features(self, key: str) -> Features:
        return replace(self.encode(key, self.batch.inputs[key]), present=self.batch.present[key])

    def with_sources(self, sources: tuple[Tensor, ...]) -> Pass:
        """The same pass with other numbers in the place of `sources`."""
        count = len(self.samples)
        samples = dict(zip(self.samples, sources[:count], strict=True))
        weights = dict(zip(self.weights, sources[count:], strict=True))
        return replace(self, samples=samples, weights=weights)

    def map(self, change: Change) -> Pass:
        """The same pass with every source changed."""
        return self.with_sources(tuple(change(x) for x in self.sources))

    def leaves(self) -> Pass:
        """A copy whose sources gather gradients."""
        return self.map(lambda x: x.detach().clone().requires_grad_())

    def to(self, device: torch.device) -> Pass:
        """A copy on a device, whose sources gather gradients."""
        moved = self.map(lambda x: x.detach().to(device).requires_grad_())
        return replace(moved, batch=self.batch.map(lambda x: x.to(device)))

    def take(self, order: Tensor) -> Pass:
        """The samples of these indices, in this order."""
        views = {key: x[:, order] for key, x in self.batch.views.items()}
        batch = replace(replace(self.batch, views={}).map(lambda x: x[order]), views=views)
        return replace(self, batch=batch, samples={n: x[order] for n, x in self.samples.items()})

    def without_first(self, key: str, value: float) -> Pass:
        """The same, but sample 0 lacks one input, and its numbers for it are `value`."""
        present = {name: x.clone() for name, x in self.batch.present.items()}
        present[key][0] = False
        inputs = {**self.batch.inputs, key: fill_first(self.batch.inputs[key], value)}
        batch = replace(self.batch, present=present, inputs=inputs)
        samples = {**self.samples, key: fill_first(self.samples[key], value)}
        return replace(self, batch=batch, samples=samples)

    def aligned(self) -> Pass:
        """The same, but the vectors of every pair are equal: its similarity is the largest."""
        first, second = list(self.shapes.dims)[:2]
        return replace(self, samples={**self.samples, second: self.samples[first]})

    def all_absent(self) -> Pass:
        """The same with no input present."""
        present = {key: torch.zeros_like(x) for key, x in self.batch.present.items()}
        return replace(self, batch=replace(self.batch, present=present))

    def unlabelled(self) -> Pass:
        """The same without truths: labels of -1, or of NaN where there are several; targets too."""
        target, targets = self.batch.target, self.batch.targets
        unknown = torch.full_like(target, torch.nan if target.ndim == 2 else -1)
        lost = None if targets is None else torch.full_like(targets, torch.nan)
        return replace(self, batch=replace(self.batch, target=unknown, targets=lost))

    def of_no_label(self) -> Pass:
        """The same, but none of several labels is true; of one label a sample it is the same."""
        target = self.batch.target
        none = torch.zeros_like(target) if target.ndim == 2 else target
        return replace(self, batch=replace(self.batch, target=none))


def make_pass(shapes: Shapes, reads: frozenset[str], views: int) -> Pass:
    """A random batch of six complete, labelled samples, and sources for it."""
    samples = {key: normal(SIZE, 4, seed=i) for i, key in enumerate(shapes.dims)}
    samples["fused"] = normal(SIZE, shapes.fused or 1, seed=20)
    predicted = shapes.targets if "targets" in reads else shapes.labels
    samples["prediction"] = normal(SIZE, max(1, len(predicted)), seed=21)
    weights = {
        key: normal(_input_width(shapes, key), dim, seed=30 + i)
        for i, (key, dim) in enumerate(shapes.dims.items())
    }
    return Pass(_make_batch(shapes, views), samples, weights, shapes, reads)


def _make_batch(shapes: Shapes, views: int) -> Batch:
    return Batch(
        inputs={key: _make_input(shapes, key, 0) for key in shapes.dims},
        present={key: torch.ones(SIZE, dtype=torch.bool) for key in shapes.dims},
        target=_make_target(shapes),
        index=torch.arange(SIZE),
        views={
            key: torch.stack([_make_input(shapes, key, 1 + i) for i in range(views)])
            for key in (shapes.dims if views else ())
        },
        targets=normal(SIZE, len(shapes.targets), seed=22) if shapes.targets else None,
    )


def _input_width(shapes: Shapes, key: str) -> int:
    vocabulary = shapes.vocabularies.get(key)
    return vocabulary.size if vocabulary else CHANNELS


def _make_input(shapes: Shapes, key: str, seed: int) -> Tensor:
    """Ids with padding at the end of every other text, or places with channels."""
    if key not in shapes.vocabularies:
        return normal(SIZE, LENGTH, CHANNELS, seed=40 + seed)
    vocabulary = shapes.vocabularies[key]
    first = 1 + max(vocabulary.pad, vocabulary.mask, *vocabulary.special)
    steps = torch.arange(SIZE * LENGTH).reshape(SIZE, LENGTH) * 7 + seed
    ids = first + steps % (vocabulary.size - first)
    ids[::2, -1] = vocabulary.pad
    return ids


def _make_target(shapes: Shapes) -> Tensor:
    labels = torch.arange(SIZE) % max(1, len(shapes.labels))
    if not shapes.is_multi_label:
        return labels
    return F.one_hot(labels, len(shapes.labels)).float()


@dataclass(frozen=True)
class _Cosines:
    """The similarity of two encoders' vectors."""

    sides: Mapping[str, Features]
    scale: float

    @property
    def size(self) -> int:
        return len(self.present)

    @property
    def present(self) -> Tensor:
        first, second = (side.present for side in self.sides.values())
        return first & second

    def of(self, features: Mapping[str, Features]) -> _Cosines:
        """The cosines of the features' first numbers, as many as both have."""
        width = min(features[key].pooled.shape[-1] for key in self.sides)
        sides = {
            key: replace(features[key], pooled=features[key].pooled[..., :width])
            for key in self.sides
        }
        return replace(self, sides=sides)

    def dense(self) -> Scores:
        return self.block(0, self.size)

    def block(self, start: int, stop: int) -> Scores:
        u, v = (normalize(side.pooled) for side in self.sides.values())
        scores = self.scale * (u[start:stop] @ v.T)
        return Scores(scores, scores)
