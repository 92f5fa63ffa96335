"""Transformer layers over tokens whose leading axes broadcast, and the tokens they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mmlab.plugin import Features


class TokenMaps(nn.Module):
    """Tokens of every input in one width: a matrix (dim, T) for each, without bias.

    An input whose encoder gives no tokens has one, its pooled features.
    """

    def __init__(self, dims: Sequence[int], token_dims: Sequence[int | None], dim: int) -> None:
        super().__init__()
        self.has_tokens = [width is not None for width in token_dims]
        self.maps = nn.ModuleList(
            nn.Linear(pooled if width is None else width, dim, bias=False)
            for pooled, width in zip(dims, token_dims, strict=True)
        )

    def forward(self, position: int, features: Features) -> Features:
        """Tokens (..., N, dim) of one input, and a mask (..., N) that is False where it is absent.

        Masked tokens are 0, whatever they were: a weight of 0 would not rid a sum of NaN.
        """
        tokens, mask = features.pooled.unsqueeze(-2), features.present.unsqueeze(-1)
        if self.has_tokens[position]:
            assert features.tokens is not None, "its encoder has a token_dim"
            tokens = features.tokens
            mask = mask.expand(tokens.shape[:-1]) if features.mask is None else mask & features.mask
        mapped = self.maps[position](tokens.masked_fill(~mask.unsqueeze(-1), 0))
        return replace(features, tokens=mapped, mask=mask)


class TokenAttention(nn.Module):
    """Multi-head attention of tokens x over others, without biases.

    Of a key a constant would change no softmax, so that nothing would train it.
    x: (..., N, D), keys: (..., M, D), mask: (..., M), True where a key may be read -> (..., N, D).
    Leading axes broadcast. Where no key may be read, the result is 0.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.read = nn.Linear(dim, 2 * dim, bias=False)
        self.write = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Every token's mixture of the keys it may read."""
        query = self._by_head(self.query(x))  # (..., heads, N, D / heads)
        key, value = (self._by_head(part) for part in self.read(keys).chunk(2, dim=-1))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # (..., heads, N, M)
        is_masked = ~mask[..., None, None, :]
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN.
        weights = scores.masked_fill(is_masked, torch.finfo(scores.dtype).min).softmax(dim=-1)
        mixed = weights.masked_fill(is_masked, 0) @ value
        result: Tensor = self.write(mixed.transpose(-2, -3).flatten(-2))
        return result

    def _by_head(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-2, -3)


class TokenLayer(nn.Module):
    """Pre-norm transformer layer: x + attention over the keys, then + an MLP four times as wide.

    Queries and keys share the first norm. Shapes are those of `TokenAttention`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = TokenAttention(dim, heads)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Tokens (..., N, D) that have read the keys (..., M, D)."""
        x = x + self.attention(self.attention_norm(x), self.attention_norm(keys), mask)
        result: Tensor = x + self.mlp(self.mlp_norm(x))
        return result


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of (..., N, D) over the N tokens where mask (..., N) is True; 0 where it nowhere is."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(dim=-2) / weight.sum(dim=-2).clamp(min=1)


def broadcast_tokens(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Tokens (..., N, D) or (N, D) with these leading axes."""
    return x.expand(*shape, *x.shape[-2:])
