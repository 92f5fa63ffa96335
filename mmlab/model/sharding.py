"""Sharded parameters (FSDP): whether a tensor is spread over processes, whole, and the own part."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_sharded(x: Tensor) -> bool:
    """Whether each process keeps a part of this tensor only."""
    return hasattr(x, "placements")


def gather(x: Tensor) -> Tensor:
    """The tensor put together, if it is spread: a message between all processes."""
    return cast("DTensor", x).full_tensor() if is_sharded(x) else x


def local(x: Tensor) -> Tensor:
    """The part of the tensor that this process keeps, in the same memory."""
    return cast("DTensor", x).to_local() if is_sharded(x) else x
