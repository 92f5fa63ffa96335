from collections.abc import Sequence
from typing import Any

import pytest
import torch
from mmlab_fusions.concat import Concat
from torch import Tensor

from mmlab.plugin import Features
from mmlab.testing import check_fusion


def fuse(fusion: Concat, *inputs: Tensor | Features) -> Tensor:
    features = [x if isinstance(x, Features) else Features.of(x) for x in inputs]
    return fusion.fuse(*(fusion.project(i, f) for i, f in enumerate(features)))


def absent(width: int) -> Features:
    return Features(torch.full((3, width), torch.nan), None, None, torch.zeros(3, dtype=torch.bool))


@pytest.mark.parametrize(
    ("dims", "options"),
    [((8, 6), {}), ((8, 6), {"dim": 3, "bias": True}), ((5,), {"dim": 3}), ((5, 4, 3), {"dim": 2})],
)
def test_concat_keeps_the_contract(dims: Sequence[int], options: dict[str, Any]) -> None:
    check_fusion(Concat, dims=dims, **options)


def test_concat_is_what_a_slow_loop_gives() -> None:
    torch.manual_seed(0)
    fusion = Concat((3, 2), dim=4, bias=True).double()
    u, v = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    rows = list(zip(fusion.map.weight.tolist(), fusion.map.bias.tolist(), strict=True))
    expected = [
        [bias + sum(w * x for w, x in zip(row, joined, strict=True)) for row, bias in rows]
        for joined in torch.cat([u, v], dim=1).tolist()
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_concat_is_the_sum_of_two_maps() -> None:
    fusion, u, v = Concat((3, 2), dim=4), torch.randn(5, 3), torch.randn(5, 2)
    first, second = fusion.map.weight.split((3, 2), dim=1)
    torch.testing.assert_close(fuse(fusion, u, v), u @ first.T + v @ second.T)


def test_one_input_is_a_plain_linear_map() -> None:
    fusion, u = Concat((3,), dim=4, bias=True), torch.randn(5, 3)
    torch.testing.assert_close(fuse(fusion, u), fusion.map(u))


def test_there_is_no_bias_by_default() -> None:
    assert fuse(Concat((3, 2), dim=4), torch.zeros(1, 3), torch.zeros(1, 2)).abs().max() == 0


def test_an_absent_input_adds_nothing() -> None:
    fusion, u = Concat((3, 2), dim=4, bias=True), torch.randn(3, 3)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fuse(fusion, u, torch.zeros(3, 2)))


def test_with_all_inputs_absent_the_bias_is_left() -> None:
    fusion = Concat((3, 2), dim=4, bias=True)
    assert torch.equal(fuse(fusion, absent(3), absent(2)), fusion.map.bias.expand(3, -1))
