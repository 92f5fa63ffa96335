import math
from collections.abc import Callable

import torch
from mmlab_fusions.gmu import GMU
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_gmu_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion, u, v = GMU((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    w, big_v = (m.weight for m in fusion.maps)
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        gates = [1 / (1 + math.exp(-a)) for a in apply(fusion.gates.weight, x + y)]
        parts = zip(gates, apply(w, x), apply(big_v, y), strict=True)
        expected.append([g * math.tanh(a) + (1 - g) * math.tanh(b) for g, a, b in parts])
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_three_inputs_share_a_softmax_in_each_dimension(fuse: Call, random: Call) -> None:
    fusion = GMU((3, 2, 1), dim=2).double()
    inputs = [random(5, width) for width in (3, 2, 1)]
    logits = (torch.cat(inputs, dim=1) @ fusion.gates.weight.T).reshape(5, 2, 2).exp()
    total = logits.sum(dim=1) + 1
    shares = [logits[:, 0] / total, logits[:, 1] / total, 1 / total]
    values = [m(x).tanh() for m, x in zip(fusion.maps, inputs, strict=True)]
    expected = sum(share * value for share, value in zip(shares, values, strict=True))
    torch.testing.assert_close(fuse(fusion, *inputs), expected)


def test_gates_without_weights_give_the_mean(fuse: Call, random: Call) -> None:
    fusion, u, v = GMU((3, 2), dim=4).double(), random(5, 3), random(5, 2)
    torch.nn.init.zeros_(fusion.gates.weight)
    first, second = fusion.maps
    torch.testing.assert_close(fuse(fusion, u, v), (first(u).tanh() + second(v).tanh()) / 2)


def test_an_absent_input_leaves_the_other_whole(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, u, v = GMU((3, 2), dim=4), torch.randn(3, 3), torch.randn(3, 2)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fusion.maps[0](u).tanh())
    torch.testing.assert_close(fuse(fusion, absent(3), v), fusion.maps[1](v).tanh())
