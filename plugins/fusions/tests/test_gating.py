import math
from typing import Any

import pytest
import torch
from mmlab_fusions.gating import Gating
from torch import Tensor

from mmlab.plugin import Features
from mmlab.testing import check_fusion


def fuse(fusion: Gating, *inputs: Tensor | Features) -> Tensor:
    features = [x if isinstance(x, Features) else Features.of(x) for x in inputs]
    return fusion.fuse(*(fusion.project(i, f) for i, f in enumerate(features)))


def absent(width: int) -> Features:
    return Features(torch.full((3, width), torch.nan), None, None, torch.zeros(3, dtype=torch.bool))


@pytest.mark.parametrize("options", [{}, {"dim": 3, "gate": "v"}])
def test_gating_keeps_the_contract(options: dict[str, Any]) -> None:
    check_fusion(Gating, dims=(8, 6), **options)


def test_gating_is_what_a_slow_loop_gives() -> None:
    torch.manual_seed(0)
    fusion = Gating((3, 2), dim=4).double()
    u, v = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    w, big_v = (m.weight.tolist() for m in fusion.maps)
    expected = [
        [
            sum(a * b for a, b in zip(value_row, y, strict=True))
            / (1 + math.exp(-sum(a * b for a, b in zip(gate_row, x, strict=True))))
            for gate_row, value_row in zip(w, big_v, strict=True)
        ]
        for x, y in zip(u.tolist(), v.tolist(), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_a_gate_without_weights_lets_half_of_the_value_pass() -> None:
    fusion, u, v = Gating((3, 2), dim=4), torch.randn(5, 3), torch.randn(5, 2)
    torch.nn.init.zeros_(fusion.maps[0].weight)
    torch.testing.assert_close(fuse(fusion, u, v), fusion.maps[1](v) / 2)


def test_the_result_is_zero_when_the_gate_is_closed() -> None:
    fusion, v = Gating((3, 2), dim=4), torch.randn(5, 2)
    torch.nn.init.constant_(fusion.maps[0].weight, -1e3)
    assert fuse(fusion, torch.ones(5, 3), v).abs().max() == 0


def test_gating_is_linear_in_its_value() -> None:
    fusion, u, v = Gating((3, 2), dim=4), torch.randn(5, 3), torch.randn(5, 2)
    torch.testing.assert_close(fuse(fusion, u, -3 * v), -3 * fuse(fusion, u, v))


def test_the_other_gate_is_the_operator_with_its_inputs_swapped() -> None:
    by_v, by_u = Gating((3, 2), dim=4, gate="v"), Gating((2, 3), dim=4)
    by_u.maps[0].weight.data, by_u.maps[1].weight.data = (m.weight.data for m in by_v.maps[::-1])
    u, v = torch.randn(5, 3), torch.randn(5, 2)
    torch.testing.assert_close(fuse(by_v, u, v), fuse(by_u, v, u))


def test_an_absent_gate_stands_half_open() -> None:
    fusion, v = Gating((3, 2), dim=4), torch.randn(3, 2)
    torch.testing.assert_close(fuse(fusion, absent(3), v), fusion.maps[1](v) / 2)


def test_an_absent_value_gives_zero() -> None:
    fusion = Gating((3, 2), dim=4)
    assert fuse(fusion, torch.randn(3, 3), absent(2)).abs().max() == 0
    assert fuse(fusion, absent(3), absent(2)).abs().max() == 0
