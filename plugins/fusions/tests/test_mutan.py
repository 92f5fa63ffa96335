import math
from collections.abc import Callable

import torch
from mmlab_fusions.low_rank_bilinear import LowRankBilinear
from mmlab_fusions.mutan import Mutan
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]
DIMS = (3, 2, 4)


def test_mutan_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Mutan(DIMS, dim=5, inner_dim=3, rank=2, tanh=True).double()
    inputs = [random(6, width) for width in DIMS]
    expected = []
    for row in zip(*(x.tolist() for x in inputs), strict=True):
        inner = [
            [math.tanh(a) for a in apply(m.weight, x)]
            for m, x in zip(fusion.maps, row, strict=True)
        ]
        summed = [0.0] * 3
        for r in range(2):
            factors = [
                apply(core.weight[3 * r : 3 * r + 3], x)
                for core, x in zip(fusion.cores, inner, strict=True)
            ]
            summed = [
                s + math.prod(f) for s, f in zip(summed, zip(*factors, strict=True), strict=True)
            ]
        expected.append(apply(fusion.result.weight, summed))
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())


def test_it_is_a_bilinear_form_with_a_tucker_tensor(fuse: Call, random: Call) -> None:
    """Whose core has slices of the stated rank."""
    fusion, u, v = Mutan((3, 2), dim=5, inner_dim=4, rank=2).double(), random(6, 3), random(6, 2)
    m, n = (core.weight.reshape(2, 4, 4) for core in fusion.cores)  # (rank, slice, inner)
    core = torch.einsum("rki,rkj->kij", m, n)
    assert all(int(torch.linalg.matrix_rank(part)) == 2 for part in core)
    first, second = (layer.weight for layer in fusion.maps)
    tensor = torch.einsum("ok,kij,ia,jb->oab", fusion.result.weight, core, first, second)
    torch.testing.assert_close(fuse(fusion, u, v), torch.einsum("oab,na,nb->no", tensor, u, v))


def test_with_identity_cores_of_rank_one_it_is_the_low_rank_form(fuse: Call, random: Call) -> None:
    fusion = Mutan((3, 2), dim=5, inner_dim=4, rank=1).double()
    low = LowRankBilinear((3, 2), dim=5, rank=4).double()
    for core in fusion.cores:
        torch.nn.init.eye_(core.weight)
    low.maps, low.result = fusion.maps, fusion.result
    u, v = random(6, 3), random(6, 2)
    torch.testing.assert_close(fuse(fusion, u, v), fuse(low, u, v))


def test_both_inputs_have_cores_of_their_own() -> None:
    """MMF's layer ignores whether they are to be shared."""
    fusion = Mutan((3, 3), dim=5, inner_dim=4, rank=2)
    weights = [m.weight for m in (*fusion.maps, *fusion.cores)]
    assert len({w.data_ptr() for w in weights}) == 4


def test_without_an_input_the_product_of_the_others_is_left(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, two = Mutan(DIMS, dim=5), Mutan((3, 4), dim=5)
    two.maps[0], two.maps[1], two.result = fusion.maps[0], fusion.maps[2], fusion.result
    two.cores[0], two.cores[1] = fusion.cores[0], fusion.cores[2]
    u, w = torch.randn(3, 3), torch.randn(3, 4)
    torch.testing.assert_close(fuse(fusion, u, absent(2), w), fuse(two, u, w))
