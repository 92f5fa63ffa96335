"""Low-rank adapters (LoRA): an encoder stays as it was, small additions to its linear maps learn.

Weights are saved with the additions summed in, under the names of the encoder without adapters: so
they are read by whatever reads that encoder, and can be adapted again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from mmlab.errors import SpecError, explain
from mmlab.spec import LoraTable


class LowRank(nn.Module):
    """W -> W + alpha / rank * up @ down, for a weight W (outputs, inputs).

    down (rank, inputs) starts as torch starts a linear map, up (outputs, rank) at zero, so that
    training starts from the encoder as it was.

    Source: LoRA, Hu et al., arXiv:2106.09685, section 4.1. Without its dropout.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(rank, inputs))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """The sum."""
        return weight + self.scale * (self.up @ self.down)


def adapt(
    encoder: nn.Module, table: LoraTable, frozen: Sequence[nn.Module], place: str
) -> Sequence[nn.Module]:
    """Freeze an encoder and give its linear maps adapters, but for those in frozen stages.

    Gives the modules that must stay in eval mode so that nothing of the encoder changes: batch
    norm. Raises SpecError where no linear map has a name that the table asks for.
    """
    closed = {module for stage in frozen for module in stage.modules()}
    maps = {
        name: module
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and module not in closed
    }
    chosen = [maps[name] for name in maps if _is_asked_for(name, table.targets)]
    if not chosen:
        raise _no_target(place, table, maps)
    encoder.requires_grad_(False)
    for module in chosen:
        adapter = LowRank(module.weight, table.rank, table.alpha or float(table.rank))
        parametrize.register_parametrization(module, "weight", adapter)
        module.parametrizations.weight.original.requires_grad_(False)  # type: ignore[union-attr]
    return [module for module in encoder.modules() if isinstance(module, _BatchNorm)]


def merge_state(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of an adapted module as that of the plain one, additions summed in."""
    merged = dict(state)
    for prefix, adapter in _adapters(module):
        inner = f"{prefix}parametrizations.weight."
        weight, down, up = (merged.pop(inner + n) for n in ("original", "0.down", "0.up"))
        merged[f"{prefix}weight"] = weight + adapter.scale * (up @ down)
    return merged


def split_state(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the plain module as that of the adapted one, which then adds nothing."""
    split = dict(state)
    for prefix, adapter in _adapters(module):
        inner = f"{prefix}parametrizations.weight."
        split[f"{inner}original"] = split.pop(f"{prefix}weight")
        split[f"{inner}0.down"] = torch.zeros(adapter.down.shape, dtype=adapter.down.dtype)
        split[f"{inner}0.up"] = torch.zeros(adapter.up.shape, dtype=adapter.up.dtype)
    return split


def _adapters(module: nn.Module) -> Iterator[tuple[str, LowRank]]:
    """Adapters, each with the prefix of the names of what it adapts."""
    for name, inner in module.named_modules():
        if parametrize.is_parametrized(inner, "weight"):
            adapter = cast(nn.ModuleDict, inner.parametrizations)["weight"][0]  # type: ignore[index]
            if isinstance(adapter, LowRank):
                yield f"{name}." if name else "", adapter


def _is_asked_for(name: str, targets: Sequence[str]) -> bool:
    """Whether a dotted name or its last part matches a pattern."""
    return any(fnmatchcase(x, target) for target in targets for x in (name, name.split(".")[-1]))


def _no_target(place: str, table: LoraTable, maps: Collection[str]) -> SpecError:
    shown = ", ".join(sorted(maps)[:8]) + (", ..." if len(maps) > 8 else "")
    return SpecError(
        explain(
            f"{place}.targets",
            "no linear map of this encoder that is not frozen has such a name",
            found=", ".join(table.targets),
            allowed=f"patterns of: {shown}" if maps else "an encoder with linear maps",
            next_step="correct the patterns, or leave `targets` out to adapt every linear map",
        )
    )
