"""Attention bottlenecks: a few tokens of nobody's through which all modalities must speak."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import require_heads, zero_where_all_absent
from mmlab_fusions.token_layers import TokenLayer, TokenMaps, broadcast_tokens


class Bottleneck(nn.Module):
    """Tokens of each input and shared bottleneck tokens read each other, layer after layer.

        [x_i, b_i] = layer_i([x_i, b])  for each input i,   b = mean of the b_i,   depth times
        z = mean over the bottleneck tokens of norm(b)

    u: (..., N, token_dims[0]), v: (..., M, token_dims[1]), ... -> (..., dim). Leading axes
    broadcast; comparing all pairs takes memory for the tokens of each. Inputs meet in the
    `bottlenecks` tokens b alone, so that attention costs N^2 + M^2 and not (N + M)^2. Parameters: a
    matrix (dim, token_dims[i]) for each input, b at the start (bottlenecks, dim), `depth` layers
    for each input, 12 dim^2 numbers a layer, and a norm. Of an encoder without tokens the pooled
    features are the only token.

    Any number of inputs shares the bottleneck. An absent input has no say in the mean of the b_i;
    where all are absent, z = 0. The scores of several prompts are averaged.

    Source: MBT, Nagrani et al., arXiv:2107.00135, equations 8 and 9. Departures: every layer has a
    bottleneck, for encoders are the layers before it; the result is read from the bottleneck
    instead of a class token of each input, so that in the last layer only it reads; no dropout.
    Joins two inputs or more. Raises SpecError unless heads divide the width.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled", "tokens"})
    prompts: ClassVar[Literal["features", "score"]] = "score"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        token_dims: Sequence[int | None],
        *,
        dim: Annotated[Size, Field(description="width of tokens and result")] = 256,
        heads: Annotated[Size, Field(description="attention heads of each layer")] = 4,
        depth: Annotated[Size, Field(description="layers of each input")] = 2,
        bottlenecks: Annotated[Size, Field(description="shared tokens")] = 4,
    ) -> None:
        super().__init__()
        require_heads(dim, heads)
        self.dim = dim
        self.tokens = TokenMaps(dims, token_dims, dim)
        self.bottlenecks = nn.Parameter(torch.randn(bottlenecks, dim) / dim**0.5)
        self.layers = nn.ModuleList(
            nn.ModuleList(TokenLayer(dim, heads) for _ in dims) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def project(self, position: int, features: Features) -> Features:
        """One input's tokens in the joint width: tokens (..., N, dim)."""
        mapped: Features = self.tokens(position, features)
        return mapped

    def fuse(self, *features: Features) -> Tensor:
        """The mean of the bottleneck tokens, (..., dim)."""
        shared: Tensor = self.bottlenecks
        tokens = [_require(f.tokens) for f in features]
        last = len(self.layers) - 1
        for depth, layers in enumerate(self.layers):
            read = [
                self._layer(layer, x, shared, _require(f.mask), is_last=depth == last)
                for layer, x, f in zip(layers, tokens, features, strict=True)  # type: ignore[call-overload]
            ]
            tokens = [x for x, _ in read]
            shared = _mean_of_present([b for _, b in read], features)
        return zero_where_all_absent(self.norm(shared).mean(dim=-2), features)

    def _layer(
        self, layer: nn.Module, x: Tensor, shared: Tensor, mask: Tensor, *, is_last: bool
    ) -> tuple[Tensor, Tensor]:
        """Tokens of one input, and its reading of the bottleneck, after one layer."""
        shape = torch.broadcast_shapes(x.shape[:-2], shared.shape[:-2])  # type: ignore[no-untyped-call]
        x, shared = broadcast_tokens(x, shape), broadcast_tokens(shared, shape)
        keys = torch.cat([x, shared], dim=-2)
        may_read = torch.cat(
            [mask.expand(keys.shape[:-2] + mask.shape[-1:]), mask.new_ones(shared.shape[:-1])], -1
        )
        if is_last:
            return x, layer(shared, keys, may_read)
        read = layer(keys, keys, may_read)
        return read[..., : x.shape[-2], :], read[..., x.shape[-2] :, :]


def _mean_of_present(parts: Sequence[Tensor], features: Sequence[Features]) -> Tensor:
    """Mean of (..., n, D) of the inputs that are present."""
    present = [f.present[..., None, None].to(x.dtype) for f, x in zip(features, parts, strict=True)]
    total = reduce(torch.add, (x * there for x, there in zip(parts, present, strict=True)))
    return total / reduce(torch.add, present).clamp(min=1)


def _require(x: Tensor | None) -> Tensor:
    assert x is not None, "`project` makes it"
    return x
