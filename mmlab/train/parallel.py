"""Data-parallel training (DDP and FSDP): how parameters and their gradients are shared.

`ddp` keeps every parameter on every process. `fsdp` shards those of the encoders, with their
gradients and the optimiser's averages, and puts a stage together only while it is needed; fusion,
head and losses are small, are called by other names than `forward`, and stay whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmlab.model.device import gather, is_sharded
from mmlab.model.model import Step
from mmlab.plugin import Batch, Staged
from mmlab.train.processes import ProcessGroup

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


Forward = Callable[[Batch], tuple[Tensor, dict[str, Tensor]]]


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
    if not is_sharded(own):
        dist.broadcast(values, 0)
        return values
    from torch.distributed.tensor import distribute_tensor

    like = cast("DTensor", own)
    return distribute_tensor(values, like.device_mesh, like.placements)
