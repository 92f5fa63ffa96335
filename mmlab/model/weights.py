"""Weights on disk: safetensors, written whole or not at all, checked before they are used."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mmlab.errors import RunError, WeightsError, explain
from mmlab.files import file_sha256, sync


def save_weights(
    path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> str:
    """Write tensors to `path` in one atomic step and return the sha256 of the file.

    `metadata` are texts in the file's header. Tensors that share memory are written once each.
    Raises RunError("disk_full" or "error") and leaves whatever stood at `path` untouched when the
    file cannot be written.
    """
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in state.items()}
    data = save(tensors, dict(metadata) if metadata else None)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise _unwritable(path, len(data), error) from error
    return hashlib.sha256(data).hexdigest()


def load_weights(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read tensors by name. Raises WeightsError when missing, not safetensors, or altered."""
    if not path.is_file():
        raise _unreadable(path, "the file does not exist", "nothing")
    if sha256 is not None and (actual := file_sha256(path)) != sha256:
        raise _unreadable(path, "the bytes are not those that were recorded", f"sha256 {actual}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, "cannot be read as safetensors", str(error)) from error


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a file, read from its header. Raises as `load_weights` does."""
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, "cannot be read as safetensors", str(error)) from error


def restore(module: nn.Module, state: Mapping[str, Tensor], place: str) -> None:
    """Load a state dict strictly; WeightsError names every tensor that does not fit.

    Extra state (a vocabulary) may differ in size: it belongs to the weights.
    """
    own = module.state_dict()
    faults = [f"missing {name}" for name in own.keys() - state.keys()]
    faults += [f"unexpected {name}" for name in state.keys() - own.keys()]
    faults += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        for name in own.keys() & state.keys()
        if not name.endswith("_extra_state") and own[name].shape != state[name].shape
    ]
    if faults:
        raise WeightsError(
            explain(
                place,
                "these weights do not fit the model",
                found="; ".join(sorted(faults)[:8]) + (" ..." if len(faults) > 8 else ""),
                allowed="tensors of the names and shapes that this spec builds",
                next_step="use the options of the run that made the weights, or other weights",
            )
        )
    module.load_state_dict(dict(state))


def _unwritable(path: Path, size: int, error: OSError) -> RunError:
    message = explain(
        str(path),
        "the weights cannot be written",
        found=error.strerror or str(error),
        allowed=f"a folder with {size:,} bytes free",
        next_step="free space or choose another folder with --runs, then run again",
    )
    is_full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    return RunError(message, "disk_full" if is_full else "error")


def _unreadable(path: Path, fault: str, found: str) -> WeightsError:
    return WeightsError(
        explain(
            str(path),
            fault,
            found=found,
            allowed="a safetensors file that mmlab or another program wrote",
            next_step="restore the file, or run the experiment that makes it again with --rerun",
        )
    )
