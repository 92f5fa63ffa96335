"""Choosing the device: what was asked for, or an error; never something else."""

from __future__ import annotations

import torch

from mmlab.errors import UsageError, explain


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
