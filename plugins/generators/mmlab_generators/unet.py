"""A small convolutional network with skips (U-Net) that generates pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mmlab.plugin import Condition, Size, SpecError, explain
from mmlab_generators.flow import embed_time, flow_loss, flow_sample, logit_normal
from mmlab_generators.frames import Frames, normalized

_TIME_WIDTH = 128


class UNet(nn.Module):
    """Convolutions at several resolutions that predict the clean picture, by flow matching.

    Time and the fusion's vector scale and shift the channels of every block; a sample without a
    condition has a learnt vector in the place of the fusion's. Colours are black at -1 and white at
    1.

    Source: Ho et al., arXiv:2006.11239, appendix B, without attention, with one block at each
    resolution on either way, and with group norm over eight channels. Raises SpecError where the
    picture cannot be halved so often.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"fused"})
    augments = False
    numerics = 1

    def __init__(
        self,
        fused: int,
        *,
        size: Annotated[Size, Field(description="height and width of a picture in pixels")] = 32,
        width: Annotated[
            Size, Field(multiple_of=8, description="channels at full resolution; doubled below")
        ] = 32,
        levels: Annotated[int, Field(ge=1, le=6, description="resolutions, each half the last")] = (
            3
        ),
        time_mean: Annotated[
            float, Field(ge=-5, le=5, description="of the logit of training's times; 0 is noise")
        ] = -0.4,
        time_deviation: Annotated[
            float, Field(gt=0, le=5, description="of the logit of training's times")
        ] = 1.0,
    ) -> None:
        super().__init__()
        if size % 2 ** (levels - 1):
            raise _not_halved(size, levels)
        self.frames = Frames(size)
        self.shape = self.frames.shape
        self.times = (time_mean, time_deviation)
        dim, widths = 4 * width, [width * min(2**level, 4) for level in range(levels)]
        self.vector = nn.Sequential(nn.LayerNorm(fused), nn.Linear(fused, dim))
        self.none = nn.Parameter(torch.zeros(dim))
        self.time = nn.Sequential(nn.Linear(_TIME_WIDTH, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.into = nn.Conv2d(3, width, 3, padding=1)
        before = [width, *widths[:-1]]
        self.down = nn.ModuleList(_Block(a, b, dim) for a, b in zip(before, widths, strict=True))
        self.middle = _Block(widths[-1], widths[-1], dim)
        self.up = nn.ModuleList(
            _Block(2 * b, a, dim) for a, b in reversed(list(zip(before, widths, strict=True)))
        )
        self.out = nn.Sequential(
            nn.GroupNorm(width // 8, width), nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1)
        )

    @property
    def preprocessing(self) -> str:
        """What `transform` does."""
        return self.frames.description

    def transform(self, raw: object, train: bool) -> Tensor:
        """A picture -> uint8 of `shape`, in training as in evaluation."""
        return self.frames.read(raw)

    def to_raw(self, sample: Tensor) -> Image.Image | Tensor:
        """A sample or transform -> a picture."""
        return self.frames.write(sample)

    def terms(
        self, target: Tensor, condition: Condition, noise: Tensor, time: Tensor
    ) -> Mapping[str, Tensor]:
        """The squared error of velocities of each sample, (B,), at times of a logit-normal."""
        clean = normalized(target, noise.dtype)
        times = logit_normal(time, *self.times)
        return {"loss": flow_loss(self.predict, clean, condition, noise, times)}

    def sample(self, condition: Condition, noise: Tensor, *, steps: int, guidance: float) -> Tensor:
        """Noise (B, *shape) -> samples (B, *shape), about [-1, 1], in steps of Euler's method."""
        return flow_sample(self.predict, condition, noise, steps=steps, guidance=guidance)

    def predict(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Noisy pictures (B, *shape) at times (B,) -> clean pictures (B, *shape)."""
        assert condition.fused is not None, "declared in `reads`"
        there = condition.present[:, None]
        vector = torch.where(there, self.vector(condition.fused), self.none)
        control = functional.silu(self.time(embed_time(time, _TIME_WIDTH)) + vector)
        x, skips = self.into(noisy.squeeze(2)), list[Tensor]()
        for level, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if level else x, control)
            skips.append(x)
        x = self.middle(x, control)
        for level, block in enumerate(self.up):
            larger = functional.interpolate(x, scale_factor=2.0) if level else x
            x = block(torch.cat([larger, skips.pop()], 1), control)
        clean: Tensor = self.out(x).unsqueeze(2)
        return clean


class _Block(nn.Module):
    """Two convolutions beside a skip, between them a scale and shift by the control vector."""

    def __init__(self, before: int, after: int, dim: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(before // 8, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)
        )
        self.control = nn.Linear(dim, 2 * after)
        self.norm = nn.GroupNorm(after // 8, after, affine=False)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, control: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H, W)."""
        scale, shift = self.control(control)[:, :, None, None].chunk(2, 1)
        inner = self.norm(self.first(x)) * (1 + scale) + shift
        result: Tensor = self.skip(x) + self.second(functional.silu(inner))
        return result


def _not_halved(size: int, levels: int) -> SpecError:
    return SpecError(
        explain(
            "generator.levels",
            "the picture cannot be halved so often",
            found=f"levels = {levels}, size = {size}",
            allowed=f"a size that {2 ** (levels - 1)} divides",
            next_step="set levels or size",
        )
    )
