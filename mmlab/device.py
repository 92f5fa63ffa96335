"""Choosing the device: what was asked for, or an error; never something else."""

from __future__ import annotations

import torch

from mmlab.errors import UsageError, explain


def resolve_device(name: str) -> torch.device:
    """The device that `name` means; "auto" is the first CUDA device, or the CPU without one.

    Raises UsageError when the named device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    wanted = "cuda:0" if name == "cuda" else name
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
