import math
from collections.abc import Callable

import torch
from mmlab_fusions.bilinear import Bilinear
from mmlab_fusions.multiplicative import Multiplicative
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_the_product_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Multiplicative((3, 2, 4), dim=4).double()
    inputs = [random(5, width) for width in (3, 2, 4)]
    expected = [
        [
            math.prod(factors)
            for factors in zip(
                *(apply(m.weight, x) for m, x in zip(fusion.maps, row, strict=True)), strict=True
            )
        ]
        for row in zip(*(x.tolist() for x in inputs), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())


def test_the_product_is_a_bilinear_form_of_rank_one(fuse: Call, random: Call) -> None:
    fusion, form = Multiplicative((3, 2), dim=4).double(), Bilinear((3, 2), dim=4).double()
    w, big_v = (m.weight.data for m in fusion.maps)
    form.weight.data = w.unsqueeze(2) * big_v.unsqueeze(1)
    u, v = random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(fusion, u, v), fuse(form, u, v))


def test_the_product_is_linear_in_each_argument(fuse: Call, random: Call) -> None:
    fusion = Multiplicative((3, 2), dim=4).double()
    u, other, v = random(5, 3), random(5, 3), random(5, 2)
    expected = 2 * fuse(fusion, u, v) - 3 * fuse(fusion, other, v)
    torch.testing.assert_close(fuse(fusion, 2 * u - 3 * other, v), expected)
    torch.testing.assert_close(fuse(fusion, u, -4 * v), -4 * fuse(fusion, u, v))


def test_a_zero_vector_stops_the_gradient_of_the_other(fuse: Call) -> None:
    v = torch.randn(5, 2, requires_grad=True)
    fuse(Multiplicative((3, 2), dim=4), torch.zeros(5, 3), v).sum().backward()
    assert v.grad.abs().max() == 0


def test_biases_add_terms_of_single_inputs(fuse: Call, random: Call) -> None:
    fusion = Multiplicative((3, 2), dim=4, bias=True).double()
    v, (first, second) = random(5, 2), fusion.maps
    torch.testing.assert_close(fuse(fusion, torch.zeros(5, 3).double(), v), first.bias * second(v))


def test_an_absent_input_leaves_the_product_of_the_others(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, u, w = Multiplicative((3, 2, 4), dim=4), torch.randn(3, 3), torch.randn(3, 4)
    expected = fusion.maps[0](u) * fusion.maps[2](w)
    torch.testing.assert_close(fuse(fusion, u, absent(2), w), expected)
