"""Two projections of each modality: one for each direction that is asked in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Scores, Size, normalize
from mmlab_fusions.inputs import at_least_float32, present_or_zero


class DirectionalProjections(nn.Module):
    """Cosines whose projections depend on who asks: forward <P u, Q v>, backward <R u, S v>.

    u: (A, dims[0]), v: (B, dims[1]) -> scores (A, B) in [-1, 1], which differ in both directions.
    With R = P and S = Q it is `inner_product`. All four maps are trained: by the forward scores P
    and Q, by the backward scores R and S. Scores are computed in float32 at least.

    A pair of which one side is absent scores 0, and vectors shorter than 1e-6 count as next to
    nothing: the gradient is at most 1e6. Prompts are averaged as vectors of length 1 of each
    direction, and `score` brings their average back to that length.

    Source: the extra latent projections of the x-clip library, there named after CLOOB (Fuerst et
    al., arXiv:2110.11316), which has none; `cloob` is a loss. Joins exactly two inputs.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, 2)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="joint width of each direction")] = 256,
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(width, 2 * dim, bias=False) for width in dims)
        self.dim_each = dim

    def project(self, position: int, features: Features) -> Features:
        """One side in both joint spaces, forward first: pooled (..., 2 * dim), each of length 1."""
        joint = at_least_float32(self.projections[position](present_or_zero(features)))
        halves = [normalize(half) for half in self._halves(joint)]
        return replace(features, pooled=torch.cat(halves, dim=-1), tokens=None, mask=None)

    def score(self, u: Features, v: Features) -> Scores:
        """Scores of every pair, (A, B), from projected features (A, 2 dim) and (B, 2 dim)."""
        with torch.autocast(u.pooled.device.type, enabled=False):
            pairs = zip(
                self._halves(at_least_float32(u.pooled)),
                self._halves(at_least_float32(v.pooled)),
                strict=True,
            )
            forward, backward = (normalize(x) @ normalize(y).T for x, y in pairs)
        return Scores(forward, backward)

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[..., : self.dim_each], x[..., self.dim_each :]
