from collections.abc import Callable

import torch
from mmlab_fusions.film import FiLM
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_film_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion, u, v = FiLM((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    maps = fusion.scale.weight, fusion.shift.weight
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        parts = zip(*(apply(m, x) for m in maps), apply(fusion.value.weight, y), strict=True)
        expected.append([(1 + scale) * value + shift for scale, shift, value in parts])
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_a_scalar_scales_every_dimension_alike(fuse: Call, random: Call, apply: Apply) -> None:
    fusion, u, v = FiLM((3, 2), dim=4, scalar=True).double(), random(5, 3), random(5, 2)
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        (scale,) = apply(fusion.scale.weight, x)
        parts = zip(apply(fusion.shift.weight, x), apply(fusion.value.weight, y), strict=True)
        expected.append([(1 + scale) * value + shift for shift, value in parts])
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_without_weights_the_condition_changes_nothing(fuse: Call) -> None:
    fusion, v = FiLM((3, 2), dim=4), torch.randn(5, 2)
    for m in (fusion.scale, fusion.shift):
        torch.nn.init.zeros_(m.weight)
    torch.testing.assert_close(fuse(fusion, torch.randn(5, 3), v), fusion.value(v))


def test_an_absent_condition_neither_scales_nor_shifts(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, v = FiLM((3, 2), dim=4), torch.randn(3, 2)
    torch.testing.assert_close(fuse(fusion, absent(3), v), fusion.value(v))


def test_without_a_value_the_shift_is_left(fuse: Call, absent: Callable[[int], Features]) -> None:
    fusion, u = FiLM((3, 2), dim=4), torch.randn(3, 3)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fusion.shift(u))
