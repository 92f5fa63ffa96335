"""Features to check components with, and changes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mmlab.plugin import Features
from mmlab.testing.randomness import normal

#: Samples in a batch, and tokens of the longest sample.
SIZE = 4
TOKENS = 5

#: What absent samples and masked tokens hold in the checks: nothing may depend on it.
RUBBISH = 1e4

Change = Callable[[Tensor], Tensor]


def random_features(position: int, width: int, token_width: int | None) -> Features:
    """Features of one input, all present, with tokens of several lengths if they have a width."""
    pooled = normal(SIZE, width, seed=position)
    if token_width is None:
        return Features.of(pooled)
    tokens = normal(SIZE, TOKENS, token_width, seed=100 + position)
    counts = torch.tensor([TOKENS, 2, 3, 1])
    return Features.of(pooled, tokens, torch.arange(TOKENS) < counts[:, None])


def map_values(features: Features, change: Change) -> Features:
    """The features with pooled values and tokens changed."""
    pooled = change(features.pooled)
    tokens = None if features.tokens is None else change(features.tokens)
    return replace(features, pooled=pooled, tokens=tokens)


def map_all(features: Features, change: Change) -> Features:
    """The features with every tensor changed, mask and presence too."""
    mask = None if features.mask is None else change(features.mask)
    return replace(map_values(features, change), mask=mask, present=change(features.present))


def values_of(features: Features) -> list[Tensor]:
    """Pooled values, and tokens if there are any."""
    return [x for x in (features.pooled, features.tokens) if x is not None]


def with_values(features: Sequence[Features], values: Sequence[Tensor]) -> list[Features]:
    """The features with their pooled values and tokens taken from `values`, in order."""
    rest = iter(values)
    return [map_values(f, lambda _: next(rest)) for f in features]


def as_leaves(features: Features) -> Features:
    """Copies that gather gradients."""
    return map_values(features, lambda x: x.detach().clone().requires_grad_())


def fill_first(x: Tensor, value: float) -> Tensor:
    """The tensor with `value` everywhere in its first row."""
    return torch.cat([torch.full_like(x[:1], value), x[1:]])


def without_first(features: Features, value: float) -> Features:
    """The same features, but that sample 0 is absent and holds `value`."""
    present = features.present.clone()
    present[0] = False
    return replace(map_values(features, lambda x: fill_first(x, value)), present=present)


def spoil_masked(features: Features) -> Features:
    """The same features with rubbish in the tokens that are masked, if there are any."""
    if features.tokens is None or features.mask is None:
        return features
    tokens = features.tokens.masked_fill(~features.mask.unsqueeze(-1), RUBBISH)
    return replace(features, tokens=tokens)
