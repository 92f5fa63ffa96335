"""The inner product of two modalities: CLIP's similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Scores, Size, SpecError, explain, normalize
from mmlab_fusions.fold import Fold
from mmlab_fusions.inputs import at_least_float32, present_or_zero


class InnerProduct(nn.Module):
    """Similarity of a pair: s = <P u, Q v>, or the cosine of P u and Q v.

    u: (A, dims[0]), v: (B, dims[1]) -> scores (A, B), the same in both directions; the cosine is in
    [-1, 1]. Without `dim` there are no P and Q, no parameters, and both widths must be equal. There
    is no scale: a temperature belongs to the loss. Scores are computed in float32 at least.

    As a vector fusion it is the lecture's first row, z = <P u, Q v> of width 1, for a head to read.

    Of more inputs z, still of width 1, is the mean of <P_ij x_i, Q_ij x_j> over all pairs i < j, or
    of their cosines; pairs cannot be scored then. A pair with an absent input counts only where
    none is whole.

    A pair of which one side is absent scores 0, and vectors shorter than 1e-6 count as next to
    nothing: the cosine's gradient is at most 1e6. Prompts are averaged as vectors of length 1, and
    `score` brings their average back to that length.

    Source: Radford et al., arXiv:2103.00020, figure 3, without its temperature.
    Joins two inputs or more. Raises SpecError where `dim` is not set and their widths differ.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    dim = 1

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[
            Size | None, Field(description="joint width; no projection unless given")
        ] = None,
        cosine: Annotated[bool, Field(description="divide by the vectors' lengths")] = True,
    ) -> None:
        super().__init__()
        _check_widths(dims, dim)
        self.is_cosine = cosine
        self.projections = nn.ModuleList(
            nn.Identity() if dim is None else nn.Linear(width, dim, bias=False)
            for width in dims[:2]
        )
        self.fold = Fold("pairwise", dims, 1, partial(InnerProduct, dim=dim, cosine=cosine))

    def project(self, position: int, features: Features) -> Features:
        """One side in the joint space; of three inputs or more, the input: pooled (..., D)."""
        return self.fold.project(self, position, features)

    def fuse(self, *features: Features) -> Tensor:
        """The score as a vector of width 1, (..., 1); of three inputs or more, the pairs' mean."""
        return self.fold.fuse(self, features)

    def side(self, position: int, features: Features) -> Features:
        """One side in the joint space: pooled (..., dim), of length 1 for the cosine."""
        joint = at_least_float32(self.projections[position](present_or_zero(features)))
        pooled = normalize(joint) if self.is_cosine else joint
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def score(self, u: Features, v: Features) -> Scores:
        """Scores of every pair of two inputs, (A, B), from projected (A, dim) and (B, dim)."""
        with torch.autocast(u.pooled.device.type, enabled=False):
            x, y = at_least_float32(u.pooled), at_least_float32(v.pooled)
            scores = normalize(x) @ normalize(y).T if self.is_cosine else x @ y.T
        return Scores(scores, scores)

    def join(self, u: Features, v: Features) -> Tensor:
        """The score of each row's pair as a vector of width 1, (..., 1)."""
        with torch.autocast(u.pooled.device.type, enabled=False):
            x, y = at_least_float32(u.pooled), at_least_float32(v.pooled)
            if self.is_cosine:
                x, y = normalize(x), normalize(y)
            return (x * y).sum(dim=-1, keepdim=True)


def _check_widths(dims: Sequence[int], dim: int | None) -> None:
    if dim is not None or len(set(dims)) == 1:
        return
    raise SpecError(
        explain(
            "fusion.dim",
            "an inner product needs vectors of one width",
            found=f"widths {' and '.join(map(str, dims))}",
            allowed="equal widths, or `dim`, to which all inputs are projected",
            next_step="set fusion.dim",
        )
    )
