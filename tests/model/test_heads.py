"""Heads against formulas written out, and what only a hidden layer can learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlab.errors import SpecError
from mmlab.model.heads import MLP, Activation, Identity, Linear, Ordinal, Standardized


def test_linear_is_a_matrix_and_a_vector() -> None:
    head, fused = Linear(3, 2), torch.randn(5, 3)
    expected = torch.stack([head.map.weight @ row + head.map.bias for row in fused])
    torch.testing.assert_close(head(fused), expected)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: x.clamp(min=0)),
        ("gelu", lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
        ("tanh", torch.tanh),
    ],
)
def test_mlp_is_its_maps_with_an_activation_between(
    name: Activation, function: Callable[[Tensor], Tensor]
) -> None:
    head = MLP(3, 2, hidden=(7, 4), activation=name).double()
    x = fused = torch.randn(5, 3, dtype=torch.float64)
    maps = [module for module in head.modules() if isinstance(module, nn.Linear)]
    for layer in maps[:-1]:
        x = function(x @ layer.weight.T + layer.bias)
    torch.testing.assert_close(head(fused), x @ maps[-1].weight.T + maps[-1].bias)


def test_mlp_has_a_layer_for_every_width() -> None:
    shapes = [tuple(p.shape) for p in MLP(3, 2, hidden=(7, 4)).parameters() if p.ndim == 2]
    assert shapes == [(7, 3), (4, 7), (2, 4)]


def test_dropout_leaves_out_a_share_in_training_alone() -> None:
    head = MLP(4, 1, hidden=(1000,), dropout=0.25)
    kept = [float((head.train().hidden(torch.ones(1, 4)) != 0).float().mean()) for _ in range(20)]
    alive = float((head.eval().hidden(torch.ones(1, 4)) != 0).float().mean())
    # 20,000 draws: a standard error of 0.003 of the share.
    assert sum(kept) / len(kept) == pytest.approx(0.75 * alive, abs=0.02)
    torch.testing.assert_close(head(torch.ones(1, 4)), head(torch.ones(1, 4)))


@pytest.mark.parametrize(("head", "learns"), [(Linear, False), (MLP, True)])
def test_only_a_hidden_layer_learns_the_exclusive_or(
    head: Callable[[int, int], nn.Module], learns: bool
) -> None:
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = torch.tensor([0, 1, 1, 0])
    model = head(2, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    is_right = bool((model(x).argmax(1) == y).all())
    assert is_right == learns


def test_identity_passes_a_prediction_on() -> None:
    x = torch.randn(4, 3)
    assert torch.equal(Identity(3, 3)(x), x)


def test_identity_refuses_a_vector_that_is_no_prediction() -> None:
    with pytest.raises(SpecError, match="a vector of width 8 for 3 outputs"):
        Identity(8, 3)


def test_ordinal_gives_the_probabilities_of_proportional_odds() -> None:
    head, fused = Ordinal(3, 4).double(), torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        head.steps.copy_(torch.tensor([0.3, -1.0]))
    found = head(fused).softmax(1)
    thresholds = [head.first.item()]
    for step in head.steps.tolist():
        thresholds.append(thresholds[-1] + math.log1p(math.exp(step)))
    for row, x in zip(found.tolist(), fused, strict=True):
        score = (head.map.weight[0] @ x).item()
        below = [0.0, *(1 / (1 + math.exp(score - t)) for t in thresholds), 1.0]
        assert row == pytest.approx([b - a for a, b in pairwise(below)], rel=1e-9)
    torch.testing.assert_close(
        head(fused).logsumexp(1), torch.zeros(5).double(), atol=1e-12, rtol=0
    )


def test_ordinal_starts_with_equal_chances_and_two_labels_are_a_logistic_regression() -> None:
    zero = torch.zeros(1, 3)
    torch.testing.assert_close(Ordinal(3, 5)(zero).exp(), torch.full((1, 5), 0.2))
    head, fused = Ordinal(3, 2), torch.randn(4, 3)
    odds = head(fused) @ torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(odds, (head.map(fused) - head.first).squeeze(1))


def test_ordinal_has_exact_gradients_and_stays_finite_far_out() -> None:
    head = Ordinal(2, 4).double()
    fused = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, (fused,))
    far = torch.full((1, 2), 1e4, dtype=torch.float64, requires_grad=True)
    head(far).sum().backward()
    assert head(far).isfinite().all()
    assert far.grad is not None
    assert far.grad.isfinite().all()


def test_ordinal_refuses_a_single_output() -> None:
    with pytest.raises(SpecError, match="found: 1 output"):
        Ordinal(3, 1)


def test_a_standardized_head_speaks_in_the_targets_units_and_keeps_them_with_its_weights() -> None:
    head = Standardized(Linear(3, 2), (5000.0, 0.1), (100.0, 0.01))
    fused = torch.randn(4, 3)
    expected = head.head(fused) * torch.tensor([100.0, 0.01]) + torch.tensor([5000.0, 0.1])
    torch.testing.assert_close(head(fused), expected)
    other = Standardized(Linear(3, 2), (0.0, 0.0), (1.0, 1.0))
    other.load_state_dict(head.state_dict())
    torch.testing.assert_close(other(fused), expected)
