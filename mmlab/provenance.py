"""What a run records about where it came from: code, versions, machine; no environment."""

from __future__ import annotations

import hashlib
import platform
import resource
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from mmlab.build import Experiment, Source
from mmlab.canonical import digest
from mmlab.plan import Plan
from mmlab.plugin import Pretrained
from mmlab.registry import ComponentEntry

#: Distributions whose versions can change a number.
_LIBRARIES = ("mmlab", "torch", "torchvision", "numpy", "pillow", "safetensors")


def describe_origin(plan: Plan, device: torch.device, precision: str) -> dict[str, object]:
    """Everything recorded of where a run came from, the work tree being the one it is run in."""
    train = plan.cell.spec.train
    return {
        "git": describe_git(Path.cwd()),
        "plugins": _describe_plugins(plan),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "machine": describe_machine(device),
        "precision": precision,
        "is_deterministic": train is not None and train.deterministic,
        "seed": plan.cell.seed,
        "overrides": list(plan.cell.source.overrides),
        "override_files": [
            {"file": patch.name, "text": patch.text} for patch in plan.cell.source.patches
        ],
    }


def _describe_plugins(plan: Plan) -> dict[str, dict[str, str | None]]:
    entries: dict[str, list[ComponentEntry]] = {}
    for _, component in plan.components():
        entries.setdefault(component.entry.distribution, []).append(component.entry)
    return {
        name: {"version": used[0].version, "source": _describe_source_code(used)}
        for name, used in sorted(entries.items())
    }


def _describe_source_code(entries: Sequence[ComponentEntry]) -> str | None:
    """The hash of a distribution's source; of all hashes where its components have several."""
    hashes = sorted({entry.source_hash for entry in entries if entry.source_hash is not None})
    return digest(hashes) if len(hashes) > 1 else next(iter(hashes), None)


def describe_weights(experiment: Experiment, sources: Mapping[str, Source]) -> dict[str, str]:
    """Where each encoder's first weights came from: a run or file, itself, or chance."""
    described = {}
    for key, encoder in experiment.model.encoders.items():
        if key in sources:
            described[key] = _describe_source(sources[key])
        elif isinstance(encoder, Pretrained):
            described[key] = encoder.weights_description
        else:
            described[key] = "random"
    return described


def _describe_source(source: Source) -> str:
    origin = f"run {source.run_id}" if source.run_id else source.path.name
    return f"{origin}, encoder {source.key or 'alone'}, sha256 {source.sha256}"


def describe_git(folder: Path) -> dict[str, object] | None:
    """Commit, and whether files that git tracks differ from it; None outside a repository.

    Files it does not track say nothing: a first run would leave its own database there.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "is_dirty": bool(changes)}


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


def reset_peak_memory(device: torch.device) -> None:
    """Begin to measure anew, where that is possible: on CUDA."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory taken: on CUDA by tensors since the reset, else by the process so far."""
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
