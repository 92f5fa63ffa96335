"""Weights on disk: safetensors, written whole or not at all, checked before they are used."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mmlab.errors import RunError, WeightsError, explain
from mmlab.files import atomic_file, file_sha256


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
    with atomic_file(path, lambda error: _unwritable(path, len(data), error)) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds: tensors by name, and the texts of its header."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_weights(path: Path, sha256: str | None = None) -> WeightsFile:
    """Read a file once: what is hashed is what is taken. Takes twice its size for a moment.

    Raises WeightsError when it is missing, not safetensors, or altered.
    """
    with _opened(path) as file:
        data = file.read()
        if sha256 is not None and (actual := hashlib.sha256(data).hexdigest()) != sha256:
            raise _unreadable(
                path, "the bytes are not those that were recorded", f"sha256 {actual}"
            )
        return WeightsFile(path, load(data), _metadata(_read_header(BytesIO(data))))


def load_weights(path: Path, sha256: str | None = None) -> Mapping[str, Tensor]:
    """The tensors of a file by name. Raises as `read_weights` does."""
    return read_weights(path, sha256).tensors


def identify_weights(path: Path) -> tuple[str, list[str]]:
    """The sha256 of a file and the names of its tensors, without reading these into memory.

    Raises as `read_weights` does.
    """
    with _opened(path) as file:
        names = [name for name in _read_header(file) if name != _METADATA]
        return file_sha256(path), names


class WeightsReader:
    """Reads each file once, however many encoders start from it."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], WeightsFile] = {}

    def read(self, path: Path, sha256: str) -> WeightsFile:
        """What a file of this sha256 holds. Raises as `read_weights` does."""
        if (path, sha256) not in self._known:
            self._known[path, sha256] = read_weights(path, sha256)
        return self._known[path, sha256]


#: The key of safetensors' header under which texts stand, beside the tensors' names.
_METADATA = "__metadata__"
#: safetensors' own limit for a header.
_HEADER_BYTES = 100_000_000


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """The file, open; whatever is wrong with it is a WeightsError."""
    if not path.is_file():
        raise _unreadable(path, "the file does not exist", "nothing")
    try:
        with path.open("rb") as file:
            yield file
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise _unreadable(path, "cannot be read as safetensors", str(error)) from error


def _read_header(file: BinaryIO) -> dict[str, object]:
    """The JSON at the beginning of a safetensors file; ValueError where it is none."""
    size = int.from_bytes(file.read(8), "little")
    if not 2 <= size <= _HEADER_BYTES:
        raise ValueError(f"a header of {size:,} bytes")
    header = json.loads(file.read(size))
    if not isinstance(header, dict):
        raise ValueError("a header that is no table")
    return header


def _metadata(header: Mapping[str, object]) -> Mapping[str, str]:
    return cast(Mapping[str, str], header.get(_METADATA, {}))  # safetensors has checked it


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
