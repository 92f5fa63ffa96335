"""The encoder `vit_pytorch`: any model of that library that turns a picture into one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

from mmlab.plugin import (
    LARGEST_SIZE,
    Context,
    DataError,
    Features,
    Placement,
    PluginError,
    Size,
    explain,
)
from mmlab_vit_pytorch.models import make_model

#: A number among the model's arguments: a depth or a width, or what is smaller anyway.
Number = Annotated[int, Field(ge=-LARGEST_SIZE, le=LARGEST_SIZE)]
Real = Annotated[float, Field(ge=-LARGEST_SIZE, le=LARGEST_SIZE)]

_BICUBIC = InterpolationMode.BICUBIC


class VitPytorch(nn.Module):
    """A model of vit-pytorch whose classification head is the projection to `dim`.

    uint8 (B, 3, image_size, image_size) -> pooled (B, dim), which is what the library's model gives
    for `num_classes = dim`. Tokens are what its module `transformer` gives for the patches, and
    only computed where something reads them. Weights are random: the library offers no others.

    Raises SpecError for a model or arguments that the library does not know, and for a model whose
    result is not one vector per picture; PluginError where tokens are read and the model has none.
    """

    numerics = 1
    weights_description = "random"

    def __init__(
        self,
        context: Context,
        *,
        model: Annotated[
            str,
            Field(
                pattern=r"^[a-z][a-z0-9_]*$",
                description="the library's module: vit, simple_vit, deepvit, cait, levit, ...",
            ),
        ] = "vit",
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        image_size: Annotated[
            Size, Field(ge=8, description="height and width of the input in pixels")
        ] = 64,
        arguments: Annotated[
            Mapping[str, bool | Number | Real | str | list[Number] | list[list[Number]]],
            Field(
                description="the model's other arguments under the library's names; arrays stand "
                "for tuples. num_classes and image_size are given already"
            ),
        ],
        crop: Annotated[
            float,
            Field(
                gt=0, le=1, description="smallest share of the area of a training crop; 1 is off"
            ),
        ] = 1.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.model = make_model(model, dim, image_size, arguments)
        self.image_size = image_size
        self._cut = v2.Compose([v2.Resize(image_size, _BICUBIC), v2.CenterCrop(image_size)])
        drawn = v2.RandomResizedCrop(image_size, (crop, 1.0), interpolation=_BICUBIC)
        self._cut_in_training = self._cut if crop == 1 else drawn
        self.augments = crop < 1
        self._tokens: list[Tensor] = []
        self.token_dim = self._watch_tokens(model) if "tokens" in context.reads else None

    @property
    def preprocessing(self) -> str:
        """What happens to a picture at evaluation."""
        return f"shorter side to {self.image_size} px bicubic, centre crop, values to -1..1"

    def transform(self, raw: object, train: bool) -> Tensor:
        """RGB picture -> uint8 (3, image_size, image_size)."""
        if not (isinstance(raw, Image.Image) and raw.mode == "RGB"):
            raise DataError(_no_picture(raw))
        cut = self._cut_in_training if train else self._cut
        result: Tensor = cut(v2.functional.pil_to_tensor(raw))
        return result

    def placement(self, width: int, height: int) -> Placement:
        """Where evaluation puts a picture of this size."""
        side = self.image_size
        return Placement.of(width, height).shorter_side(side).centred(side, side)

    def forward(self, x: Tensor) -> Features:
        """Features of uint8 pictures (B, 3, H, W)."""
        pooled = self.model(x.to(torch.get_default_dtype()) / 127.5 - 1)
        if self.token_dim is None:
            return Features.of(pooled)
        tokens = self._tokens.pop()
        return Features.of(pooled, tokens, torch.ones_like(tokens[..., 0], dtype=torch.bool))

    def _watch_tokens(self, name: str) -> int:
        """Keep what the transformer gives for the patches; their width."""
        transformer = getattr(self.model, "transformer", None)
        seen: list[Tensor] = []
        if isinstance(transformer, nn.Module):
            with torch.no_grad():
                handle = transformer.register_forward_hook(lambda _, __, out: seen.append(out))
                self.model.eval()(torch.zeros(1, 3, self.image_size, self.image_size))
                self.model.train()
                handle.remove()
        if len(seen) != 1 or not isinstance(seen[0], Tensor) or seen[0].ndim != 3:
            raise PluginError(_no_tokens(name))
        assert isinstance(transformer, nn.Module), "something was seen"
        first = _prefix(self.model)
        transformer.register_forward_hook(lambda _, __, out: self._tokens.append(out[:, first:]))
        return int(seen[0].shape[-1])


def _prefix(model: nn.Module) -> int:
    """How many tokens come before the patches: class tokens."""
    token = getattr(model, "cls_token", None)
    return int(token.shape[-2]) if isinstance(token, Tensor) else 0


def _no_tokens(name: str) -> str:
    return explain(
        "vit_pytorch",
        "this model gives no tokens, and the fusion or a loss reads them",
        found=name,
        allowed="a model with one sequence of patches, such as vit or simple_vit",
        next_step="choose such a model, or a fusion and losses that read pooled features",
    )


def _no_picture(raw: object) -> str:
    return explain(
        "vit_pytorch",
        "a raw value is no picture",
        found=f"{type(raw).__name__} {getattr(raw, 'mode', '')}".rstrip(),
        allowed="an RGB PIL.Image.Image",
        next_step="let this encoder read a modality of pictures (encoders.KEY.modality)",
    )
