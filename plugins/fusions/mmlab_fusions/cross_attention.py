"""Cross-attention: the tokens of each modality read those of every other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import require_heads
from mmlab_fusions.token_layers import TokenLayer, TokenMaps, masked_mean


class CrossAttention(nn.Module):
    """Tokens of each input read those of each other one: z = P [m_uv, m_vu, ...].

        m_uv = mean over the real tokens of norm(layers_uv(X u, Y v)), where X u read Y v

    u: (..., N, token_dims[0]), v: (..., M, token_dims[1]), ... -> (..., dim). Leading axes
    broadcast; comparing all pairs takes memory for the tokens of each. Parameters: a matrix (dim,
    token_dims[i]) for each input, `depth` layers and a norm for each ordered pair of inputs, 12
    dim^2 numbers a layer, and P (dim, dim x pairs). Of an encoder without tokens the pooled
    features are the only token; where that is all there is to read, queries make no difference.

    Of more inputs every ordered pair has layers of its own. An absent input gives nothing to read,
    so that the others pass on their own tokens through the layers, and m is 0 where its tokens
    would read; where all are absent, z = 0. The scores of several prompts are averaged.

    Source: MulT, Tsai et al., arXiv:1906.00295, section 3, its crossmodal transformers. Departures:
    no convolution and no positions before them, for encoders give both; the mean of the tokens in
    the place of self-attention over all pairs and its last token; no dropout.
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
        depth: Annotated[Size, Field(description="layers for each ordered pair")] = 1,
    ) -> None:
        super().__init__()
        require_heads(dim, heads)
        self.dim = dim
        self.tokens = TokenMaps(dims, token_dims, dim)
        self.pairs = list(permutations(range(len(dims)), 2))
        self.depth = depth
        self.layers = nn.ModuleList(TokenLayer(dim, heads) for _ in self.pairs * depth)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in self.pairs)
        self.result = nn.Linear(len(self.pairs) * dim, dim, bias=False)

    def project(self, position: int, features: Features) -> Features:
        """One input's tokens in the joint width: tokens (..., N, dim)."""
        mapped: Features = self.tokens(position, features)
        return mapped

    def fuse(self, *features: Features) -> Tensor:
        """The map of the pairs' means, (..., dim)."""
        means = [
            self._read(pair, features[reader], features[source])
            for pair, (reader, source) in enumerate(self.pairs)
        ]
        fused: Tensor = self.result(torch.cat(torch.broadcast_tensors(*means), dim=-1))  # type: ignore[no-untyped-call]
        return fused

    def _read(self, pair: int, reader: Features, source: Features) -> Tensor:
        """Mean of one input's tokens after they have read those of another."""
        x, keys = reader.tokens, source.tokens
        for depth in range(self.depth):
            x = self.layers[pair * self.depth + depth](x, keys, source.mask)
        assert reader.mask is not None, "`project` makes one"
        return masked_mean(self.norms[pair](x), reader.mask)
