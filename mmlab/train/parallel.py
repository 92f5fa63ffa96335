"""How one training step is computed: in microbatches, compiled, data-parallel (DDP and FSDP).

None of it changes what is computed: the gradients are those of the whole batch in one process. With
a cached gradient, inputs become features in chunks that need little memory.

`ddp` keeps every parameter on every process. `fsdp` shards those of the encoders, with their
gradients and the optimiser's averages, and puts a stage together only while it is needed; fusion,
head and losses are small, are called by other names than `forward`, and stay whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from mmlab.data.tables import join_rows
from mmlab.errors import SpecError, explain
from mmlab.model.device import gather, is_sharded
from mmlab.model.model import Step
from mmlab.plugin import Batch, Encode, Features, Staged
from mmlab.spec import TrainTable
from mmlab.train.processes import ProcessGroup

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


Forward = Callable[[Batch], tuple[Tensor, dict[str, Tensor]]]


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


def replicate(step: Step, device: torch.device) -> Forward:
    """The step, wrapped so that the backward pass averages gradients over the processes."""
    # A loss may leave parameters out in one step (no token masked, say): torch looks every time.
    wrapped = DistributedDataParallel(
        step,
        device_ids=[device] if device.type == "cuda" else None,
        find_unused_parameters=True,
    )
    return cast(Forward, wrapped)


def shard(step: Step, group: ProcessGroup, device: torch.device) -> Forward:
    """The step, after sharding the parameters of every encoder over the processes by stages.

    Gradients of what is sharded are averaged in the backward pass; see `average_gradients`.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (group.size,))
    for encoder in step.model.encoders.values():
        scalars = {p for p in encoder.parameters() if p.ndim == 0}  # torch shards no scalar
        inside = set(encoder.modules())
        for stage in encoder.stages() if isinstance(encoder, Staged) else ():
            if stage in inside and any(True for _ in stage.parameters()):
                fully_shard(stage, mesh=mesh, ignored_params=scalars)
        fully_shard(encoder, mesh=mesh, ignored_params=scalars)

    def forward(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        with warnings.catch_warnings():  # of features changed in place, which nobody does
            warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
            return cast(Forward, step)(batch)

    return forward


def average_gradients(parameters: Sequence[nn.Parameter], group: ProcessGroup) -> None:
    """Average the gradients of parameters that every process keeps whole, in one message."""
    found = [p.grad for p in parameters if p.grad is not None and not is_sharded(p)]
    if not found:
        return
    flat = torch.cat([gradient.flatten() for gradient in found])
    dist.all_reduce(flat)
    flat /= group.size
    for gradient, mean in zip(found, torch.split(flat, [g.numel() for g in found]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def clip_gradients(parameters: Sequence[nn.Parameter], max_norm: float) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm`; gives the norm before.

    Parts of sharded gradients count on every process.
    """
    parted = [p for p in parameters if is_sharded(p)]
    if not parted:
        return nn.utils.clip_grad_norm_(parameters, max_norm)
    kinds: list[list[nn.Parameter]] = [[p for p in parameters if not is_sharded(p)], parted]
    norm: Tensor = torch.linalg.vector_norm(torch.stack([_norm(kind) for kind in kinds]))
    for kind in kinds:
        nn.utils.clip_grads_with_norm_(kind, max_norm, norm)
    return norm


def _norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    return gather(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))


def gather_state(module: nn.Module) -> dict[str, Tensor]:
    """The state dict with every sharded tensor put together; all processes call this at once."""
    state: Mapping[str, Tensor] = module.state_dict()
    return {name: gather(x) for name, x in state.items()}


def shard_state(
    module: nn.Module, state: Mapping[str, Tensor], group: ProcessGroup
) -> dict[str, Tensor]:
    """The main process' whole tensors, in the form in which this module keeps its own.

    All processes call this at once; what the others give as `state` matters by its shapes alone.
    """
    if group.size == 1:
        return dict(state)
    own: Mapping[str, Tensor] = module.state_dict()
    return {name: _shard(x, state[name].to(x.device, copy=True)) for name, x in own.items()}


def _shard(own: Tensor, values: Tensor) -> Tensor:
    if is_sharded(own):
        return shard_like(own, values)
    dist.broadcast(values, 0)
    return values


def shard_like(own: Tensor, values: Tensor, *, source: int | None = 0) -> Tensor:
    """Whole values in the form in which `own` is sharded, those of the rank `source`.

    All processes call this at once. None: every process has the same values already.
    """
    from torch.distributed.tensor import distribute_tensor

    like = cast("DTensor", own)
    found = values.to(like.device)
    return distribute_tensor(found, like.device_mesh, like.placements, src_data_rank=source)
