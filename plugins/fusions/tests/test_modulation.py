import math
from collections.abc import Callable

import pytest
import torch
from mmlab_fusions.modulation import Modulation
from torch import Tensor

from mmlab.plugin import Features, SpecError

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_modulation_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Modulation((3, 2)).double()
    u, v = random(5, 3), random(5, 2)
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        share = 1 / (
            1
            + math.exp(-apply(fusion.logits.weight, x + y)[0] - float(fusion.logits.bias.detach()))
        )
        expected.append([share * a for a in x] + [(1 - share) * a for a in y])
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_three_inputs_share_a_softmax(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Modulation((3, 2, 1)).double()
    inputs = [random(5, width) for width in (3, 2, 1)]
    expected = []
    for row in zip(*(x.tolist() for x in inputs), strict=True):
        terms = apply(fusion.logits.weight, [*row[0], *row[1], *row[2]])
        logits = [a + b for a, b in zip(terms, fusion.logits.bias.tolist(), strict=True)] + [0.0]
        total = math.fsum(math.exp(a) for a in logits)
        parts = zip(logits, row, strict=True)
        expected.append([math.exp(a) / total * x for a, xs in parts for x in xs])
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())


def test_a_share_for_each_dimension_is_what_a_slow_loop_gives(
    fuse: Call, random: Call, apply: Apply
) -> None:
    fusion = Modulation((3, 3), vector=True).double()
    u, v = random(5, 3), random(5, 3)
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        terms = zip(apply(fusion.logits.weight, x + y), fusion.logits.bias.tolist(), strict=True)
        shares = [1 / (1 + math.exp(-a - b)) for a, b in terms]
        first = [s * a for s, a in zip(shares, x, strict=True)]
        expected.append(first + [(1 - s) * b for s, b in zip(shares, y, strict=True)])
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_a_share_for_each_dimension_needs_equal_widths() -> None:
    with pytest.raises(SpecError, match="widths 3, 2"):
        Modulation((3, 2), vector=True)


def test_two_inputs_need_one_weight_each_dimension_and_one_constant() -> None:
    fusion = Modulation((3, 2))
    assert fusion.dim == 5
    assert sum(p.numel() for p in fusion.parameters()) == 3 + 2 + 1


def test_without_weights_it_is_half_of_the_concatenation(fuse: Call, random: Call) -> None:
    fusion, u, v = Modulation((3, 2)).double(), random(5, 3), random(5, 2)
    for p in fusion.parameters():
        torch.nn.init.zeros_(p)
    torch.testing.assert_close(fuse(fusion, u, v), torch.cat([u, v], dim=1) / 2)


def test_shares_sum_to_one(fuse: Call, random: Call) -> None:
    fusion, u, v = Modulation((3, 2)).double(), random(5, 3), random(5, 2)
    parts = fuse(fusion, u, v) / torch.cat([u, v], dim=1)
    torch.testing.assert_close(parts[:, 0] + parts[:, 4], torch.ones(5).double())


def test_an_absent_input_leaves_the_others_whole(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, u, v = Modulation((3, 2)), torch.randn(3, 3), torch.randn(3, 2)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), torch.cat([u, torch.zeros(3, 2)], dim=1))
    torch.testing.assert_close(fuse(fusion, absent(3), v), torch.cat([torch.zeros(3, 3), v], dim=1))
