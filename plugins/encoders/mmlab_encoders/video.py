"""An image encoder over the frames of a video, and a pooling over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar, cast

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, DataError, Features, Size, explain
from mmlab_encoders.convnet import ConvNet
from mmlab_encoders.images import Crop, Flip, ImageSize, ImageTransform
from mmlab_encoders.resize import to_tensor
from mmlab_encoders.vit import ViT

T = TypeVar("T")


class Video(nn.Module):
    """Frames through `convnet` or `vit`, one by one, then pooled: a video -> pooled (B, dim).

    The video is cut into `frames` parts of equal length: of each, evaluation takes the middle frame
    and training any (temporal segment networks, Wang et al., arXiv:1608.00859); a shorter video
    repeats some. A crop or mirroring is the same for all frames of a video. `pool` is the mean over
    frames, or a weighted mean whose weights a learnt vector decides (Ilse et al., arXiv:1802.04712,
    equation 7, without its hidden layer). Tokens are the frames, in order. Neither way of pooling
    knows the order of the frames.
    """

    numerics = 1
    augments = True  # training draws the frames

    def __init__(
        self,
        context: Context,
        *,
        trunk: Annotated[
            Literal["convnet", "vit"], Field(description="image encoder of a frame")
        ] = "convnet",
        image_size: ImageSize = 64,
        width: Annotated[Size, Field(ge=8, description="width of the image encoder")] = 64,
        depth: Annotated[Size, Field(description="depth of the image encoder")] = 1,
        frames: Annotated[Size, Field(description="frames that are looked at")] = 8,
        pool: Annotated[
            Literal["mean", "attention"], Field(description="how frames become one vector")
        ] = "mean",
        crop: Crop = 1.0,
        flip: Flip = False,
    ) -> None:
        super().__init__()
        make = ConvNet if trunk == "convnet" else ViT
        self.trunk = make(_Alone(), image_size=image_size, width=width, depth=depth)
        self.dim = self.trunk.dim
        self.token_dim = self.dim if "tokens" in context.reads else None
        self.frames = frames
        self.pictures = ImageTransform(image_size, crop, flip)
        self.attention = nn.Linear(self.dim, 1, bias=False) if pool == "attention" else None

    @property
    def preprocessing(self) -> str:
        """What happens to a video at evaluation."""
        return f"middle of {self.frames} equal parts; {self.pictures.description}"

    def transform(self, raw: object, train: bool) -> Tensor:
        """One video -> uint8 (frames, 3, image_size, image_size)."""
        video = _video(raw)
        return self.pictures.cut(video[chosen(len(video), self.frames, train)], train)

    def forward(self, x: Tensor) -> Features:
        """Features of uint8 videos (B, frames, 3, H, W)."""
        flat: Features = self.trunk(x.flatten(0, 1))
        tokens = flat.pooled.reshape(len(x), -1, self.dim)  # (B, frames, dim)
        if self.attention is None:
            pooled = tokens.mean(1)
        else:
            shares = self.attention(tokens).softmax(1)  # (B, frames, 1)
            pooled = (shares * tokens).sum(1)
        return Features.of(pooled, tokens if self.token_dim else None)

    def stages(self) -> Sequence[nn.Module]:
        """Those of the image encoder, and the pooling where it learns."""
        return [*self.trunk.stages(), *([self.attention] if self.attention is not None else [])]


def chosen(length: int, count: int, train: bool) -> Tensor:
    """Positions of `count` frames, one of each part: (count,), not falling.

    >>> chosen(8, 4, train=False).tolist()
    [1, 3, 5, 7]
    """
    places = torch.rand(count) if train else torch.full((count,), 0.5)
    return ((torch.arange(count) + places) * length / count).long().clamp(max=length - 1)


@dataclass(frozen=True)
class _Alone:
    """The context of an image encoder whose tokens nobody reads."""

    reads: frozenset[str] = frozenset({"pooled"})

    def once(self, key: str, make: Callable[[], T]) -> T:
        return make()


def _video(raw: object) -> Tensor:
    """uint8 (T, 3, H, W) of a tensor or a list of RGB pictures of one size."""
    is_list = isinstance(raw, list | tuple) and len(raw) > 0
    if is_list and all(_is_rgb(frame) for frame in cast(list[object], raw)):
        pictures = [to_tensor(frame) for frame in cast(list[Image.Image], raw)]
        if len({picture.shape for picture in pictures}) == 1:
            return torch.stack(pictures)
    is_bytes = isinstance(raw, Tensor) and raw.dtype == torch.uint8 and raw.ndim == 4
    if is_bytes and cast(Tensor, raw).shape[0] > 0 and cast(Tensor, raw).shape[1] == 3:
        return cast(Tensor, raw)
    found = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
    raise DataError(
        explain(
            "video encoder",
            "a raw value is no video",
            found=found,
            allowed="uint8 (time, 3, height, width), or a list of RGB pictures of one size",
            next_step="let this encoder read a modality of videos (encoders.KEY.modality)",
        )
    )


def _is_rgb(frame: object) -> bool:
    return isinstance(frame, Image.Image) and frame.mode == "RGB"
