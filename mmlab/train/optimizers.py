"""The optimiser: what decays, what learns how fast, and the schedule of the rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from mmlab.errors import SpecError, explain
from mmlab.model.model import Step
from mmlab.model.sharding import is_sharded
from mmlab.plugin import Staged
from mmlab.spec import TrainTable


def make_optimizer(
    step: Step, table: TrainTable, lr_scales: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Fused AdamW; biases, norms and temperatures (fewer than 2 axes) do not decay.

    `lr_scales` holds factors of the learning rate by encoder. The parameters of one group have one
    decay and one factor, which is the group's "scale".
    """
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    scales = dict(_scales(step, table, lr_scales or {}))
    for parameter in step.parameters():
        if parameter.requires_grad:
            scale = scales.get(id(parameter), 1.0)
            # The fused step takes no parameters that are spread together with others.
            kind = (scale, parameter.ndim >= 2, is_sharded(parameter))
            groups.setdefault(kind, []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": p, "weight_decay": table.weight_decay if decays else 0.0, "scale": scale}
            for (scale, decays, _), p in groups.items()
        ],
        lr=table.lr,
        betas=table.betas,
        fused=True,
    )
    optimizer.grad_scale = None  # type: ignore[attr-defined]  # read by the fused step
    return optimizer


def learning_rate(table: TrainTable, index: int, total_steps: int) -> float:
    """Linear warm-up, then a cosine to zero. `index` is the 0-based step about to be taken."""
    warmup = round(table.warmup_fraction * total_steps)
    if index < warmup:
        return table.lr * (index + 1) / warmup
    done = (index - warmup) / max(1, total_steps - warmup)
    return table.lr * 0.5 * (1 + math.cos(math.pi * done))


def _scales(
    step: Step, table: TrainTable, lr_scales: Mapping[str, float]
) -> Iterator[tuple[int, float]]:
    """Factors by the id of a parameter: those of its encoder and of its stage.

    The last of n stages has layer_decay, the first layer_decay ** n, as in BEiT (Bao et al.,
    arXiv:2106.08254, appendix); what is no part of an encoder has 1.
    """
    for key, encoder in step.model.encoders.items():
        factor = lr_scales.get(key, 1.0)
        yield from ((id(p), factor) for p in encoder.parameters())
        if table.layer_decay == 1.0 or not any(p.requires_grad for p in encoder.parameters()):
            continue
        if not isinstance(encoder, Staged):
            raise _without_stages(key)
        stages = encoder.stages()
        for position, stage in enumerate(stages):
            scale = factor * table.layer_decay ** (len(stages) - position)
            yield from ((id(p), scale) for p in stage.parameters())


def _without_stages(key: str) -> SpecError:
    return SpecError(
        explain(
            "train.layer_decay",
            f"the encoder {key!r} cannot name its stages",
            found="an encoder without `stages`",
            allowed="encoders with stages, or frozen ones",
            next_step=f"leave train.layer_decay out and set encoders.{key}.lr_scale",
        )
    )
