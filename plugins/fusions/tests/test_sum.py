import math
from collections.abc import Callable

import torch
from mmlab_fusions.concat import Concat
from mmlab_fusions.sum import Sum
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_sum_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Sum((3, 2), dim=4, bias=True).double()
    fusion.bias.data = random(4)
    u, v = random(5, 3), random(5, 2)
    w, big_v = (m.weight for m in fusion.maps)
    expected = [
        list(map(math.fsum, zip(apply(w, x), apply(big_v, y), fusion.bias.tolist(), strict=True)))
        for x, y in zip(u.tolist(), v.tolist(), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_concat_of_both_matrices_side_by_side_is_the_sum(fuse: Call, random: Call) -> None:
    added, joined = Sum((3, 2, 4), dim=4).double(), Concat((3, 2, 4), dim=4).double()
    joined.map.weight.data = torch.cat([m.weight.data for m in added.maps], dim=1)
    inputs = [random(5, width) for width in (3, 2, 4)]
    torch.testing.assert_close(fuse(joined, *inputs), fuse(added, *inputs))


def test_there_is_no_bias_by_default() -> None:
    assert {name for name, _ in Sum((3, 2)).named_parameters()} == {
        "maps.0.weight",
        "maps.1.weight",
    }


def test_an_absent_input_adds_nothing(fuse: Call, absent: Callable[[int], Features]) -> None:
    fusion, u = Sum((3, 2), dim=4), torch.randn(3, 3)
    assert torch.equal(fuse(fusion, u, absent(2)), fusion.maps[0](u))
