"""The weights of a bilinear form: their start, a limit of their memory, and their product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmlab.plugin import SpecError, explain

MIB = 1 << 20


def weight_tensor(
    name: str, widths: Sequence[tuple[int, int]], dim: int, limit_mib: int
) -> nn.Parameter:
    """Normal random weights (dim, du, dv) of standard deviation 1 / sqrt(du dv).

    So that a form of standard normal vectors has variance 1; nn.Bilinear's start would give dv / 3.
    `widths` are du and dv, and those of the further operators of a fold. Raises SpecError, before
    anything is allocated, where the weights of all together take more than `limit_mib`.
    """
    _check_memory(name, widths, dim, limit_mib)
    du, dv = widths[0]
    return nn.Parameter(torch.randn(dim, du, dv) / (du * dv) ** 0.5)


def bilinear_form(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """z_k = u^T W_k v: (dim, du, dv), (..., du), (..., dv) -> (..., dim).

    Leading axes broadcast. The input with fewer rows goes first, which for all pairs of A and B
    rows keeps min(A, B) x dim x width numbers between the two steps.
    """
    if u.shape[:-1].numel() <= v.shape[:-1].numel():
        return torch.einsum("...kj,...j->...k", torch.einsum("kij,...i->...kj", weight, u), v)
    return torch.einsum("...ki,...i->...k", torch.einsum("kij,...j->...ki", weight, v), u)


def _check_memory(name: str, widths: Sequence[tuple[int, int]], dim: int, limit_mib: int) -> None:
    count = sum(dim * du * dv for du, dv in widths)
    mib = count * torch.get_default_dtype().itemsize / MIB
    if mib <= limit_mib:
        return
    sizes = " + ".join(f"{dim} x {du} x {dv}" for du, dv in widths)
    raise SpecError(
        explain(
            "fusion.limit_mib",
            f"the weights of {name} take more memory than the limit",
            found=f"{sizes} = {count} weights, {mib:.0f} MiB",
            allowed=f"up to {limit_mib} MiB; training takes four times the weights' size",
            next_step="set fusion.dim lower, fusion.limit_mib higher, "
            'or use = "low_rank_bilinear" or "compact_bilinear"',
        )
    )
