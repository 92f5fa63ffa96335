from collections.abc import Callable

import torch
from mmlab_fusions.max import Max
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_max_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Max((3, 2), dim=4).double()
    u, v = random(5, 3), random(5, 2)
    w, big_v = (m.weight for m in fusion.maps)
    expected = [
        [a if a > b else b for a, b in zip(apply(w, x), apply(big_v, y), strict=True)]
        for x, y in zip(u.tolist(), v.tolist(), strict=True)
    ]
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_swapping_inputs_and_matrices_changes_nothing(fuse: Call, random: Call) -> None:
    fusion, swapped = Max((3, 2), dim=4).double(), Max((2, 3), dim=4).double()
    for own, other in zip(swapped.maps, reversed(fusion.maps), strict=True):
        own.weight.data = other.weight.data
    u, v = random(5, 3), random(5, 2)
    assert torch.equal(fuse(fusion, u, v), fuse(swapped, v, u))


def test_where_two_are_equal_each_gets_half_of_the_gradient(fuse: Call) -> None:
    fusion = Max((2, 2), dim=2)
    for m in fusion.maps:
        m.weight.data = torch.eye(2)
    u, v = (torch.ones(1, 2, requires_grad=True) for _ in range(2))
    fuse(fusion, u, v).sum().backward()
    assert u.grad.tolist() == v.grad.tolist() == [[0.5, 0.5]]


def test_an_absent_input_never_wins_against_negative_values(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    """Zero in its place would."""
    fusion = Max((2, 2), dim=2)
    fusion.maps[0].weight.data = torch.eye(2)
    u = -torch.ones(3, 2, requires_grad=True)
    u.retain_grad()
    found = fuse(fusion, u, absent(2))
    found.sum().backward()
    assert found.tolist() == [[-1.0, -1.0]] * 3
    assert u.grad.tolist() == [[1.0, 1.0]] * 3
