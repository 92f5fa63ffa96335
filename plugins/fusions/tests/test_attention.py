import math
import operator
from collections.abc import Callable

import pytest
import torch
from mmlab_fusions.attention import Attention
from torch import Tensor

from mmlab.plugin import Features, SpecError

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_attention_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Attention((3, 2, 4), dim=4).double()
    inputs = [random(5, width) for width in (3, 2, 4)]
    expected = []
    for row in zip(*(x.tolist() for x in inputs), strict=True):
        values = [apply(m.weight, x) for m, x in zip(fusion.maps, row, strict=True)]
        scores = [apply(fusion.query.weight, [math.tanh(a) for a in x])[0] for x in values]
        total = math.fsum(math.exp(s) for s in scores)
        weights = [math.exp(s) / total for s in scores]
        columns = zip(*values, strict=True)
        expected.append([sum(map(operator.mul, weights, column)) for column in columns])
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())


def test_equal_scores_give_half_of_the_sum(fuse: Call, random: Call) -> None:
    fusion, u, v = Attention((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    torch.nn.init.zeros_(fusion.query.weight)
    first, second = fusion.maps
    torch.testing.assert_close(fuse(fusion, u, v), (first(u) + second(v)) / 2)


def test_weights_sum_to_one(fuse: Call, random: Call) -> None:
    """A dimension of the value that is 1 for every input is 1 in the result."""
    fusion = Attention((3, 3), dim=3).double()
    u, v = random(5, 3), random(5, 3)
    u[:, 0], v[:, 0] = 1, 1
    for m in fusion.maps:
        m.weight.data[0] = torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(fuse(fusion, u, v)[:, 0], torch.ones(5).double())


def test_weights_differ_from_sample_to_sample(fuse: Call, random: Call) -> None:
    fusion = Attention((1, 1), dim=1).double()
    for m in (*fusion.maps, fusion.query):
        torch.nn.init.ones_(m.weight)
    u, v = torch.tensor([[2.0], [0.0]]).double(), torch.tensor([[0.0], [2.0]]).double()
    share = 1 / (1 + math.exp(-math.tanh(2)))
    torch.testing.assert_close(fuse(fusion, u, v), torch.full((2, 1), 2 * share).double())


@pytest.mark.parametrize("heads", [2, 4])
def test_each_head_weighs_its_own_part(heads: int, fuse: Call, random: Call) -> None:
    """As attention of one head that sees that part alone; 4 is a weight for each dimension."""
    fusion, u, v = Attention((3, 2), dim=4, heads=heads).double(), random(5, 3), random(5, 2)
    found, width = fuse(fusion, u, v), 4 // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        alone = Attention((3, 2), dim=width).double()
        for own, given in zip((*alone.maps,), fusion.maps, strict=True):
            own.weight.data = given.weight.data[part]
        alone.query.weight.data = fusion.query.weight.data[:, part]
        torch.testing.assert_close(found[:, part], fuse(alone, u, v))


def test_static_weights_are_the_same_for_all_samples(fuse: Call, random: Call) -> None:
    fusion, u, v = (
        Attention((3, 2), dim=4, heads=2, static=True).double(),
        random(5, 3),
        random(5, 2),
    )
    first, second = (m(x) for m, x in zip(fusion.maps, (u, v), strict=True))
    torch.testing.assert_close(fuse(fusion, u, v), (first + second) / 2)
    fusion.static_scores.data = torch.tensor([[1.0, -2.0], [0.0, 0.0]]).double()
    share = torch.tensor([1.0, 1.0, -2.0, -2.0]).double().sigmoid()
    torch.testing.assert_close(fuse(fusion, u, v), share * first + (1 - share) * second)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SpecError, match="width 6, heads 4"):
        Attention((3, 2), dim=6, heads=4)


def test_without_an_input_the_weights_of_the_others_sum_to_one_again(
    fuse: Call, random: Call, absent: Callable[[int], Features]
) -> None:
    fusion, two = Attention((3, 2, 4), dim=4), Attention((3, 4), dim=4)
    two.maps[0], two.maps[1], two.query = fusion.maps[0], fusion.maps[2], fusion.query
    u, w = torch.randn(3, 3), torch.randn(3, 4)
    torch.testing.assert_close(fuse(fusion, u, absent(2), w), fuse(two, u, w))
    torch.testing.assert_close(fuse(two, u, absent(4)), fusion.maps[0](u))
