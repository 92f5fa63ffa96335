"""Files of weights: read without running code, and put into a model tensor by tensor."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mmlab.plugin import WeightsError, check_zip, explain, file_sha256

#: Where training scripts keep the model inside a torch file, the averaged weights first.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
#: What reading a file that is no checkpoint raises: torch follows whatever a pickle says.
_UNREADABLE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a safetensors file, or a torch file that holds nothing but tensors.

    Of a training script's file, the model's; names lose the prefix that wrappers give them.
    Raises WeightsError for any other content.
    """
    try:
        check_zip(path)
        content = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    tensors = _model_in(content)
    if not tensors:
        raise _unreadable(path, ValueError("no tensors by name"))
    return {name.removeprefix("module.").removeprefix("_orig_mod."): x for name, x in tensors}


def _model_in(content: object) -> list[tuple[str, Tensor]]:
    if not isinstance(content, Mapping):
        return []
    nested = (content[key] for key in _NESTED if isinstance(content.get(key), Mapping))
    model: Mapping[str, object] = next(nested, content)
    return [(name, x) for name, x in model.items() if isinstance(x, Tensor)]


def fill(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, unused: Collection[str] = ()
) -> None:
    """Put tensors into a module; names in `unused` may be there too, and are left out.

    Raises WeightsError unless every tensor of the module is there, in its shape, and no other.
    """
    own = module.state_dict()
    given = {name: x for name, x in tensors.items() if name in own or name not in unused}
    # A count that batch norm keeps for a momentum nobody uses; old files lack it.
    counts = {name: x for name, x in own.items() if name.endswith("num_batches_tracked")}
    given = {**{name: x for name, x in counts.items() if name not in given}, **given}
    if faults := _misfits(own, given):
        raise _unfit(path, faults)
    module.load_state_dict(given)


def short_sha256(path: Path) -> str:
    """Identity of a file's bytes, short enough to read."""
    return file_sha256(path)[:16]


def _misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    faults = [f"missing {name}" for name in own.keys() - given.keys()]
    faults += [f"unexpected {name}" for name in given.keys() - own.keys()]
    faults += [
        f"{name} is {tuple(given[name].shape)}, not {tuple(own[name].shape)}"
        for name in own.keys() & given.keys()
        if own[name].shape != given[name].shape
    ]
    return sorted(faults)


def _unreadable(path: Path, error: Exception) -> WeightsError:
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if isinstance(error, pickle.UnpicklingError):  # torch would advise to run the file's code
        said = "a pickle that holds more than tensors, or no checkpoint at all"
    return WeightsError(
        explain(
            str(path),
            "the weights cannot be read",
            found=said,
            allowed="a safetensors file, or a torch file of plain tensors by name",
            next_step="save the model's state_dict with safetensors, or correct the path",
        )
    )


def _unfit(path: Path, faults: list[str]) -> WeightsError:
    shown = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
    return WeightsError(
        explain(
            str(path),
            "the weights do not fit the architecture",
            found=shown,
            allowed="every tensor of the architecture, in its shape, and no other",
            next_step="name the architecture that the file was saved from",
        )
    )
