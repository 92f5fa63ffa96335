"""Where a run came from (code, versions, machine; no environment), and why it failed, in words.

A person reads one paragraph, and of a traceback only others' frames; the whole traceback is kept
with the attempt, and `mmlab show RUN --log` prints it.
"""

from __future__ import annotations

import hashlib
import platform
import resource
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import cast

import torch

import mmlab
from mmlab.errors import KEPT_BYTES, MmlabError, RunError, explain, message_of, shortened
from mmlab.files import is_disk_full, said_of
from mmlab.hashing import digest
from mmlab.model.build import BuiltCell, InitialWeights
from mmlab.plan.component import Resolved, describe_request, is_device_lost, is_out_of_memory
from mmlab.plan.plan import Plan
from mmlab.plan.registry import ComponentEntry
from mmlab.plugin import GENERATED, Pretrained

#: Distributions whose versions can change a number.
_LIBRARIES = ("mmlab", "torch", "torchvision", "numpy", "pillow", "safetensors")


def describe_origin(plan: Plan, device: torch.device, precision: str) -> dict[str, object]:
    """Everything recorded of where a run came from, the work tree being the one it is run in."""
    train = plan.cell.spec.train
    return {
        "git": _git_at_first(Path.cwd()),
        "plugins": _describe_plugins(plan),
        "libraries": library_versions(),
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


@cache
def _git_at_first(folder: Path) -> dict[str, object] | None:
    """As it was when first asked for, which is nearest to the code that was imported."""
    return describe_git(folder)


@cache
def library_versions() -> dict[str, str]:
    """Those of what this process has imported: reading them takes milliseconds a distribution."""
    return {name: version(name) for name in _LIBRARIES}


def describe_computation(
    plan: Plan, origin: Mapping[str, object], processes: int
) -> dict[str, object]:
    """All that must be equal for a training to go on as it began, which its identity says in part.

    Threads and the kind of processor are no part of it: a run may go on at another machine.
    """
    table, machine = plan.cell.spec.train, cast(Mapping[str, object], origin["machine"])
    return {
        "data": origin["data"],
        "batch_size": table.batch_size if table else None,
        "processes": processes,
        "device": machine["device_type"],
        "precision": origin["precision"],
        "libraries": origin["libraries"],
        "plugins": origin["plugins"],
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


def describe_weights(built: BuiltCell, initial: Mapping[str, InitialWeights]) -> dict[str, str]:
    """Where first weights came from, by the keys of readers: a run or file, itself, or chance."""
    described = {}
    generator = built.model.generator
    modules = {**built.model.encoders, **({GENERATED: generator} if generator else {})}
    for key, encoder in modules.items():
        if key in initial:
            described[key] = _describe_source(initial[key])
        elif isinstance(encoder, Pretrained):
            described[key] = shortened(encoder.weights_description)
        else:
            described[key] = "random"
    return described


def _describe_source(source: InitialWeights) -> str:
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


#: What components may raise, and it ends only their run: anything. Ctrl-C is the user's, and those
#: who catch this let a KeyboardInterrupt pass first.
RAISED = BaseException


def outcome_of(error: BaseException) -> str:
    """The word stored with a failed attempt."""
    if isinstance(error, RunError):
        return error.reason
    if is_disk_full(error):
        return "disk_full"
    if is_out_of_memory(error):
        return "oom"
    return "device" if is_device_lost(error) else "error"


def describe_failure(error: BaseException, plan: Plan) -> str:
    """Why a cell failed: mmlab's own words for an expected error, else which component raised."""
    if isinstance(error, MmlabError):
        return message_of(error)
    if isinstance(error, OSError) and error.filename is not None:
        return shortened(_unusable_file(error, plan))
    if is_out_of_memory(error):
        return shortened(_out_of_memory(error, plan))
    if is_device_lost(error):
        return shortened(_device_lost(error, plan))
    frames = traceback.extract_tb(error.__traceback__)
    kept = [frame for frame in frames if _is_others(frame)]
    return shortened("\n".join([_raised(error, plan, kept), *_shown(kept or frames)]))


def _out_of_memory(error: BaseException, plan: Plan) -> str:
    table = plan.cell.spec.train
    size = f"batch_size {table.batch_size}; " if table else ""
    return plan.explain(
        ("train", "batch_size"),
        "the memory does not hold a step",
        found=size + describe_request(error),
        allowed="a batch that fits; mmlab never makes it smaller by itself",
        next_step="lower train.batch_size, or choose smaller encoders",
    )


def _device_lost(error: BaseException, plan: Plan) -> str:
    return explain(
        str(plan.cell.source.path),
        "the device cannot be used any more by the process that executed this cell",
        found=_first_line(error),
        allowed="components that leave the device in order, and a device that works",
        next_step="run it again with CUDA_LAUNCH_BLOCKING=1, which names the call that failed, "
        "or on another device",
    )


def _unusable_file(error: OSError, plan: Plan) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return explain(
        f"{plan.cell.source.path}: {_origin(plan, frames) or 'mmlab'}",
        "a file or folder cannot be used",
        found=said_of(error),
        allowed="files and folders that this user may read, and those of results may be written",
        next_step="correct the path that leads there, or mend what is there",
    )


def _raised(error: BaseException, plan: Plan, frames: Sequence[traceback.FrameSummary]) -> str:
    origin = _origin(plan, frames)
    return explain(
        f"{plan.cell.source.path}: {origin or 'mmlab'}",
        f"{type(error).__name__} was raised" + (" in a component" if origin else ""),
        found=_first_line(error) or "no message",
        allowed="components that end without an error",
        next_step="correct what it complains of, or report it"
        + (f" to the authors of {origin}" if origin else " as a defect of mmlab"),
    )


def _first_line(error: BaseException) -> str:
    return message_of(error, KEPT_BYTES // 2).strip().partition("\n")[0]


def _origin(plan: Plan, frames: Sequence[traceback.FrameSummary]) -> str | None:
    """Distribution and version of the innermost frame that belongs to a component of the plan."""
    places = [(_home(found), found.entry) for _, found in plan.components()]
    for frame in reversed(frames):
        for home, entry in places:
            if home is not None and Path(frame.filename).is_relative_to(home):
                return f"{entry.distribution} {entry.version}"
    return None


def _home(found: Resolved) -> Path | None:
    """The folder of a component's package, or the file of its module."""
    name = str(found.factory.__module__)
    package = sys.modules.get(name.partition(".")[0])
    if package is None or package.__file__ is None:
        return None
    file = Path(package.__file__)
    return file.parent if hasattr(package, "__path__") else file


def _is_others(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is neither mmlab's nor torch's."""
    own = (mmlab.__file__, torch.__file__)
    return not any(Path(frame.filename).is_relative_to(Path(str(file)).parent) for file in own)


def _shown(frames: Sequence[traceback.FrameSummary]) -> Iterator[str]:
    for frame in frames:
        yield f'  in {frame.name}, "{frame.filename}", line {frame.lineno}'
        if frame.line:
            yield f"    {frame.line}"
