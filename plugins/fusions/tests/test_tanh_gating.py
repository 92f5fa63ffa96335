import math
from collections.abc import Callable

import torch
from mmlab_fusions.tanh_gating import TanhGating
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_tanh_gating_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = TanhGating((3, 2), dim=4).double()
    u, v = random(5, 3), random(5, 2)
    w, big_v = (m.weight for m in fusion.maps)
    expected = [
        [math.tanh(a) * b for a, b in zip(apply(w, x), apply(big_v, y), strict=True)]
        for x, y in zip(u.tolist(), v.tolist(), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_it_is_odd_in_its_gate_and_linear_in_its_value(fuse: Call, random: Call) -> None:
    fusion, u, v = TanhGating((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(fusion, -u, v), -fuse(fusion, u, v))
    torch.testing.assert_close(fuse(fusion, u, -3 * v), -3 * fuse(fusion, u, v))


def test_a_gate_without_weights_lets_nothing_pass(fuse: Call) -> None:
    fusion = TanhGating((3, 2), dim=4)
    torch.nn.init.zeros_(fusion.maps[0].weight)
    assert fuse(fusion, torch.randn(5, 3), torch.randn(5, 2)).abs().max() == 0


def test_the_other_gate_is_the_operator_with_its_inputs_swapped(fuse: Call, random: Call) -> None:
    by_v, by_u = TanhGating((3, 2), dim=4, gate="v").double(), TanhGating((2, 3), dim=4).double()
    for own, other in zip(by_u.maps, reversed(by_v.maps), strict=True):
        own.weight.data = other.weight.data
    u, v = random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(by_v, u, v), fuse(by_u, v, u))


def test_an_absent_gate_stands_open_and_an_absent_value_gives_zero(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, v = TanhGating((3, 2), dim=4), torch.randn(3, 2)
    torch.testing.assert_close(fuse(fusion, absent(3), v), fusion.maps[1](v))
    assert fuse(fusion, torch.randn(3, 3), absent(2)).abs().max() == 0
