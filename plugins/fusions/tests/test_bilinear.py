"""The bilinear form, plain and gated."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmlab_fusions.bilinear import Bilinear
from mmlab_fusions.bilinear_gated import BilinearGated
from torch import Tensor

from mmlab.plugin import Features, SpecError

Call = Callable[..., Tensor]
BOTH = (Bilinear, BilinearGated)


def form_slowly(weight: list[list[float]], u: list[float], v: list[float]) -> float:
    rows = zip(u, weight, strict=True)
    return math.fsum(a * w * b for a, row in rows for w, b in zip(row, v, strict=True))


def test_bilinear_is_what_a_slow_loop_gives(fuse: Call, random: Call) -> None:
    fusion, u, v = Bilinear((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    expected = [
        [form_slowly(weight, x, y) for weight in fusion.weight.tolist()]
        for x, y in zip(u.tolist(), v.tolist(), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_bilinear_gated_is_what_a_slow_loop_gives(fuse: Call, random: Call) -> None:
    fusion, u, v = BilinearGated((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    expected = [
        [
            form_slowly(weight, x, [1 / (1 + math.exp(-b)) for b in y])
            for weight in fusion.weight.tolist()
        ]
        for x, y in zip(u.tolist(), v.tolist(), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_bilinear_is_linear_in_each_argument(fuse: Call, random: Call) -> None:
    fusion, u, v = Bilinear((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    other, another = random(5, 3), random(5, 2)
    left = 2 * fuse(fusion, u, v) - 3 * fuse(fusion, other, v)
    right = 2 * fuse(fusion, u, v) - 3 * fuse(fusion, u, another)
    torch.testing.assert_close(fuse(fusion, 2 * u - 3 * other, v), left)
    torch.testing.assert_close(fuse(fusion, u, 2 * v - 3 * another), right)


def test_the_gated_form_is_linear_in_its_first_argument(fuse: Call, random: Call) -> None:
    fusion, u, v = BilinearGated((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(fusion, -3 * u, v), -3 * fuse(fusion, u, v))


def test_a_zero_gate_lets_half_of_the_first_input_pass(fuse: Call, random: Call) -> None:
    fusion, plain = BilinearGated((3, 2), dim=4).double(), Bilinear((3, 2), dim=4).double()
    plain.weight = fusion.weight
    u, half = random(5, 3), torch.full((5, 2), 0.5).double()
    torch.testing.assert_close(fuse(fusion, u, torch.zeros(5, 2).double()), fuse(plain, u, half))


@pytest.mark.parametrize(("rows", "columns"), [(5, 3), (3, 5)])
def test_either_input_may_have_fewer_rows(rows: int, columns: int, random: Call) -> None:
    fusion, u, v = Bilinear((3, 2), dim=4).double(), random(rows, 3), random(columns, 2)
    pairs = fusion.fuse(Features.of(u.unsqueeze(1)), Features.of(v.unsqueeze(0)))
    torch.testing.assert_close(pairs, torch.einsum("kij,ai,bj->abk", fusion.weight, u, v))


def test_the_result_starts_at_unit_variance(fuse: Call) -> None:
    torch.manual_seed(0)
    found = fuse(Bilinear((64, 48), dim=64), torch.randn(256, 64), torch.randn(256, 48))
    # 16,384 numbers, of which those of one sample share u and v.
    assert float(found.detach().std()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("factory", BOTH)
def test_weights_over_the_limit_are_refused_before_they_are_allocated(factory: Any) -> None:
    """Twelve terabytes would not fit."""
    size = r"1000000 x 2000 x 1500 = 3000000000000 weights, 11444092 MiB"
    with pytest.raises(SpecError, match=size):
        factory((2000, 1500), dim=1_000_000)


@pytest.mark.parametrize("factory", BOTH)
def test_weights_at_the_limit_are_accepted(factory: Any) -> None:
    assert factory((512, 512), dim=1, limit_mib=1).weight.shape == (1, 512, 512)
    with pytest.raises(SpecError, match="up to 1 MiB"):
        factory((512, 513), dim=1, limit_mib=1)


def test_an_absent_input_gives_zero(fuse: Call, absent: Callable[[int], Features]) -> None:
    fusion = Bilinear((3, 2), dim=4)
    assert fuse(fusion, torch.randn(3, 3), absent(2)).abs().max() == 0
    assert fuse(fusion, absent(3), torch.randn(3, 2)).abs().max() == 0


def test_an_absent_gate_stands_half_open(fuse: Call, absent: Callable[[int], Features]) -> None:
    fusion, u = BilinearGated((3, 2), dim=4), torch.randn(3, 3)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fuse(fusion, u, torch.zeros(3, 2)))
    assert fuse(fusion, absent(3), torch.randn(3, 2)).abs().max() == 0
