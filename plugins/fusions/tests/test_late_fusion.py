import math
from collections.abc import Callable

import pytest
import torch
from mmlab_fusions.concat import Concat
from mmlab_fusions.late_fusion import LateFusion
from torch import Tensor

from mmlab.plugin import Features, SpecError

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]
DIMS = (3, 2, 4)


def slow_logits(fusion: LateFusion, apply: Apply, row: list[list[float]]) -> list[list[float]]:
    """Logits of each expert without hidden layer for one sample."""
    return [
        [a + b for a, b in zip(apply(e.weight, x), e.bias.tolist(), strict=True)]
        for e, x in zip(fusion.experts, row, strict=True)
    ]


def softmax(logits: list[float]) -> list[float]:
    total = math.fsum(map(math.exp, logits))
    return [math.exp(a) / total for a in logits]


@pytest.mark.parametrize(("rule", "divisor"), [("mean", 3), ("product", 1)])
def test_sum_and_mean_are_what_a_slow_loop_gives(
    rule: str, divisor: int, fuse: Call, random: Call, apply: Apply
) -> None:
    fusion = LateFusion(DIMS, 4, rule=rule).double()
    inputs = [random(5, width) for width in DIMS]
    expected = [
        [
            math.fsum(logits) / divisor
            for logits in zip(*slow_logits(fusion, apply, row), strict=True)
        ]
        for row in map(list, zip(*(x.tolist() for x in inputs), strict=True))
    ]
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())


def test_learned_weights_are_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = LateFusion(DIMS, 4, rule="learned").double()
    fusion.logit_weights.data = random(3, 4)
    weights = [softmax(column) for column in fusion.logit_weights.T.tolist()]
    inputs = [random(5, width) for width in DIMS]
    expected = []
    for row in map(list, zip(*(x.tolist() for x in inputs), strict=True)):
        columns = zip(*slow_logits(fusion, apply, row), strict=True)
        pairs = zip(weights, columns, strict=True)
        expected.append([math.fsum(a * b for a, b in zip(*p, strict=True)) for p in pairs])
    torch.testing.assert_close(fuse(fusion, *inputs), torch.tensor(expected).double())


def test_learned_weights_start_as_the_mean(fuse: Call, random: Call) -> None:
    learned = LateFusion((3, 2), 4, rule="learned").double()
    mean = LateFusion((3, 2), 4).double()
    mean.experts = learned.experts
    inputs = random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(learned, *inputs), fuse(mean, *inputs))


def test_a_product_of_experts_multiplies_probabilities(fuse: Call, random: Call) -> None:
    """Of labels that exclude each other, and of labels that do not."""
    fusion, u, v = LateFusion((3, 2), 4, rule="product").double(), random(5, 3), random(5, 2)
    first, second = (e(x) for e, x in zip(fusion.experts, (u, v), strict=True))
    found = fuse(fusion, u, v)
    both = first.softmax(-1) * second.softmax(-1)
    torch.testing.assert_close(found.softmax(-1), both / both.sum(-1, keepdim=True))
    yes = first.sigmoid() * second.sigmoid()
    no = (-first).sigmoid() * (-second).sigmoid()
    torch.testing.assert_close(found.sigmoid(), yes / (yes + no))


def test_affine_experts_are_concatenation_with_a_linear_head(fuse: Call, random: Call) -> None:
    late, early = LateFusion((3, 2), 4, rule="product").double(), Concat((3, 2), dim=4, bias=True)
    early = early.double()
    early.map.weight.data = torch.cat([e.weight.data for e in late.experts], dim=1)
    early.map.bias.data = sum(e.bias.data for e in late.experts)
    u, v = random(5, 3), random(5, 2)
    torch.testing.assert_close(fuse(late, u, v), fuse(early, u, v))


@pytest.mark.parametrize("rule", ["mean", "product", "learned"])
@pytest.mark.parametrize("hidden", [None, 6])
def test_of_one_expert_that_is_left_the_prediction_is_its_own(
    rule: str, hidden: int | None, fuse: Call, absent: Callable[[int], Features]
) -> None:
    """Also where weights were learnt: they sum to 1 again."""
    fusion, u = LateFusion((3, 2), 4, rule=rule, hidden=hidden), torch.randn(3, 3)
    if rule == "learned":
        torch.nn.init.normal_(fusion.logit_weights)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fusion.experts[0](u))


def test_hidden_experts_are_not_linear(fuse: Call) -> None:
    fusion, x = LateFusion((3, 2), 4, hidden=6), (torch.randn(3, 3), torch.randn(3, 2))
    for expert in fusion.experts:
        torch.nn.init.zeros_(expert[0].bias)
        torch.nn.init.zeros_(expert[2].bias)
    negated = fuse(fusion, *(-part for part in x))
    assert not torch.allclose(negated, -fuse(fusion, *x))


def test_without_labels_there_is_nothing_to_join() -> None:
    with pytest.raises(SpecError, match="a dataset without labels"):
        LateFusion((3, 2), None)
