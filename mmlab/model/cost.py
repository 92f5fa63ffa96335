"""What a model costs: its parameters and its arithmetic, divided by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Features

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode


def count_parameters(step: Step) -> dict[str, int]:
    """Parameters of encoders, fusion, head (the scorer of pairs included) and losses."""
    model = step.model
    parts: Mapping[str, list[nn.Module | None]] = {
        "encoders": [model.encoders],
        "fusion": [model.fusion],
        "head": [model.head, model.scorer],
        "losses": [step.losses],
    }
    return {
        name: sum(p.numel() for m in modules if m is not None for p in m.parameters())
        for name, modules in parts.items()
    }


def count_flops(model: Model, batch: Batch) -> dict[str, int]:
    """Floating-point operations of one forward pass in evaluation mode, for each sample, by part.

    Counted are products of matrices, convolutions and attention, a multiplication and an addition
    each: what `torch.utils.flop_counter` knows. Elementwise operations, norms and Fourier
    transforms are not, and neither is the scoring of pairs, whose number is that of the samples
    squared. The mean of the batch, rounded.
    """
    mode = model.training
    model.eval()
    try:
        return _count(model, batch)
    finally:
        model.train(mode)


def _count(model: Model, batch: Batch) -> dict[str, int]:
    samples = max(1, len(batch.index))
    with _counting() as encoders:
        features = {key: _encode(model, key, x, batch) for key, x in batch.inputs.items()}
    with _counting() as joint:
        fused = model.outputs(features).fused
    with _counting() as head:
        if model.head is not None and fused is not None:
            model.head(fused)
    counts = {name: c.get_total_flops() for name, c in (("encoders", encoders), ("head", head))}
    counts["fusion"] = joint.get_total_flops() - counts["head"]
    return {name: round(counts[name] / samples) for name in ("encoders", "fusion", "head")}


def _encode(model: Model, key: str, x: Tensor, batch: Batch) -> Features:
    return model.encode(key, x, batch.present[key])


@contextmanager
def _counting() -> Iterator[FlopCounterMode]:
    """No gradients, and attention as products: the counter knows no fused kernel of a CPU."""
    from torch.utils.flop_counter import FlopCounterMode  # imports a compiler of kernels

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as c:
            yield c
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
