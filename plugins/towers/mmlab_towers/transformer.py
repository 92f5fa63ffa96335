"""The encoder of sentence models: what transformers computes for them, without transformers.

transformers would bring 129 MB and 7 seconds of import for a hundred lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Tokens further apart than this share a bucket (MPNet; T5, arXiv:1910.10683, section 2.1).
_FARTHEST = 128


@dataclass(frozen=True)
class Size:
    """The numbers that decide what a transformer computes.

    `first_position` is the row of the table of positions where a text starts: 0, or the row after
    the padding id. `type_vocab_size` and `relative_attention_num_buckets` are 0 where the
    architecture knows no segments and no bias by distance.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    relative_attention_num_buckets: int
    layer_norm_eps: float
    pad_token_id: int
    first_position: int

    @property
    def length(self) -> int:
        """Ids of the longest text there are positions for."""
        return self.max_position_embeddings - self.first_position


class Transformer(nn.Module):
    """Post-norm transformer encoder (Devlin et al., arXiv:1810.04805), evaluation without dropout.

    ids (B, N) and mask (B, N), True at what is read -> (B, N, hidden_size). Dropout is left out in
    training too: these are towers, and a projection learns on top of them.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embeddings = Embeddings(size)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.num_hidden_layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Tokens of the last layer."""
        x: Tensor = self.embeddings(ids)
        seen = self.embeddings.seen(mask)
        for layer in self.layers:
            x = layer(x, seen)
        return x

    def stages(self) -> Sequence[nn.Module]:
        """The embeddings and the layers, from input to output."""
        return [self.embeddings, *self.layers]


class Embeddings(nn.Module):
    """What a text is before the layers: its tokens (B, N, hidden_size), and what sees what."""

    buckets: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        width, kinds = size.hidden_size, size.type_vocab_size
        self.pad, self.first = size.pad_token_id, size.first_position
        self.words = nn.Embedding(size.vocab_size, width)
        self.positions = nn.Embedding(size.max_position_embeddings, width)
        self.segments = nn.Embedding(kinds, width) if kinds else None
        self.norm = nn.LayerNorm(width, eps=size.layer_norm_eps)
        rows = size.relative_attention_num_buckets
        self.distances = nn.Embedding(rows, size.num_attention_heads) if rows else None
        if rows:
            self.register_buffer("buckets", _buckets(size.length, rows), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Sum of word, position and (first) segment, normalised; one text a row."""
        added = self.words(ids) + self._positions(ids)
        if self.segments is not None:
            added = added + self.segments.weight[0]
        result: Tensor = self.norm(added)
        return result

    def seen(self, mask: Tensor) -> Tensor:
        """Mask (B, N) -> (B, 1, 1, N), or with a bias by distance what is added, (B, heads, N, N).

        The bias is of MPNet (Song et al., arXiv:2004.09297), the same in every layer.
        """
        mask = mask[:, None, None, :]
        if self.distances is None:
            return mask
        place = torch.arange(mask.shape[-1], device=mask.device)
        apart = place - place[:, None] + len(self.buckets) // 2  # (N, N), from reader to read
        bias: Tensor = self.distances(self.buckets[apart])  # (N, N, heads)
        return bias.permute(2, 0, 1).masked_fill(~mask, -math.inf)

    def _positions(self, ids: Tensor) -> Tensor:
        table: Tensor = self.positions.weight
        if not self.first:
            return table[: ids.shape[1]]
        real = ids != self.pad  # padding keeps its own row, and is not counted
        rows = real.cumsum(1) * real + self.pad  # (B, N)
        return F.embedding(rows, table)


class Layer(nn.Module):
    """Self-attention and an MLP, each added to its input and then normalised."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width, eps = size.hidden_size, size.layer_norm_eps
        self.heads = size.num_attention_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.write = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.widen = nn.Linear(width, size.intermediate_size)
        self.narrow = nn.Linear(size.intermediate_size, width)
        self.mlp_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(B, N, width), seen as the embeddings give it -> (B, N, width)."""
        q, k, v = (
            read(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for read in (self.query, self.key, self.value)
        )  # each (B, heads, N, width / heads)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=_like(q, seen))
        x = self.attention_norm(x + self.write(mixed.transpose(1, 2).flatten(2)))
        result: Tensor = self.mlp_norm(x + self.narrow(F.gelu(self.widen(x))))
        return result


def _like(q: Tensor, seen: Tensor) -> Tensor:
    """A bias in the queries' type, which autocast may have made smaller; a mask stays."""
    return seen if seen.dtype == torch.bool else seen.to(q.dtype)


def _buckets(length: int, rows: int) -> Tensor:
    """Row of the bias for each distance -(length - 1) ... length - 1.

    Half of the rows are for what stands before, half for what comes after. Half of those are for
    one distance each, the others for ranges that grow as the logarithm up to `_FARTHEST`.
    """
    side = rows // 2
    exact = side // 2
    distance = torch.arange(1 - length, length)
    n = distance.abs()
    spread = torch.log(n.clamp(min=1).float() / exact) / math.log(_FARTHEST / exact)
    far = (exact + (spread * (side - exact)).long()).clamp(max=side - 1)
    return torch.where(n < exact, n, far) + side * (distance > 0)
