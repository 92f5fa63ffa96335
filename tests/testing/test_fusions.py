"""The fusion check passes sound fusions and names the defect of each unsound one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Scores
from mmlab.testing import ContractError, check_fusion

Width = Annotated[int, Field(ge=1, description="width of the result")]


class Sound(nn.Module):
    """The sum of linear maps; an absent input adds nothing."""

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts = "features"

    def __init__(self, dims: Sequence[int], *, dim: Width = 5) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)

    def project(self, position: int, features: Features) -> Features:
        values = features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)
        return replace(features, pooled=self.maps[position](values))

    def fuse(self, *features: Features) -> Tensor:
        return torch.stack(torch.broadcast_tensors(*(f.pooled for f in features))).sum(0)


class SoundSimilarity(nn.Module):
    """The cosine of the mean real token of one input with the other."""

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})
    prompts = "features"

    def __init__(self, dims: Sequence[int], token_dims: Sequence[int]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, 3, bias=False) for width in token_dims)

    def mean(self, features: Features) -> Tensor:
        weight = (features.mask & features.present[..., None]).unsqueeze(-1)
        tokens = features.tokens.masked_fill(~weight, 0)
        return tokens.sum(-2) / weight.sum(-2).clamp(min=1)

    def project(self, position: int, features: Features) -> Features:
        pooled = F.normalize(self.maps[position](self.mean(features)), dim=-1, eps=1e-6)
        return replace(features, pooled=pooled)

    def score(self, u: Features, v: Features) -> Scores:
        scores = u.pooled @ v.pooled.T
        return Scores(scores, scores)


def test_a_sound_fusion_passes() -> None:
    check_fusion(Sound, dims=(8, 6), dim=4)


@pytest.mark.parametrize("dims", [(5,), (5, 4, 3)])
def test_a_sound_fusion_of_one_or_three_inputs_passes(dims: tuple[int, ...]) -> None:
    check_fusion(Sound, dims=dims)


def test_a_sound_similarity_passes() -> None:
    check_fusion(SoundSimilarity, dims=(8, 6), token_dims=(5, 7))


class WrongWidth(Sound):
    def fuse(self, *features: Features) -> Tensor:
        return super().fuse(*features)[..., 1:]


class CannotBroadcast(Sound):
    """Joins by concatenation, which wants equal leading axes."""

    def __init__(self, dims: Sequence[int], *, dim: Width = 5) -> None:
        super().__init__(dims, dim=dim)
        self.join = nn.Linear(dim * len(dims), dim)

    def fuse(self, *features: Features) -> Tensor:
        return self.join(torch.cat([f.pooled for f in features], dim=-1))


class BroadcastsWrongly(Sound):
    """Adds a mean over whatever axis comes first."""

    def fuse(self, *features: Features) -> Tensor:
        return super().fuse(*features) + features[0].pooled.mean(0)


class TakesTheFirstSample(Sound):
    def project(self, position: int, features: Features) -> Features:
        made = super().project(position, features)
        return replace(made, pooled=made.pooled + made.pooled[:1])


class FactorsInAList(Sound):
    """Factors that are no parameters: never trained and not in a checkpoint."""

    def __init__(self, dims: Sequence[int], *, dim: Width = 5) -> None:
        super().__init__(dims, dim=dim)
        self.factors = [torch.randn(dim)]

    def fuse(self, *features: Features) -> Tensor:
        return super().fuse(*features) * self.factors[0]


class Idle(Sound):
    def __init__(self, dims: Sequence[int], *, dim: Width = 5) -> None:
        super().__init__(dims, dim=dim)
        self.bias = nn.Parameter(torch.zeros(dim))


class IgnoresOneInput(Sound):
    def project(self, position: int, features: Features) -> Features:
        made = super().project(position, features)
        return replace(made, pooled=made.pooled.detach() if position else made.pooled)


class DropsInEvaluation(Sound):
    def fuse(self, *features: Features) -> Tensor:
        return F.dropout(super().fuse(*features), 0.5, training=True)


class HearsTheAbsent(Sound):
    def project(self, position: int, features: Features) -> Features:
        return replace(features, pooled=self.maps[position](features.pooled))


class BreaksWhenAllAreAbsent(Sound):
    """A mean over present inputs, of which there may be none."""

    def fuse(self, *features: Features) -> Tensor:
        count = sum(f.present.float() for f in features)
        return super().fuse(*features) / count.unsqueeze(-1)


class MarksAbsent(Sound):
    def project(self, position: int, features: Features) -> Features:
        made = super().project(position, features)
        return replace(made, present=~made.present)


class SteepAtZero(Sound):
    def fuse(self, *features: Features) -> Tensor:
        return F.normalize(super().fuse(*features), dim=-1)


class GradientOfAnother(Sound):
    def fuse(self, *features: Features) -> Tensor:
        z = super().fuse(*features)
        return 2 * z - z.detach()


class LosesDigits(Sound):
    def fuse(self, *features: Features) -> Tensor:
        return super().fuse(*features) + 1e3 - 1e3


class Seeds(Sound):
    def __init__(self, dims: Sequence[int], *, dim: Width = 5) -> None:
        torch.manual_seed(1)
        super().__init__(dims, dim=dim)


class ReadsPixels(Sound):
    reads = frozenset({"pixels"})


class AveragesLabels(Sound):
    prompts = "labels"


class JoinsNothing(nn.Module):
    reads = frozenset({"pooled"})
    prompts = "features"

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()

    def project(self, position: int, features: Features) -> Features:
        return features


class TrainsItsWeightsTwice(Sound):
    """The right value, with twice the gradient for weights and the right one for inputs."""

    def project(self, position: int, features: Features) -> Features:
        values = features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)
        weight = self.maps[position].weight
        return replace(features, pooled=F.linear(values, 2 * weight - weight.detach()))


class ReadsValues(Sound):
    def __init__(self, dims: Sequence[int], *, dim: Width = 5) -> None:
        super().__init__(dims, dim=dim)
        self.scale = float(self.maps[0].weight.detach().std())


class SaysAWidthItHasNot(Sound):
    width_option = "rank"


class JoinsThreeAlone(Sound):
    input_range = (3, 3)


class SaysItFolds(Sound):
    input_range = (2, None)

    def fuse(self, u: Features, v: Features) -> Tensor:
        return super().fuse(u, v)


class SaysHalfARange(Sound):
    input_range = 2


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (JoinsThreeAlone, r"`input_range` is \(3, 3\), so that 2 inputs are not joined"),
        (SaysItFolds, "but 3 inputs fail: .*takes 3 positional"),
        (SaysHalfARange, r"must be \(fewest, most\), None for no most: 2"),
        (ReadsValues, "possible to make it on the meta device"),
        (SaysAWidthItHasNot, "`width_option` must name an option"),
        (WrongWidth, r"fused must have the shape \(4, 5\)"),
        (CannotBroadcast, "leading axes must broadcast"),
        (BroadcastsWrongly, "for all pairs"),
        (TakesTheFirstSample, "of a permuted batch"),
        (FactorsInAList, "must survive a round trip"),
        (Idle, "the parameter 'bias' gets no gradient"),
        (IgnoresOneInput, "input 1 must receive a gradient|equal finite differences"),
        (DropsInEvaluation, "the same every time in evaluation mode"),
        (HearsTheAbsent, "must not depend on absent values"),
        (BreaksWhenAllAreAbsent, r"inputs \[0, 1\] are absent must be finite"),
        (MarksAbsent, "must keep `present`"),
        (SteepAtZero, "at zero vectors must stay below"),
        (GradientOfAnother, "equal finite differences"),
        (TrainsItsWeightsTwice, "equal finite differences"),
        (LosesDigits, "under bfloat16 autocast"),
        (Seeds, "must not seed"),
        (ReadsPixels, "`reads` must name"),
        (AveragesLabels, "`prompts` must be"),
        (JoinsNothing, "has `fuse`, `score`, or both"),
    ],
)
def test_a_defect_of_a_fusion_is_named(defect: type[nn.Module], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_fusion(defect)


class Transposed(SoundSimilarity):
    def score(self, u: Features, v: Features) -> Scores:
        scores = super().score(u, v).forward
        return Scores(scores, scores.T)


class NormalisesOverTheBatch(SoundSimilarity):
    def score(self, u: Features, v: Features) -> Scores:
        scores = super().score(u, v).forward.softmax(dim=1)
        return Scores(scores, scores)


class ReadsPadding(SoundSimilarity):
    def mean(self, features: Features) -> Tensor:
        return (features.tokens * features.present[..., None, None]).mean(-2)


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (Transposed, r"backward scores must have the shape \(4, 3\)"),
        (NormalisesOverTheBatch, "for all pairs"),
        (ReadsPadding, "must not depend on masked tokens"),
    ],
)
def test_a_defect_of_a_similarity_is_named(defect: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_fusion(defect)


class NormalisesTwice(SoundSimilarity):
    """The second division squares the gradient of the first at zero."""

    reads = frozenset({"pooled"})

    def __init__(self, dims: Sequence[int], token_dims: Sequence[int]) -> None:
        super().__init__(dims, dims)

    def mean(self, features: Features) -> Tensor:
        return features.pooled * features.present.unsqueeze(-1)

    def score(self, u: Features, v: Features) -> Scores:
        x, y = (F.normalize(f.pooled, dim=-1, eps=1e-6) for f in (u, v))
        return Scores(x @ y.T, x @ y.T)


def test_a_gradient_that_explodes_at_zero_is_named() -> None:
    with pytest.raises(ContractError, match="at zero vectors must stay below"):
        check_fusion(NormalisesTwice)


class TimesAbsence(Sound):
    """Zero times what an absent input holds, which may be anything."""

    def project(self, position: int, features: Features) -> Features:
        values = features.pooled * features.present.unsqueeze(-1)
        return replace(features, pooled=self.maps[position](values))


class RectifiesInPlace(Sound):
    def project(self, position: int, features: Features) -> Features:
        with torch.no_grad():
            features.pooled.relu_()
        return super().project(position, features)


class AddsInPlace(Sound):
    def fuse(self, *features: Features) -> Tensor:
        with torch.no_grad():
            features[0].pooled.add_(1)
        return super().fuse(*features)


@pytest.mark.parametrize(
    ("defect", "claim", "method", "remedy"),
    [
        (TimesAbsence, "input 0 is absent and holds NaN", "project", "masked_fill"),
        (RectifiesInPlace, "the features changed", "project", "work on a copy"),
        (AddsInPlace, "the projected features changed", "fuse", "work on a copy"),
    ],
)
def test_a_fault_of_a_fusion_is_told_with_its_remedy(
    defect: type[Sound], claim: str, method: str, remedy: str
) -> None:
    with pytest.raises(ContractError) as caught:
        check_fusion(defect)
    first, found, mend = str(caught.value).splitlines()
    assert f"(`{method}`)" in first
    assert claim in found
    assert remedy in mend


class Rounds(Sound):
    def fuse(self, *features: Features) -> Tensor:
        return super().fuse(*(replace(f, pooled=f.pooled.float()) for f in features))


def test_rounding_to_float32_is_told_with_what_to_write() -> None:
    with pytest.raises(ContractError, match="rounds float64") as caught:
        check_fusion(Rounds)
    assert "torch.promote_types(x.dtype, torch.float32)" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
