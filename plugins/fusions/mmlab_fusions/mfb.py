"""Factorised bilinear pooling: sums over windows of products, in one block (MFB) or more (MFH)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero, product
from mmlab_fusions.signed_root import normalized


class MFB(nn.Module):
    """Factorised bilinear pooling: z_k = sum over the window of k of (U u) * (V v) * ..., no bias.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., order * dim). Leading axes broadcast. A
    window is `window` neighbours: z_k adds the products k * window ... (k + 1) * window - 1. Of two
    inputs these are bilinear forms z_k = u^T U_k^T V_k v of rank `window`. Parameters: for each
    input `order` matrices (window * dim, dims[i]). That is `low_rank_bilinear` with rank = window *
    dim and a P fixed to ones in blocks. Comparing all pairs takes window * order * dim numbers for
    each.

    `order` 1 is MFB. With more, block o multiplies the products of the blocks before it with its
    own, e_o = e_(o-1) * (U_o u) * (V_o v), and its sums follow theirs: MFH, of degree o in u.

    `normalize` adds what the papers do next, for each block: a signed square root, and length 1.
    Their dropout of the products is left out.

    Any number of inputs is multiplied. An absent input is the factor 1 in every block, and leaves
    the others; where all are absent, z = 0. The scores of several prompts are averaged, because
    blocks multiply an input with itself and normalised results are not linear.

    Source: MFB, Yu et al., arXiv:1708.01471, equation 4; MFH, Yu et al., arXiv:1708.03619,
    equations 8 to 10.
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
        dim: Annotated[Size, Field(description="sums of each block")] = 256,
        window: Annotated[Size, Field(description="products in each sum")] = 5,
        order: Annotated[Size, Field(description="blocks: 1 is MFB, more are MFH")] = 1,
        normalize: Annotated[bool, Field(description="signed square root, then length 1")] = False,
    ) -> None:
        super().__init__()
        self.dim = order * dim
        self.window = window
        self.order = order
        self.is_normalized = normalize
        self.maps = nn.ModuleList(
            nn.Linear(width, order * dim * window, bias=False) for width in dims
        )

    def project(self, position: int, features: Features) -> Features:
        """One input's factors, block after block: pooled (..., order * dim * window)."""
        factors = self.maps[position](present_or_zero(features))
        factors = factors.masked_fill(~features.present.unsqueeze(-1), 1)
        return replace(features, pooled=factors, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The sums of all blocks, (..., order * dim)."""
        products = product(features)
        blocks = products.reshape(*products.shape[:-1], self.order, -1, self.window)
        expanded = blocks.cumprod(dim=-3) if self.order > 1 else blocks
        sums = expanded.sum(dim=-1)  # (..., order, dim)
        return (normalized(sums) if self.is_normalized else sums).flatten(-2)
