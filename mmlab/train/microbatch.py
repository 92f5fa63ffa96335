"""How one training step is computed: gradient accumulation in microbatches, compiled or not.

None of it changes what is computed: the gradients are those of the whole batch in one process. With
a cached gradient, inputs become features in chunks that need little memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmlab.data.tables import join_rows
from mmlab.errors import SpecError, explain
from mmlab.model.model import Step
from mmlab.plugin import Encode, Features, Staged
from mmlab.spec import TrainTable
from mmlab.train.parallel import Forward, replicate, shard
from mmlab.train.processes import ProcessGroup


def wrap_for_training(
    step: Step, table: TrainTable, group: ProcessGroup, device: torch.device
) -> Forward:
    """What to call with a batch in place of the step, which is on its device and in train mode.

    Raises SpecError where a batch is to be divided and an encoder mixes its samples.
    """
    encode: Encode = step.model.encode
    encoders = dict(step.model.encoders.items())
    if table.checkpoint_activations:
        require_rows_apart(encoders, "train.checkpoint_activations")
    if table.microbatch is not None:
        require_rows_apart(encoders, "train.microbatch")
        encode = Chunked(encode, table.microbatch)
    step.encode = step.encode_own = encode
    if group.size > 1:
        from mmlab.train.gather import Gathered  # one process alone does without

        require_rows_apart(encoders, "torchrun")
        gathered = Gathered(encode, step.model, group)
        step.encode, step.encode_own, step.gather = gathered, gathered.own, gathered.batch
    for encoder in encoders.values():
        if table.checkpoint_activations and any(p.requires_grad for p in encoder.parameters()):
            forget_activations(encoder)
        if table.compile:
            encoder.compile()  # what was compiled for one cell serves the next
    if group.size == 1:
        return step
    if table.parallel == "ddp":
        return replicate(step, device)
    return shard(step, group, device)


class Chunked:
    """`encode`, a few rows at a time: activations are kept for one chunk only, gradients are exact.

    The forward pass keeps the features of all rows and nothing of what led to them, so the losses
    see the whole batch. The backward pass starts from the gradient with respect to all features;
    it encodes chunk after chunk once more, with the random numbers of its first time, and passes
    the chunk's part of the gradient on.

    Source: cached gradients, Gao et al., arXiv:2101.06983. There the two passes are steps of the
    training loop; here the second is part of one ordinary backward pass, so that every parameter,
    a loss's temperature among them, gets one gradient, and parallel wrappers see one backward pass.
    """

    def __init__(self, encode: Encode, rows: int) -> None:
        self.encode = encode
        self.rows = rows

    def __call__(self, key: str, x: Tensor) -> Features:
        """Features of one encoder for all rows of x."""
        if len(x) <= self.rows:
            return self.encode(key, x)
        return join_rows([self._chunk(key, rows) for rows in torch.split(x, self.rows)])

    def _chunk(self, key: str, x: Tensor) -> Features:
        # Saves and replays torch's generators, of the host and of the device of x.
        return checkpoint(self.encode, key, x, use_reentrant=False)


def forget_activations(encoder: nn.Module) -> None:
    """Let each stage of an encoder make its activations anew in the backward pass.

    An encoder that cannot name its stages does so as a whole. Random numbers are replayed.
    """
    inside = set(encoder.modules())
    stages = encoder.stages() if isinstance(encoder, Staged) else [encoder]
    for stage in stages:
        if stage in inside:  # others only list parameters that the encoder itself uses
            stage.forward = partial(checkpoint, stage.forward, use_reentrant=False)


def require_rows_apart(encoders: Mapping[str, nn.Module], key: str) -> None:
    """Raise SpecError where an encoder in training mode has batch norm, and `key` forbids that.

    Its statistics, and with them the features, would be those of a part of the batch, or would be
    updated twice in a step. What is frozen uses statistics that are fixed.
    """
    for name, encoder in encoders.items():
        for path, module in encoder.named_modules():
            if isinstance(module, _BatchNorm) and module.training:
                raise _mixes(f"encoders.{name}", f"{type(module).__name__} {path!r}", key)


def _mixes(place: str, module: str, key: str) -> SpecError:
    return SpecError(
        explain(
            place,
            f"batch norm in training mode does not go with {key}",
            found=module,
            allowed="encoders without batch norm, or with all of it frozen",
            next_step=f"freeze this encoder, choose one with group or layer norm, or drop {key}",
        )
    )
