"""The device, precision (autocast to bf16), determinism, and sharded tensors (FSDP).

What was asked for, or an error: never another device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor

from mmlab.errors import UsageError, explain

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


T = TypeVar("T")


def resolve_device(name: str, local_rank: int = 0) -> torch.device:
    """The device that `name` means; "auto" is a CUDA device, or the CPU without one.

    Of several CUDA devices it is the first, or this process' own: that of its rank on the machine.
    Raises UsageError when the named device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    wanted = f"cuda:{local_rank}" if name == "cuda" else name
    if wanted in known:
        return torch.device(wanted)
    raise UsageError(
        explain(
            "--device",
            "no such device on this machine",
            found=name,
            allowed=f"auto, {', '.join(known)}",
            next_step="choose one of these; mmlab does not fall back to another by itself",
        )
    )


def resolve_precision(precision: str, device: torch.device) -> str:
    """The precision that "auto" stands for: bf16 on CUDA, fp32 elsewhere."""
    if precision != "auto":
        return precision
    return "bf16" if device.type == "cuda" else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast to bfloat16, or nothing where the precision is fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def determinism(enabled: bool) -> Iterator[None]:
    """Use torch's deterministic algorithms inside, and restore the former choice after.

    cuBLAS reads its part from the environment when a process first uses it on a GPU.
    """
    before = torch.get_deterministic_debug_mode()
    if enabled:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # `use_deterministic_algorithms` does the same, and tells the compiler, whose import takes 2 s.
    torch.set_deterministic_debug_mode("error" if enabled else before)
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def leave_out_compiler(*functions: object) -> None:
    """Keep functions of torch from importing its compiler, which takes 2 s in each process.

    Some do when they are first called, only to tell it to leave them alone. torch keeps what came
    of that beside the function; where it does not look there any more, the import is back.
    """
    for function in functions:
        plain = getattr(function, "__wrapped__", function)
        vars(plain).setdefault("__dynamo_disable", plain)


def is_sharded(x: Tensor) -> bool:
    """Whether each process keeps a part of this tensor only."""
    return hasattr(x, "placements")


def gather(x: Tensor) -> Tensor:
    """The tensor put together, if it is sharded: a message between all processes."""
    return cast("DTensor", x).full_tensor() if is_sharded(x) else x


def local(x: Tensor) -> Tensor:
    """The part of the tensor that this process keeps, in the same memory."""
    return cast("DTensor", x).to_local() if is_sharded(x) else x


def shard_of(part: Tensor, whole: Tensor) -> Tensor:
    """A process' part of what is sharded as `whole` is, as a part of that; else the part itself."""
    if not is_sharded(whole):
        return part
    from torch.distributed.tensor import DTensor

    like = cast("DTensor", whole)
    layout = like.device_mesh, like.placements
    return DTensor.from_local(part, *layout, shape=like.shape, stride=like.stride())
