"""Weights on disk (safetensors): written whole or not at all, checked before they are used.

What a model was made for (shapes, labels, vocabulary, targets) is kept in the header of the file,
so that it loads where its training data are gone. The file's sha256 covers it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mmlab.data.reader import Reader
from mmlab.data.splits import ReferenceData
from mmlab.errors import RunError, WeightsError, explain, message_of
from mmlab.files import atomic_file, is_disk_full, open_file, size_text


def save_weights(
    path: Path,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    within: Path | None = None,
) -> str:
    """Write tensors to `path` in one atomic step and return the sha256 of the file.

    `metadata` are texts in the file's header; `within` is as `atomic_file` has it. Tensors that
    share memory are written once each. Raises RunError("disk_full" or "error") and leaves whatever
    stood at `path` untouched when the file cannot be written.
    """
    require_tensors(state)
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in state.items()}
    data = save(tensors, dict(metadata) if metadata else None)
    with atomic_file(path, lambda error: _unwritable(path, len(data), error), within) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def require_tensors(state: Mapping[str, object]) -> None:
    """Raise RunError that names the first value of a module's state that is no tensor."""
    for name, value in state.items():
        if not isinstance(value, Tensor):
            kind = type(value)
            message = explain(
                f"state of {name}",
                "it cannot be saved: a file of weights holds tensors",
                found=f"{kind.__module__}.{kind.__qualname__}",
                allowed="tensors; a module's get_extra_state gives one, or there is none",
                next_step="keep it in a buffer, or let get_extra_state make a tensor of it",
            )
            raise RunError(message)


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds: tensors by name, and the texts of its header."""

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_weights(path: Path, sha256: str | None = None) -> WeightsFile:
    """Read a file once: what is hashed is what is taken. Takes twice its size for a moment.

    Raises WeightsError when it is missing, not safetensors, or altered.
    """
    with _opened(path) as file:
        data = file.read()
        actual = hashlib.sha256(data).hexdigest()
        if sha256 not in (None, actual):
            raise _unreadable(
                path, "the bytes are not those that were recorded", f"sha256 {actual}"
            )
        return WeightsFile(path, actual, load(data), _metadata(_read_header(BytesIO(data))))


def load_weights(path: Path, sha256: str | None = None) -> Mapping[str, Tensor]:
    """The tensors of a file by name. Raises as `read_weights` does."""
    return read_weights(path, sha256).tensors


class WeightsReader:
    """Reads and hashes each file once a cell: to identify it, and for all encoders it starts."""

    def __init__(self) -> None:
        self._known: dict[Path, WeightsFile] = {}

    def read(self, path: Path, sha256: str | None = None) -> WeightsFile:
        """What a file holds, of this sha256 if one is given. Raises as `read_weights` does."""
        known = self._known.get(path)
        if known is None or sha256 not in (None, known.sha256):
            known = self._known[path] = read_weights(path, sha256)
        return known

    def clear(self) -> None:
        """Let go of the tensors; what is asked for next is read anew."""
        self._known.clear()


#: The key of safetensors' header under which texts stand, beside the tensors' names.
_METADATA = "__metadata__"
#: safetensors' own limit for a header.
_HEADER_BYTES = 100_000_000


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """The file, open; whatever is wrong with it is a WeightsError."""
    try:
        with open_file(path) as file:
            yield file
    except FileNotFoundError as error:
        raise _unreadable(path, "the file does not exist", "nothing") from error
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise _unreadable(path, "cannot be read as safetensors", message_of(error)) from error
    except MemoryError as error:
        fault = "the memory does not hold its tensors"
        raise _unreadable(path, fault, size_text(path.stat().st_size)) from error


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
    return RunError(message, "disk_full" if is_disk_full(error) else "error")


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


#: The key in the header of a weights' file.
KEY = "mmlab"

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype)
}


def _known(dtype: str) -> str:
    if dtype not in _DTYPES:
        raise ValueError("not a dtype of torch")
    return dtype


@dataclass(frozen=True)
class InputShape:
    """One transformed input of an encoder, without the batch axis: its sizes and its dtype."""

    sizes: tuple[Annotated[int, Field(ge=0)], ...]
    dtype: Annotated[str, AfterValidator(_known)]

    def placeholder(self) -> Tensor:
        """Zeros of this shape, which stand in where a sample lacks the input."""
        return torch.zeros(self.sizes, dtype=_DTYPES[self.dtype])


@dataclass(frozen=True)
class Description:
    """Reference data, and the shape of each encoder's input by the encoder's key."""

    # A target that no sample knows has no mean, and JSON no NaN.
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="strings")

    data: ReferenceData
    inputs: Mapping[str, InputShape]

    def metadata(self) -> dict[str, str]:
        """The description as a text for the header of a file."""
        return {KEY: _ADAPTER.dump_json(self).decode()}

    def placeholders(self) -> dict[str, Tensor]:
        """What stands in for a missing input, by encoder key."""
        return {key: shape.placeholder() for key, shape in self.inputs.items()}


_ADAPTER = TypeAdapter(Description)


def describe(data: ReferenceData, readers: Mapping[str, Reader]) -> Description:
    """The description of a model with this reference data, whose inputs are read so."""
    shapes = {
        key: InputShape(tuple(x.shape), str(x.dtype).removeprefix("torch."))
        for key, x in ((key, reader.placeholder) for key, reader in readers.items())
    }
    return Description(data, shapes)


def description_of(file: WeightsFile, encoders: Collection[str]) -> Description | None:
    """What a file says of its model; None where it says nothing: one written before it could.

    Raises WeightsError where that cannot be understood, or says nothing of one of these encoders.
    """
    text = file.metadata.get(KEY)
    if text is None:
        return None
    try:
        found = _ADAPTER.validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise _unclear(file, f"{place or KEY}: {fault['msg']}") from error
    if missing := sorted(set(encoders) - found.inputs.keys()):
        raise _unclear(file, f"nothing of the encoder {missing[0]!r}")
    return found


def _unclear(file: WeightsFile, found: str) -> WeightsError:
    return WeightsError(
        explain(
            str(file.path),
            "what it says of the data that its model was made for cannot be understood",
            found=found,
            allowed="the description that mmlab writes into the header of weights",
            next_step="load it with the version of mmlab that wrote it, or run the experiment "
            "again with --rerun",
        )
    )
