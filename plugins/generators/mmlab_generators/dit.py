"""A diffusion transformer (DiT) of pictures and videos, under pooled and token conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


class DiT(nn.Module):
    """A transformer over patches that predicts the clean sample, trained by flow matching.

    Time and the fusion's vector scale, shift and gate every block; tokens of the inputs, where
    their encoders give some, stand in the sequence beside the patches. A sample without a condition
    has a learnt vector in the place of the fusion's, and no tokens. Colours are black at -1 and
    white at 1.

    Source: Peebles and Xie, arXiv:2212.09748 (adaLN-Zero); tokens in the sequence as in its
    "in-context conditioning". Departures: x is predicted, not the noise, and the positions, which
    are learnt, begin as sines of unit size: next to unit noise smaller ones are not seen, and the
    patches come out in no order. Raises SpecError where sizes do not go with each other.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"fused", "tokens"})
    augments = False
    numerics = 1

    def __init__(
        self,
        token_dims: Sequence[int | None],
        fused: int,
        *,
        size: Annotated[Size, Field(description="height and width of a sample in pixels")] = 32,
        frames: Annotated[Size, Field(description="frames of a sample; 1 for pictures")] = 1,
        patch: Annotated[Size, Field(description="height and width of a patch in pixels")] = 4,
        frame_patch: Annotated[Size, Field(description="frames of a patch")] = 1,
        dim: Annotated[Size, Field(description="width of the transformer")] = 128,
        depth: Annotated[Size, Field(description="number of blocks")] = 4,
        heads: Annotated[Size, Field(description="attention heads; they divide dim")] = 4,
        time_mean: Annotated[
            float, Field(ge=-5, le=5, description="of the logit of training's times; 0 is noise")
        ] = -0.4,
        time_deviation: Annotated[
            float, Field(gt=0, le=5, description="of the logit of training's times")
        ] = 1.0,
    ) -> None:
        super().__init__()
        _require_multiple("size", size, "patch", patch)
        _require_multiple("frames", frames, "frame_patch", frame_patch)
        _require_multiple("dim", dim, "heads", heads)
        self.frames = Frames(size, frames)
        self.shape = self.frames.shape
        self.patch = (frame_patch, patch, patch)
        self.grid = (frames // frame_patch, size // patch, size // patch)
        self.times = (time_mean, time_deviation)
        values = 3 * frame_patch * patch * patch
        self.into, self.out = nn.Linear(values, dim), nn.Linear(dim, values)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.position = nn.Parameter(sine_positions(self.grid, dim))
        self.vector = nn.Sequential(nn.LayerNorm(fused), nn.Linear(fused, dim))
        self.none = nn.Parameter(torch.zeros(dim))
        self.tokens = nn.ModuleList(
            nn.Identity() if width is None else _into_sequence(width, dim) for width in token_dims
        )
        self.time = nn.Sequential(nn.Linear(_TIME_WIDTH, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.blocks = nn.ModuleList(_Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    @property
    def preprocessing(self) -> str:
        """What `transform` does."""
        return self.frames.description

    def transform(self, raw: object, train: bool) -> Tensor:
        """A picture or video -> uint8 of `shape`, in training as in evaluation."""
        return self.frames.read(raw)

    def to_raw(self, sample: Tensor) -> Image.Image | Tensor:
        """A sample or transform -> a picture, or uint8 frames (time, 3, H, W)."""
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
        """Noisy samples (B, *shape) at times (B,) -> clean samples (B, *shape)."""
        assert condition.fused is not None, "declared in `reads`"
        there = condition.present[:, None]
        vector = torch.where(there, self.vector(condition.fused), self.none)
        control = functional.silu(self.time(embed_time(time, _TIME_WIDTH)) + vector)  # (B, dim)
        patches = self.into(self._patches(noisy)) + self.position  # (B, N, dim)
        sequence, mask = self._with_tokens(patches, condition)
        for block in self.blocks:
            sequence = block(sequence, control, mask)
        predicted: Tensor = self.out(self.norm(sequence[:, : patches.shape[1]]))
        return self._whole(predicted)

    def _with_tokens(self, patches: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """The sequence (B, N, dim), and which of it may be attended to, (B, 1, 1, N)."""
        parts, masks = [patches], [patches.new_ones(patches.shape[:2], dtype=torch.bool)]
        for features, layer in zip(condition.inputs, self.tokens, strict=True):
            if features.tokens is None or isinstance(layer, nn.Identity):
                continue
            there = (condition.present & features.present)[:, None]
            real = there.expand(features.tokens.shape[:2])
            parts.append(layer(features.tokens))
            masks.append(real if features.mask is None else real & features.mask)
        return torch.cat(parts, 1), torch.cat(masks, 1)[:, None, None]

    def _patches(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, N, values of a patch)."""
        (a, b, c), (t, h, w) = self.grid, self.patch
        parted = x.view(len(x), x.shape[1], a, t, b, h, c, w)
        return parted.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(len(x), a * b * c, -1)

    def _whole(self, patches: Tensor) -> Tensor:
        """The inverse of `_patches`."""
        (a, b, c), (t, h, w) = self.grid, self.patch
        parted = patches.view(len(patches), a, b, c, self.shape[0], t, h, w)
        whole = parted.permute(0, 4, 1, 5, 2, 6, 3, 7)
        return whole.reshape(len(patches), *self.shape)


class _Block(nn.Module):
    """Attention and an MLP, each scaled, shifted and gated by the control vector."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first = nn.LayerNorm(dim, elementwise_affine=False)
        self.second = nn.LayerNorm(dim, elementwise_affine=False)
        self.attend, self.mix = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.control = nn.Linear(dim, 6 * dim)
        nn.init.zeros_(self.control.weight)  # every block begins as the identity
        nn.init.zeros_(self.control.bias)

    def forward(self, x: Tensor, control: Tensor, mask: Tensor) -> Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        scale, shift, gate, scale_2, shift_2, gate_2 = self.control(control)[:, None].chunk(6, -1)
        x = x + gate * self._attention(self.first(x) * (1 + scale) + shift, mask)
        inner = functional.gelu(self.up(self.second(x) * (1 + scale_2) + shift_2))
        result: Tensor = x + gate_2 * self.down(inner)
        return result

    def _attention(self, x: Tensor, mask: Tensor) -> Tensor:
        size, count, dim = x.shape
        parted = self.attend(x).view(size, count, 3, self.heads, dim // self.heads)
        queries, keys, values = parted.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        mixed: Tensor = self.mix(seen.transpose(1, 2).reshape(size, count, dim))
        return mixed


def _into_sequence(width: int, dim: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))


def sine_positions(grid: Sequence[int], dim: int) -> Tensor:
    """Sines and cosines of the places along each axis of a grid, (cells, dim), of unit size."""
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in grid), indexing="ij")
    count = max(1, dim // (2 * len(grid)))
    rates = torch.exp(torch.linspace(0, -math.log(50), count)) * 1.5
    waves = [axis.flatten()[:, None] * rates for axis in axes]
    places = torch.cat([part for wave in waves for part in (wave.sin(), wave.cos())], 1)[:, :dim]
    return functional.pad(places, (0, dim - places.shape[1]))


def _require_multiple(name: str, value: int, part: str, divisor: int) -> None:
    if value % divisor == 0:
        return
    raise SpecError(
        explain(
            f"generator.{part}",
            f"does not divide {name}",
            found=f"{part} = {divisor}, {name} = {value}",
            allowed=f"a divisor of {name}",
            next_step=f"set {part} or {name}",
        )
    )
