import math
from collections.abc import Callable

import pytest
import torch
from mmlab_fusions.bilinear import Bilinear
from mmlab_fusions.low_rank_bilinear import LowRankBilinear
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


@pytest.mark.parametrize("tanh", [False, True])
def test_low_rank_bilinear_is_what_a_slow_loop_gives(
    tanh: bool, fuse: Call, random: Call, apply: Apply
) -> None:
    fusion = LowRankBilinear((3, 2), dim=4, rank=5, tanh=tanh).double()
    squash = math.tanh if tanh else float
    u, v = random(6, 3), random(6, 2)
    big_u, big_v = (m.weight for m in fusion.maps)
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        factors = zip(apply(big_u, x), apply(big_v, y), strict=True)
        expected.append(apply(fusion.result.weight, [squash(a) * squash(b) for a, b in factors]))
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_ones_for_the_last_map_give_the_form_of_both_matrices(fuse: Call, random: Call) -> None:
    fusion = LowRankBilinear((3, 2), dim=1, rank=5).double()
    torch.nn.init.ones_(fusion.result.weight)
    u, v = random(6, 3), random(6, 2)
    first, second = (m.weight for m in fusion.maps)
    expected = torch.einsum("bi,ri,rj,bj->b", u, first, second, v)
    torch.testing.assert_close(fuse(fusion, u, v).squeeze(1), expected)


def test_it_is_a_bilinear_form_of_low_rank(fuse: Call, random: Call) -> None:
    fusion = LowRankBilinear((8, 6), dim=4, rank=2).double()
    full = Bilinear((8, 6), dim=4).double()
    first, second = (m.weight for m in fusion.maps)
    full.weight.data = torch.einsum("kr,ri,rj->kij", fusion.result.weight, first, second).detach()
    u, v = random(5, 8), random(5, 6)
    torch.testing.assert_close(fuse(fusion, u, v), fuse(full, u, v))
    assert torch.linalg.matrix_rank(full.weight.data).tolist() == [2, 2, 2, 2]


def test_an_absent_input_leaves_the_product_of_the_others(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, u = LowRankBilinear((3, 2), dim=4), torch.randn(3, 3)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fusion.result(fusion.maps[0](u)))
