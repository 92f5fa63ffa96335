"""Compact bilinear pooling: a random sketch of all products of elements, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.inputs import (
    at_least_float32,
    present_or_zero,
    zero_where_all_absent,
)
from mmlab_fusions.signed_root import normalized


class CompactBilinear(nn.Module):
    """Count sketch of the outer product of all inputs, by circular convolution of their sketches.

        z = irfft(rfft(S(u; h1, s1)) * rfft(S(v; h2, s2)) * ..., n = dim)
        S(x; h, s)_j = sum of s(i) x_i over all i with h(i) = j

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. No parameters:
    buckets h in 0 ... dim - 1 and signs s are drawn once from `hash_seed`, are buffers, and come
    back with the checkpoint whatever the seed is then. The mean of <z, z'> over hash functions is
    <u, u'> <v, v'>, with a standard deviation that shrinks as 1 / sqrt(dim).

    Computed in float32 at least, outside autocast. A sketch is a product with a matrix that has one
    sign in each row: its sums have one order on every device, which scattering has not.

    `normalize` adds what the papers do next: a signed square root, and length 1. It tames the heavy
    tails before a head, and is off in the exact operator, which is linear in each input.

    Any number of inputs is convolved. An absent input is the neutral element of the convolution,
    whose spectrum is 1: z is the sketch of the others; where all are absent, z = 0. The scores of
    several prompts are averaged, because normalised results are not linear in them.

    Source: Gao et al., arXiv:1511.06062, algorithm 2, for two modalities as MCB, Fukui et al.,
    arXiv:1606.01847, algorithm 1. u = v with one h and s would be the former's.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "score"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, le=100_000, description="width of the sketch")] = 1024,
        hash_seed: Annotated[int, Field(ge=0, description="seed of the hash functions")] = 0,
        normalize: Annotated[bool, Field(description="signed square root, then length 1")] = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.is_normalized = normalize
        # Its own generator: the hash functions must not depend on what was built before.
        source = torch.Generator().manual_seed(hash_seed)
        for i, width in enumerate(dims):
            buckets = torch.randint(dim, (width,), generator=source)
            signs = 2 * torch.randint(2, (width,), generator=source) - 1
            self.register_buffer(f"buckets_{i}", buckets)
            self.register_buffer(f"signs_{i}", signs)

    def project(self, position: int, features: Features) -> Features:
        """One input's spectrum, real and imaginary in turn: pooled (..., 2 (dim // 2 + 1))."""
        with torch.autocast(features.pooled.device.type, enabled=False):
            sketch = self._sketch(position, at_least_float32(present_or_zero(features)))
            spectrum = torch.fft.rfft(sketch, n=self.dim)
        is_absent = ~features.present.unsqueeze(-1)
        pooled = torch.view_as_real(spectrum.masked_fill(is_absent, 1)).flatten(-2)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The convolution of the sketches, (..., dim)."""
        with torch.autocast(features[0].pooled.device.type, enabled=False):
            spectrum = reduce(torch.mul, (_complex(f.pooled) for f in features))
            # Without `n` an odd width would lose its last element.
            fused = torch.fft.irfft(spectrum, n=self.dim)
        fused = zero_where_all_absent(fused, features)
        return normalized(fused) if self.is_normalized else fused

    def _sketch(self, position: int, x: Tensor) -> Tensor:
        buckets = self.get_buffer(f"buckets_{position}").unsqueeze(1)
        signs = self.get_buffer(f"signs_{position}").unsqueeze(1)
        matrix = x.new_zeros(len(buckets), self.dim).scatter(1, buckets, signs.to(x.dtype))
        return x @ matrix


def _complex(pooled: Tensor) -> Tensor:
    pairs = at_least_float32(pooled).reshape(*pooled.shape[:-1], -1, 2)
    return torch.view_as_complex(pairs.contiguous())
