"""Tensor fusion, whole and of low rank."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import pytest
import torch
from mmlab_fusions.low_rank_tensor_fusion import LowRankTensorFusion
from mmlab_fusions.tensor_fusion import TensorFusion
from torch import Tensor, nn

from mmlab.plugin import Features, SpecError
from mmlab.testing import ContractError, check_fusion

Call = Callable[..., Tensor]


def test_tensor_fusion_is_what_a_slow_loop_gives(fuse: Call, random: Call) -> None:
    inputs = [random(5, width) for width in (3, 2, 4)]
    rows = zip(*(x.tolist() for x in inputs), strict=True)
    expected = [[math.prod(cell) for cell in product(*([1.0, *x] for x in row))] for row in rows]
    found = fuse(TensorFusion((3, 2, 4)), *inputs)
    torch.testing.assert_close(found, torch.tensor(expected).double())


def test_an_inner_width_maps_each_input_first(fuse: Call, random: Call) -> None:
    fusion, u, v = TensorFusion((3, 2), inner_dim=4).double(), random(5, 3), random(5, 2)
    first, second = fusion.maps
    torch.testing.assert_close(fuse(fusion, u, v), fuse(TensorFusion((4, 4)), first(u), second(v)))
    assert fusion.dim == 25


def test_a_result_over_the_limit_is_refused_with_its_width() -> None:
    with pytest.raises(SpecError, match="found: 513 x 513 = 263169\n  allowed: up to 100000"):
        TensorFusion((512, 512))
    assert TensorFusion((512, 512), limit=263_169).dim == 263_169


def test_an_absent_input_leaves_the_terms_of_the_others(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    u = torch.randn(3, 3)
    found = fuse(TensorFusion((3, 2)), u, absent(2)).reshape(3, 4, 3)
    torch.testing.assert_close(found[..., 0], torch.cat([torch.ones(3, 1), u], dim=1))
    assert found[..., 1:].abs().max() == 0


def test_low_rank_is_a_linear_map_of_the_tensor(fuse: Call, random: Call) -> None:
    fusion = LowRankTensorFusion((3, 2, 4), dim=5, rank=2).double()
    fusion.bias.data = random(5)
    inputs = [random(6, width) for width in (3, 2, 4)]
    factors = [  # (D + 1, rank, dim), the row of the 1 first
        torch.cat([m.bias.unsqueeze(1), m.weight], dim=1).T.reshape(-1, 2, 5) for m in fusion.maps
    ]
    weight = torch.einsum("r,irk,jrk,lrk->ijlk", fusion.rank_weights, *factors).reshape(-1, 5)
    expected = fuse(TensorFusion((3, 2, 4)), *inputs) @ weight + fusion.bias
    torch.testing.assert_close(fuse(fusion, *inputs), expected)


def test_the_result_of_low_rank_starts_at_unit_variance(fuse: Call) -> None:
    """Of the mean over starts; the weights of one start have a variance of their own."""
    torch.manual_seed(0)
    u, v = torch.randn(64, 32), torch.randn(64, 16)
    with torch.no_grad():
        found = [fuse(LowRankTensorFusion((32, 16), dim=64), u, v).var() for _ in range(50)]
    assert float(torch.stack(found).mean()) == pytest.approx(1, abs=0.4)


class FactorsInAList(nn.Module):
    """The defect of MultiBench's layer: an optimizer and a checkpoint see no factor."""

    reads = frozenset({"pooled"})
    prompts = "features"

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dim = 4
        self.rank_weights = nn.Parameter(torch.randn(2))
        self.factors = [nn.Parameter(torch.randn(width, 2, 4)) for width in dims]

    def project(self, position: int, features: Features) -> Features:
        x = features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)
        factors = self.factors[position].to(x.dtype)
        return replace(features, pooled=torch.einsum("...i,irk->...rk", x, factors).flatten(-2))

    def fuse(self, *features: Features) -> Tensor:
        u, v = (f.pooled.unflatten(-1, (2, 4)) for f in features)
        return torch.einsum("...rk,r->...k", u * v, self.rank_weights)


def test_factors_that_are_not_registered_are_found() -> None:
    check_fusion(LowRankTensorFusion, dims=(8, 6), dim=4, rank=2)
    with pytest.raises(ContractError, match="must survive a round trip"):
        check_fusion(FactorsInAList, dims=(8, 6))


def test_every_factor_is_a_parameter() -> None:
    fusion = LowRankTensorFusion((3, 2), dim=5, rank=2)
    assert sum(p.numel() for p in fusion.parameters()) == 2 * 5 * (4 + 3) + 2 + 5


def test_an_absent_input_counts_as_zeros(fuse: Call, absent: Callable[[int], Features]) -> None:
    fusion, u = LowRankTensorFusion((3, 2), dim=4), torch.randn(3, 3)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fuse(fusion, u, torch.zeros(3, 2)))
