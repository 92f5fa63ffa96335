"""The product of linear maps, one of each modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero, product


class Multiplicative(nn.Module):
    """Elementwise product of linear maps: z = (W u) * (V v) * ...

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (dim, dims[i]) for each input. Of two inputs this is the bilinear form of rank 1 for each
    output, z_k = u^T (w_k v_k^T) v. Its tails are heavy (the product of two normal numbers has
    kurtosis 9), and a zero vector stops the gradient of all others.

    `bias` adds a constant (dim) to each map, which adds terms of single modalities to the product:
    off in the exact operator.

    Any number of inputs is multiplied. An absent input is the factor 1, and leaves the product of
    the others; where all are absent, z = 0.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in each factor: the mean of the results is the result of the mean.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        bias: Annotated[bool, Field(description="add a learnt constant to each factor")] = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=bias) for width in dims)

    def project(self, position: int, features: Features) -> Features:
        """One input's factor: pooled (..., dim), 1 where it is absent."""
        mapped = self.maps[position](present_or_zero(features))
        factor = mapped.masked_fill(~features.present.unsqueeze(-1), 1)
        return replace(features, pooled=factor, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The product of the factors, (..., dim)."""
        return product(features)
