"""What a run records about where it came from: code, versions, machine; no environment."""

from __future__ import annotations

import hashlib
import platform
import resource
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch

from mmlab.plan import Resolved

#: Distributions whose versions can change a number.
_LIBRARIES = ("mmlab", "torch", "torchvision", "numpy", "pillow", "safetensors")


def describe_code(components: Iterable[Resolved], folder: Path) -> dict[str, object]:
    """Git state of `folder`, library versions, and the plugins behind the components."""
    entries = {component.entry for component in components}
    plugins = {
        entry.distribution: {"version": entry.version, "source": entry.source_hash}
        for entry in sorted(entries, key=lambda entry: entry.distribution)
    }
    return {
        "git": describe_git(folder),
        "plugins": plugins,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
    }


def describe_git(folder: Path) -> dict[str, object] | None:
    """Commit, and whether the work tree differs from it; None outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "is_dirty": bool(_git(folder, "status", "--porcelain"))}


def describe_machine(device: torch.device) -> dict[str, object]:
    """Device, processor and host; the host's name only as a hash."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
        "device_type": device.type,
        "cuda": torch.version.cuda if on_gpu else None,
        "threads": torch.get_num_threads(),
        "host": hashlib.sha256(platform.node().encode()).hexdigest()[:16],
        "platform": platform.platform(),
    }


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory taken so far: on CUDA by tensors of this device, else by the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _git(folder: Path, *words: str) -> str | None:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
