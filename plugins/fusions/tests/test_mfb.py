import math
from collections.abc import Callable
from itertools import chain

import pytest
import torch
from mmlab_fusions.low_rank_bilinear import LowRankBilinear
from mmlab_fusions.mfb import MFB
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def slow_blocks(fusion: MFB, apply: Apply, row: list[list[float]], dim: int) -> list[list[float]]:
    """The sums of each block for one sample."""
    factors = [apply(m.weight, x) for m, x in zip(fusion.maps, row, strict=True)]
    products = [math.prod(column) for column in zip(*factors, strict=True)]
    width, blocks = dim * fusion.window, []
    expanded = [1.0] * width
    for order in range(fusion.order):
        own = products[order * width : (order + 1) * width]
        expanded = [a * b for a, b in zip(expanded, own, strict=True)]
        sums = [expanded[i : i + fusion.window] for i in range(0, width, fusion.window)]
        blocks.append([math.fsum(window) for window in sums])
    return blocks


@pytest.mark.parametrize("dims", [(3, 2), (3, 2, 4)])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_blocks_are_what_a_slow_loop_gives(
    order: int, dims: tuple[int, ...], fuse: Call, random: Call, apply: Apply
) -> None:
    fusion = MFB(dims, dim=4, window=3, order=order).double()
    inputs = [random(5, width) for width in dims]
    rows = map(list, zip(*(x.tolist() for x in inputs), strict=True))
    expected = [[*chain(*slow_blocks(fusion, apply, row, 4))] for row in rows]
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())
    assert fusion.dim == 4 * order


def test_one_block_is_the_low_rank_form_whose_last_map_adds_neighbours(
    fuse: Call, random: Call
) -> None:
    fusion = MFB((3, 2), dim=4, window=3).double()
    low = LowRankBilinear((3, 2), dim=4, rank=12).double()
    low.maps = fusion.maps
    low.result.weight.data = torch.eye(4).repeat_interleave(3, dim=1).double()
    u, v = random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(fusion, u, v), fuse(low, u, v))


def test_block_o_has_degree_o_in_each_input(fuse: Call, random: Call) -> None:
    fusion, u, v = MFB((3, 2), dim=4, order=2).double(), random(5, 3), random(5, 2)
    first, second = fuse(fusion, u, v).chunk(2, dim=1)
    found = fuse(fusion, 3 * u, v)
    torch.testing.assert_close(found, torch.cat([3 * first, 9 * second], dim=1))


def test_each_block_is_normalized_on_its_own(fuse: Call, random: Call) -> None:
    plain = MFB((3, 2), dim=4, order=2).double()
    normal = MFB((3, 2), dim=4, order=2, normalize=True).double()
    normal.maps = plain.maps
    u, v = random(5, 3), random(5, 2)
    blocks = fuse(plain, u, v).reshape(5, 2, 4)
    roots = blocks.sign() * ((blocks.abs() + 1e-8).sqrt() - 1e-8**0.5)
    expected = roots / roots.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(fuse(normal, u, v), expected.reshape(5, 8))


def test_an_absent_input_leaves_the_others(fuse: Call, absent: Callable[[int], Features]) -> None:
    fusion, u = MFB((3, 2), dim=4, window=3), torch.randn(3, 3)
    sums = fusion.maps[0](u).reshape(3, 4, 3).sum(-1)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), sums)
