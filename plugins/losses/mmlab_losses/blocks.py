"""The scores of a batch some rows at a time, so that memory grows with the rows of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmlab.plugin import Scores, SpecError, explain

Chunk = Annotated[
    int | None,
    Field(ge=1, description="rows of scores held at a time, to save memory; all unless given"),
]


class Scored(Protocol):
    """As much of a similarity as is read block by block."""

    @property
    def size(self) -> int:
        """Number of pairs B."""

    @property
    def present(self) -> Tensor:
        """(B,) bool: the pairs of which both sides are there."""

    def block(self, start: int, stop: int) -> Scores:
        """Scores of rows start to stop with all columns."""


#: What a block of rows start to stop gives: sums over it, or numbers of each row or column.
Block = Callable[[int, int], tuple[Tensor, ...]]


def in_blocks(size: int, chunk: int | None, block: Block) -> list[tuple[Tensor, ...]]:
    """What `block` gives for all `size` rows, `chunk` at a time.

    Of several blocks nothing but results is kept: what a gradient needs is made again, one block
    after the other.
    """
    if chunk is None or chunk >= size:
        return [block(0, size)]
    starts = range(0, size, chunk)
    return [
        checkpoint(block, start, min(start + chunk, size), use_reentrant=False) for start in starts
    ]


def full(x: Tensor) -> Tensor:
    """The same numbers in float32; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pair_mask(is_pair: Tensor, start: int, stop: int) -> Tensor:
    """Which scores of rows start to stop are between pairs that are both there, (rows, B)."""
    return is_pair[start:stop, None] & is_pair


def own(size: int, start: int, stop: int, device: torch.device) -> Tensor:
    """Which scores of rows start to stop are of a pair itself, (rows, size)."""
    rows = torch.arange(start, stop, device=device)
    return rows[:, None] == torch.arange(size, device=device)


def require_several(name: str, size: int) -> None:
    """Raise SpecError where a loss that compares samples gets one, for which it means nothing."""
    if size >= 2:
        return
    raise SpecError(
        explain(
            "train.batch_size",
            f"{name} compares the samples of a batch with each other",
            found=f"a batch of {size}",
            allowed="2 samples or more",
            next_step="raise train.batch_size",
        )
    )
