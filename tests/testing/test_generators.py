"""The generator check passes a sound generator and names the defect of each unsound one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Condition
from mmlab.testing import ContractError, check_generator

SIZE = 4


class Sound(nn.Module):
    """An affine map of the noisy picture, the time, and what is there of the condition."""

    reads: ClassVar[frozenset[str]] = frozenset({"fused", "tokens"})
    shape: tuple[int, ...] = (3, 1, SIZE, SIZE)
    preprocessing = "4 px"

    def __init__(self, token_dims: Sequence[int | None], fused: int) -> None:
        super().__init__()
        values = 3 * SIZE * SIZE
        self.map = nn.Linear(values, values)
        self.vector = nn.Linear(fused, values)
        self.none = nn.Parameter(torch.zeros(values))
        self.token = nn.Linear(token_dims[0] or 1, values, bias=False)

    def transform(self, raw: Any, train: bool) -> Tensor:
        pixels = np.array(raw.resize((SIZE, SIZE), Image.Resampling.NEAREST))
        return torch.from_numpy(pixels).permute(2, 0, 1)[:, None].contiguous()

    def to_raw(self, sample: Tensor) -> object:
        if sample.is_floating_point():
            sample = ((sample + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return Image.fromarray(sample[:, 0].permute(1, 2, 0).numpy(), "RGB")

    def predict(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        there = condition.present[:, None]
        mapped = self.map(noisy.flatten(1)) + time[:, None]
        given = self.vector(self.fused_of(condition)) + self.tokens_of(condition)
        return (mapped + torch.where(there, given, self.none)).view_as(noisy)

    def fused_of(self, condition: Condition) -> Tensor:
        assert condition.fused is not None
        return condition.fused

    def tokens_of(self, condition: Condition) -> Tensor:
        first = condition.inputs[0]
        assert first.tokens is not None
        assert first.mask is not None
        real = (first.mask & first.present[:, None]).unsqueeze(-1)
        tokens: Tensor = self.token(first.tokens.where(real, 0.0).sum(1))
        return tokens

    def terms(
        self, target: Tensor, condition: Condition, noise: Tensor, time: Tensor
    ) -> Mapping[str, Tensor]:
        clean, t = target.to(noise.dtype) / 127.5 - 1, time.view(-1, 1, 1, 1, 1)
        predicted = self.predict(t * clean + (1 - t) * noise, time, condition)
        return {"loss": (predicted - clean).square().flatten(1).mean(1)}

    def sample(self, condition: Condition, noise: Tensor, *, steps: int, guidance: float) -> Tensor:
        time = noise.new_zeros(len(noise))
        none = self.predict(noise, time, condition.absent())
        return noise + none + guidance * (self.predict(noise, time, condition) - none)


class OtherShape(Sound):
    def sample(self, *given: Any, **how: Any) -> Tensor:
        return super().sample(*given, **how).squeeze(2)


class OneLoss(Sound):
    def terms(self, *given: Any) -> Mapping[str, Tensor]:
        return {"loss": super().terms(*given)["loss"].mean()}


class NoLoss(Sound):
    def terms(self, *given: Any) -> Mapping[str, Tensor]:
        return {"error": super().terms(*given)["loss"]}


class DrawsNoise(Sound):
    def sample(self, condition: Condition, noise: Tensor, **how: Any) -> Tensor:
        return super().sample(condition, torch.randn_like(noise), **how)


class DrawsInTraining(Sound):
    def predict(self, noisy: Tensor, *rest: Any) -> Tensor:
        shaken = noisy + 0.1 * torch.randn_like(noisy) if self.training else noisy
        return super().predict(shaken, *rest)


class IgnoresNoise(Sound):
    def sample(self, condition: Condition, noise: Tensor, **how: Any) -> Tensor:
        return super().sample(condition, torch.ones_like(noise), **how)


class MixesTheBatch(Sound):
    def predict(self, noisy: Tensor, *rest: Any) -> Tensor:
        return super().predict(noisy - 1e-3 * noisy.mean(0), *rest)


class ReadsWhatIsAbsent(Sound):
    def predict(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        leak = 1e-6 * self.fused_of(condition).mean(1)
        return super().predict(noisy + leak.view(-1, 1, 1, 1, 1), time, condition)


class ReadsAbsentInputs(Sound):
    def tokens_of(self, condition: Condition) -> Tensor:
        first = condition.inputs[0]
        leak = (first.pooled * condition.present[:, None]).mean(1, keepdim=True)
        return super().tokens_of(condition) + leak


class ReadsMaskedTokens(Sound):
    def tokens_of(self, condition: Condition) -> Tensor:
        first = condition.inputs[0]
        assert first.tokens is not None
        tokens: Tensor = self.token(first.tokens.where(first.present[:, None, None], 0.0).sum(1))
        return tokens


class KnowsNoAbsence(Sound):
    def predict(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        return (self.map(noisy.flatten(1)) + self.none).view_as(noisy)


class IgnoresTheCondition(Sound):
    def fused_of(self, condition: Condition) -> Tensor:
        return torch.zeros_like(super().fused_of(condition))

    def tokens_of(self, condition: Condition) -> Tensor:
        return super().tokens_of(condition).detach() * 0


class Untrained(Sound):
    def __init__(self, token_dims: Sequence[int | None], fused: int) -> None:
        super().__init__(token_dims, fused)
        self.idle = nn.Parameter(torch.ones(3))


class Shakes(Sound):
    def transform(self, raw: Any, train: bool) -> Tensor:
        return super().transform(raw, train).roll(int(torch.randint(SIZE, ())), -1)


class Flat(Sound):
    def transform(self, raw: Any, train: bool) -> Tensor:
        return super().transform(raw, train)[:, 0]


class Mirrors(Sound):
    def to_raw(self, sample: Tensor) -> object:
        return super().to_raw(sample.flip(-1))


class Forgets(Sound):
    def __init__(self, token_dims: Sequence[int | None], fused: int) -> None:
        super().__init__(token_dims, fused)
        self.shift = torch.randn(1)

    def predict(self, noisy: Tensor, *rest: Any) -> Tensor:
        return super().predict(noisy + self.shift.to(noisy), *rest)


class HasTarget(Sound):
    def __init__(
        self,
        token_dims: Sequence[int | None],
        fused: int,
        *,
        target: Annotated[int, Field(description="a key that mmlab reads")] = 1,
    ) -> None:
        super().__init__(token_dims, fused)


class ReadsMore(Sound):
    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})


class FlatShape(Sound):
    shape = (3, SIZE, SIZE)


def test_a_sound_generator_passes() -> None:
    check_generator(Sound)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (OtherShape, "`sample` must have the shape"),
        (OneLoss, "one number for each sample"),
        (NoLoss, 'must give "loss"'),
        (DrawsNoise, "must be the same every time"),
        (DrawsInTraining, "must draw nothing"),
        (IgnoresNoise, "must depend on the noise"),
        (MixesTheBatch, "of a sample alone must stay"),
        (ReadsWhatIsAbsent, "without a condition, when what stands in its place changes"),
        (ReadsAbsentInputs, "the place of an absent input"),
        (ReadsMaskedTokens, "tokens that are masked"),
        (KnowsNoAbsence, "whether its condition is there"),
        (IgnoresTheCondition, "must depend on its condition"),
        (Untrained, "'idle' gets no gradient"),
        (Shakes, "must not be random"),
        (Flat, "must give tensors of `shape`"),
        (Mirrors, "`transform` must undo `to_raw`"),
        (Forgets, "must survive a round trip"),
        (HasTarget, "`target` is a key of"),
        (ReadsMore, "`reads` must be a frozenset"),
        (FlatShape, "`shape` must be"),
    ],
)
def test_an_unsound_generator_is_named_with_its_defect(factory: Any, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_generator(factory)
    assert message in str(caught.value)
