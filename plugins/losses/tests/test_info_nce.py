import math
from collections.abc import Callable

import pytest
import torch
from mmlab_losses.info_nce import InfoNCE
from torch import Tensor

from mmlab.plugin import Shapes, SpecError
from mmlab.testing import check_loss

Loss = Callable[..., Tensor]


def loss_slowly(scale: float, forward: list[list[float]], backward: list[list[float]]) -> float:
    size = len(forward)
    total = 0.0
    for i in range(size):
        row = math.fsum(math.exp(scale * forward[i][j]) for j in range(size))
        column = math.fsum(math.exp(scale * backward[j][i]) for j in range(size))
        total += math.log(row) - scale * forward[i][i]
        total += math.log(column) - scale * backward[i][i]
    return total / (2 * size)


@pytest.mark.parametrize("temperature", [0.07, 0.01, 1.0])
def test_info_nce_keeps_the_contract(temperature: float) -> None:
    check_loss(InfoNCE, temperature=temperature)


def test_info_nce_is_what_a_slow_loop_gives(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, forward, backward = InfoNCE(shapes).double(), random_scores(5), random_scores(5, seed=1)
    scale = float(loss.scale.log.detach().exp())
    expected = loss_slowly(scale, forward.tolist(), backward.tolist())
    assert float(loss_of(loss, forward, backward).detach()) == pytest.approx(expected, rel=1e-12)


def test_gradients_equal_finite_differences_for_both_directions(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss = InfoNCE(shapes, temperature=0.5).double()
    forward = random_scores(4).requires_grad_()
    backward = random_scores(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, b: loss_of(loss, f, b), (forward, backward))


@pytest.mark.parametrize("size", [2, 7])
def test_pairs_that_all_look_alike_cost_the_log_of_their_number(
    size: int, shapes: Shapes, loss_of: Loss
) -> None:
    found = loss_of(InfoNCE(shapes), torch.full((size, size), 0.3))
    assert float(found.detach()) == pytest.approx(math.log(size), rel=1e-6)


@pytest.mark.parametrize("size", [2, 7])
def test_orthogonal_pairs_have_a_closed_form(size: int, shapes: Shapes, loss_of: Loss) -> None:
    loss = InfoNCE(shapes, temperature=0.5).double()
    expected = math.log(math.exp(2) + size - 1) - 2
    found = loss_of(loss, torch.eye(size, dtype=torch.float64))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-6)


def test_it_is_the_decoupled_loss_through_a_softplus(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, scores = InfoNCE(shapes, temperature=0.2).double(), random_scores(6)
    logits = 5 * scores
    others = logits.masked_fill(torch.eye(6, dtype=torch.bool), -math.inf)
    decoupled = torch.cat([others.logsumexp(1), others.logsumexp(0)]) - logits.diagonal().repeat(2)
    expected = torch.log1p(decoupled.exp()).mean()
    assert float(loss_of(loss, scores).detach()) == pytest.approx(float(expected), rel=1e-6)


def test_swapping_the_inputs_changes_nothing(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, forward, backward = InfoNCE(shapes), random_scores(5), random_scores(5, seed=1)
    torch.testing.assert_close(
        loss_of(loss, forward, backward), loss_of(loss, backward.T, forward.T)
    )


def test_pairs_with_an_absent_side_are_as_if_they_were_not_there(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, scores = InfoNCE(shapes).double(), random_scores(5).requires_grad_()
    present = [[True, False, True, True, True], [True, True, True, False, True]]
    found = loss_of(loss, scores, present=present)
    kept = torch.tensor([0, 2, 4])
    torch.testing.assert_close(found, loss_of(loss, scores[kept][:, kept]))
    found.backward()
    assert scores.grad is not None
    assert scores.grad[[1, 3]].abs().max() == 0
    assert scores.grad[:, [1, 3]].abs().max() == 0


def test_without_any_pair_the_loss_and_its_gradient_are_zero(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, scores = InfoNCE(shapes), random_scores(3).requires_grad_()
    found = loss_of(loss, scores, present=[[False] * 3, [True] * 3])
    found.backward()
    assert float(found.detach()) == 0
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0


def test_aligned_pairs_at_the_largest_scale_give_no_nan(shapes: Shapes, loss_of: Loss) -> None:
    loss = InfoNCE(shapes, temperature=0.01)
    scores = torch.eye(64, requires_grad=True)
    found = loss_of(loss, scores)
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-6)
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_a_batch_of_one_is_refused(shapes: Shapes, loss_of: Loss) -> None:
    with pytest.raises(SpecError, match=r"found: a batch of 1[\s\S]*next: raise train.batch_size"):
        loss_of(InfoNCE(shapes), torch.ones(1, 1))


@pytest.mark.parametrize(("pushed", "kept"), [(9.0, math.log(100)), (-1.0, 0.0), (3.0, 3.0)])
def test_the_scale_is_clamped_after_a_step(pushed: float, kept: float, shapes: Shapes) -> None:
    loss = InfoNCE(shapes)
    loss.scale.log.data.fill_(pushed)
    loss.after_step()
    assert float(loss.scale.log.detach()) == pytest.approx(kept)


def test_the_scale_starts_where_clip_starts(shapes: Shapes) -> None:
    loss = InfoNCE(shapes)
    assert float(loss.scale.log.detach()) == pytest.approx(2.6593, abs=1e-4)
    assert loss.calibration().scale == pytest.approx(1 / 0.07)


def test_weight_decay_does_not_reach_the_scale(shapes: Shapes) -> None:
    assert InfoNCE(shapes).scale.log.ndim == 0


def test_half_precision_scores_are_added_up_in_float32(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    found = loss_of(InfoNCE(shapes), random_scores(4).bfloat16())
    assert found.dtype == torch.float32
