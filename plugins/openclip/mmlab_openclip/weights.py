"""Build a model and read its weights, strictly; then take its two towers apart."""

from __future__ import annotations

import copy
import logging
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from torch import Tensor, nn

from mmlab.plugin import WeightsError, check_zip, explain
from mmlab_openclip.source import Recipe, Source, resolve
from mmlab_openclip.temperature import Temperature

logger = logging.getLogger(__name__)

#: What reading a file that is no checkpoint raises, in torch, safetensors, numpy and open_clip.
UNREADABLE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    StopIteration,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


@dataclass(frozen=True)
class Checkpoint:
    """A model taken apart: its towers by modality, until an encoder takes them.

    The model's own logit scale and bias are kept as plain numbers: a trained loss owns another.
    """

    recipe: Recipe
    towers: dict[str, nn.Module]
    log_scale: float
    bias: float | None

    def temperature(self) -> Temperature:
        """The model's scale and bias for one encoder to keep."""
        return Temperature(self.log_scale, self.bias)


def load(source: Source) -> Checkpoint:
    """Find, build and fill a model. Raises WeightsError, never falls back to random weights."""
    recipe = resolve(source)
    model = _build(recipe)
    if recipe.weights is not None:
        _fill(model, recipe.weights, is_local=recipe.is_local)
    else:
        logger.warning("open_clip: %s", recipe.description)
    own = cast(Any, model)  # Any: open_clip's models declare no types
    return Checkpoint(
        recipe,
        {"image": own.visual, "text": own.text},
        own.logit_scale.detach().reshape(()).item(),
        None if own.logit_bias is None else own.logit_bias.detach().reshape(()).item(),
    )


def _build(recipe: Recipe) -> nn.Module:
    """Make the model with its text tower as a module of its own, which open_clip calls custom."""
    from open_clip import CoCa, CustomTextCLIP

    config = copy.deepcopy(recipe.config)
    config.pop("custom_text", None)
    try:
        # The towers' own pretraining is not wanted: either a checkpoint follows, or random is meant
        config["vision_cfg"]["timm_model_pretrained"] = False
        config["text_cfg"]["hf_model_pretrained"] = False
        make = CoCa if "multimodal_cfg" in config else CustomTextCLIP
        return cast(nn.Module, make(**config))
    except (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise _unbuildable(recipe, error) from error


def _fill(model: nn.Module, path: Path, *, is_local: bool) -> None:
    """Read weights into the model; a file of one's own must fit tensor by tensor.

    For its published weights open_clip knows what to convert, resize or leave out.
    """
    from open_clip.factory import load_checkpoint

    try:
        check_zip(path)
        if is_local and path.suffix not in (".npz", ".npy"):
            _check_fit(model, path)
        load_checkpoint(model, str(path), strict=True, weights_only=True)
    except UNREADABLE as error:
        raise _unusable(path, error) from error


def _check_fit(model: nn.Module, path: Path) -> None:
    """Compare names and shapes first: open_clip would resize position embeddings unasked."""
    from open_clip.convert import convert_state_dict
    from open_clip.factory import load_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    tensors = convert_state_dict(model, load_state_dict(str(path), weights_only=True))
    if "positional_embedding" in tensors:
        tensors = convert_to_custom_text_state_dict(tensors)
    if faults := _misfits(model.state_dict(), tensors):
        raise _unfit(path, faults)


def _misfits(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    """One line for each tensor that is missing, not known, or of another shape."""
    faults = [f"missing {name}" for name in own.keys() - tensors.keys()]
    faults += [
        f"unexpected {name}"
        for name in tensors.keys() - own.keys()
        if not name.endswith(".position_ids")  # a constant that older transformers stored
    ]
    faults += [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].squeeze().shape != tensors[name].squeeze().shape
    ]
    return sorted(faults)


def _unbuildable(recipe: Recipe, error: Exception) -> WeightsError:
    return WeightsError(
        explain(
            f"open_clip.architecture {recipe.architecture}",
            "open_clip cannot build this model",
            found=f"{type(error).__name__}: {' '.join(str(error).split())[:400]}",
            allowed="a configuration of image and text towers; a text tower from transformers "
            "needs that package, and its configuration cached or a network",
            next_step="pip install 'mmlab-openclip[transformers]', or correct the configuration",
        )
    )


def _unfit(path: Path, faults: list[str]) -> WeightsError:
    shown = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
    return WeightsError(
        explain(
            f"open_clip.checkpoint {path}",
            "the weights do not fit the architecture",
            found=shown,
            allowed="every tensor of the architecture, in its shape, and no other",
            next_step="set `architecture` to the one that the file was saved from",
        )
    )


def _unusable(path: Path, error: Exception) -> WeightsError:
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
    if isinstance(error, pickle.UnpicklingError):  # torch would advise to run the file's code
        said = "a pickle that holds more than tensors, or no checkpoint at all"
    return WeightsError(
        explain(
            f"open_clip.checkpoint {path}",
            "the weights cannot be read into the model",
            found=said,
            allowed="a safetensors file or a torch file that holds plain tensors and nothing else, "
            "of this architecture",
            next_step="save the weights with safetensors, or correct the architecture",
        )
    )
