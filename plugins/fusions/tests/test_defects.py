"""Known mistakes in the making of operators: each is written out, and a check finds it.

What the shipped check finds, every plugin's fusion is spared; what only an operator's own law finds
is asked of the defective form and of ours in one test.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_fusions.attention import Attention
from mmlab_fusions.bilinear import Bilinear
from mmlab_fusions.compact_bilinear import CompactBilinear
from mmlab_fusions.gmu import GMU
from mmlab_fusions.inner_product import InnerProduct
from mmlab_fusions.inputs import present_or_zero
from mmlab_fusions.max import Max
from mmlab_fusions.multiplicative import Multiplicative
from torch import Tensor, nn

from mmlab.plugin import Features, Scores
from mmlab.testing import ContractError, check_fusion

Call = Callable[..., Tensor]


class DividesByNothing(InnerProduct):
    """The usual epsilon of a norm, 1e-12, is the inverse of a gradient at zero."""

    def side(self, position: int, features: Features) -> Features:
        joint = self.projections[position](present_or_zero(features))
        return replace(features, pooled=F.normalize(joint, dim=-1), tokens=None, mask=None)


class DividesTwice(InnerProduct):
    """Zero is left alone, but what is next to it is divided by a millionth and by a length."""

    def side(self, position: int, features: Features) -> Features:
        joint = self.projections[position](present_or_zero(features))
        pooled = F.normalize(joint, dim=-1, eps=1e-6)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def score(self, u: Features, v: Features) -> Scores:
        lengths = (side.pooled.norm(dim=-1, keepdim=True) for side in (u, v))
        x, y = (
            side.pooled / length.where(length > 1e-6, 1)
            for side, length in zip((u, v), lengths, strict=True)
        )
        return Scores(x @ y.T, x @ y.T)


class SoftmaxOfNothing(Attention):
    """-inf for what is absent, also where all is."""

    def project(self, position: int, features: Features) -> Features:
        made = super().project(position, features)
        is_absent = ~features.present.unsqueeze(-1)
        scores = made.pooled[..., self.dim :].masked_fill(is_absent, -torch.inf)
        return replace(made, pooled=torch.cat([made.pooled[..., : self.dim], scores], dim=-1))


class HashesNotKept(CompactBilinear):
    """Hash functions drawn anew by each module, and in no checkpoint."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__(dims, dim=16, hash_seed=torch.initial_seed() % 1000)
        for name in list(self._buffers):
            self.register_buffer(name, self._buffers[name], persistent=False)


class RootOfZero(CompactBilinear):
    """sign(z) sqrt(|z|) has no slope at 0."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__(dims, dim=16)

    def fuse(self, *features: Features) -> Tensor:
        z = super().fuse(*features)
        return F.normalize(z.sign() * z.abs().sqrt(), dim=-1, eps=1e-4)


class HearsTheAbsent(GMU):
    """Whatever stands in the place of an absent input is fused."""

    def project(self, position: int, features: Features) -> Features:
        everywhere = torch.ones_like(features.present)
        return super().project(position, replace(features, present=everywhere))


@pytest.mark.parametrize(
    ("sound", "defect", "options", "message"),
    [
        (InnerProduct, DividesByNothing, {"dim": 5}, "at zero vectors must stay below"),
        (InnerProduct, DividesTwice, {"dim": 5}, "at vectors next to zero must stay below"),
        (Attention, SoftmaxOfNothing, {}, "absent must be finite"),
        (CompactBilinear, HashesNotKept, {}, "must survive a round trip"),
        (CompactBilinear, RootOfZero, {}, "the gradient at zero vectors must be finite"),
        (GMU, HearsTheAbsent, {}, "must not depend on absent values"),
    ],
)
def test_the_shipped_check_finds_it(
    sound: Any, defect: Any, options: dict[str, Any], message: str
) -> None:
    check_fusion(sound, **options)
    with pytest.raises(ContractError, match=message):
        check_fusion(defect, **options)


class StaysUnderAutocast(CompactBilinear):
    """Its sketch is a product of matrices, which autocast rounds to bfloat16."""

    def project(self, position: int, features: Features) -> Features:
        sketch = self._sketch(position, present_or_zero(features))
        spectrum = torch.view_as_real(torch.fft.rfft(sketch.float(), n=self.dim)).flatten(-2)
        return replace(features, pooled=spectrum, tokens=None, mask=None)


def test_a_sketch_under_autocast_is_found(fuse: Call) -> None:
    u, v = torch.randn(3, 3), torch.randn(3, 2)
    for factory in (CompactBilinear, StaysUnderAutocast):
        fusion = factory((3, 2), dim=16)
        expected = fuse(fusion, u, v)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            is_exact = torch.equal(fuse(fusion, u, v), expected)
        assert is_exact == (factory is CompactBilinear)


class ZeroWhereAbsent(Max):
    """An absent input that competes as 0 wins against what is negative."""

    def project(self, position: int, features: Features) -> Features:
        return replace(features, pooled=self.maps[position](present_or_zero(features)))


def test_a_maximum_with_zero_for_the_absent_is_found(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    u = torch.randn(3, 3)
    for factory in (Max, ZeroWhereAbsent):
        fusion = factory((3, 2), dim=8)
        is_right = torch.equal(fuse(fusion, u, absent(2)), fusion.maps[0](u))
        assert is_right == (factory is Max)


class WithBias(Multiplicative):
    """Constants in the factors add a term of each modality alone."""

    def __init__(self, dims: tuple[int, ...], *, dim: int = 8) -> None:
        super().__init__(dims, dim=dim, bias=True)


def test_a_product_with_terms_of_one_modality_is_found(fuse: Call) -> None:
    """The exact row is odd in each input: a zero vector gives zero."""
    u = torch.randn(3, 3)
    for factory in (Multiplicative, WithBias):
        is_exact = bool((fuse(factory((3, 2), dim=8), u, torch.zeros(3, 2)) == 0).all())
        assert is_exact == (factory is Multiplicative)


class TorchsStart(Bilinear):
    """nn.Bilinear starts uniform in 1 / sqrt(du), whatever dv is."""

    def __init__(self, dims: tuple[int, ...], *, dim: int = 8) -> None:
        super().__init__(dims, dim=dim)
        self.weight.data = nn.Bilinear(dims[0], dims[1], dim, bias=False).weight.data


@pytest.mark.parametrize(("factory", "expected"), [(Bilinear, 1), (TorchsStart, (48 / 3) ** 0.5)])
def test_a_start_that_grows_with_the_width_is_found(
    factory: Any, expected: float, fuse: Call
) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        found = fuse(factory((64, 48), dim=64), torch.randn(256, 64), torch.randn(256, 48))
    assert float(found.std()) == pytest.approx(expected, rel=0.05)


class LosesAnElement(CompactBilinear):
    """The inverse transform without its length takes an odd width for an even one."""

    def fuse(self, *features: Features) -> Tensor:
        u, v = (torch.view_as_complex(f.pooled.reshape(len(f.pooled), -1, 2)) for f in features)
        return torch.fft.irfft(u * v)


def test_an_odd_sketch_that_loses_an_element_is_found(fuse: Call) -> None:
    for factory, width in ((CompactBilinear, 7), (LosesAnElement, 6)):
        found = fuse(factory((3, 2), dim=7), torch.randn(3, 3), torch.randn(3, 2))
        assert found.shape == (3, width)
    with pytest.raises(ContractError, match=r"must have the shape \(4, 7\)"):
        check_fusion(LosesAnElement, dim=7)
