"""What is passed between components, and the arithmetic that they share."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmlab.plugin import normalize

LENGTHS = [0.0, *(10.0**-k for k in range(20))]


def of_length(length: float) -> torch.Tensor:
    way = torch.tensor([[3.0, -4.0, 12.0]], dtype=torch.float64) / 13
    return (length * way).requires_grad_()


def test_vectors_are_brought_to_length_one_along_any_axis() -> None:
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    for dim in (-1, 0, 1):
        torch.testing.assert_close(normalize(x, dim), F.normalize(x, dim=dim))


@pytest.mark.parametrize("length", LENGTHS)
def test_short_vectors_stay_short_and_no_gradient_grows_a_thousandfold(length: float) -> None:
    x, upstream = of_length(length), torch.tensor([[1.0, 2.0, 2.0]], dtype=torch.float64) / 3
    found = normalize(x)
    assert float(found.detach().norm()) == pytest.approx(min(1, length / 1e-3))
    found.backward(upstream)
    assert x.grad is not None
    assert x.grad.norm() <= 1e3 * (1 + 1e-9)


@pytest.mark.parametrize("length", LENGTHS)
def test_of_a_vector_normalised_twice_no_gradient_grows_a_millionfold(length: float) -> None:
    x = of_length(length)
    normalize(normalize(x)).sum().backward()
    assert x.grad is not None
    assert x.grad.norm() <= 1e6 * 3**0.5


@pytest.mark.parametrize("length", [2.0, 1e-2, 1e-4, 0.0])
def test_the_gradient_is_that_of_finite_differences(length: float) -> None:
    assert torch.autograd.gradcheck(normalize, (of_length(length),), eps=1e-7)
