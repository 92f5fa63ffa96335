import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from mmlab_losses.info_nce import InfoNCE
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Scores, SpecError
from mmlab.testing import check_loss


@dataclass(frozen=True)
class Given:
    """A similarity whose scores are given."""

    scores: Scores
    present: Tensor

    @property
    def size(self) -> int:
        return len(self.scores.forward)

    def dense(self) -> Scores:
        return self.scores

    def block(self, start: int, stop: int) -> Scores:
        return Scores(self.scores.forward[start:stop], self.scores.backward[start:stop])


def loss_of(
    loss: InfoNCE,
    forward: Tensor,
    backward: Tensor | None = None,
    present: Sequence[Sequence[bool]] | None = None,
) -> Tensor:
    """The loss of given scores; `present` says of two encoders which samples they have."""
    scores = Scores(forward, forward if backward is None else backward)
    size = len(forward)
    marks = torch.tensor(present if present else [[True] * size] * 2)
    none = forward.new_zeros(size, 1)
    features = {key: Features(none, None, None, marks[i]) for i, key in enumerate("uv")}
    batch = Batch({}, {}, torch.zeros(size), torch.arange(size), {})
    outputs = Outputs(features, None, None, Given(scores, marks.all(dim=0)))
    return loss(outputs, batch, lambda key, x: features[key])["loss"]


def random_scores(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(size, size, dtype=torch.float64, generator=generator) * 2 - 1


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


def test_info_nce_is_what_a_slow_loop_gives() -> None:
    loss, forward, backward = InfoNCE().double(), random_scores(5), random_scores(5, seed=1)
    scale = float(loss.log_scale.detach().exp())
    expected = loss_slowly(scale, forward.tolist(), backward.tolist())
    assert float(loss_of(loss, forward, backward).detach()) == pytest.approx(expected, rel=1e-12)


def test_gradients_equal_finite_differences_for_both_directions() -> None:
    loss = InfoNCE(temperature=0.5).double()
    forward = random_scores(4).requires_grad_()
    backward = random_scores(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, b: loss_of(loss, f, b), (forward, backward))


@pytest.mark.parametrize("size", [2, 7])
def test_pairs_that_all_look_alike_cost_the_log_of_their_number(size: int) -> None:
    found = loss_of(InfoNCE(), torch.full((size, size), 0.3))
    assert float(found.detach()) == pytest.approx(math.log(size), rel=1e-6)


@pytest.mark.parametrize("size", [2, 7])
def test_orthogonal_pairs_have_a_closed_form(size: int) -> None:
    loss = InfoNCE(temperature=0.5).double()
    expected = math.log(math.exp(2) + size - 1) - 2
    found = loss_of(loss, torch.eye(size, dtype=torch.float64))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-6)


def test_it_is_the_decoupled_loss_through_a_softplus() -> None:
    loss, scores = InfoNCE(temperature=0.2).double(), random_scores(6)
    logits = 5 * scores
    others = logits.masked_fill(torch.eye(6, dtype=torch.bool), -math.inf)
    decoupled = torch.cat([others.logsumexp(1), others.logsumexp(0)]) - logits.diagonal().repeat(2)
    expected = torch.log1p(decoupled.exp()).mean()
    assert float(loss_of(loss, scores).detach()) == pytest.approx(float(expected), rel=1e-6)


def test_swapping_the_inputs_changes_nothing() -> None:
    loss, forward, backward = InfoNCE(), random_scores(5), random_scores(5, seed=1)
    torch.testing.assert_close(
        loss_of(loss, forward, backward), loss_of(loss, backward.T, forward.T)
    )


def test_pairs_with_an_absent_side_are_as_if_they_were_not_there() -> None:
    loss, scores = InfoNCE().double(), random_scores(5).requires_grad_()
    present = [[True, False, True, True, True], [True, True, True, False, True]]
    found = loss_of(loss, scores, present=present)
    kept = torch.tensor([0, 2, 4])
    torch.testing.assert_close(found, loss_of(loss, scores[kept][:, kept]))
    found.backward()
    assert scores.grad is not None
    assert scores.grad[[1, 3]].abs().max() == 0
    assert scores.grad[:, [1, 3]].abs().max() == 0


def test_without_any_pair_the_loss_and_its_gradient_are_zero() -> None:
    loss, scores = InfoNCE(), random_scores(3).requires_grad_()
    found = loss_of(loss, scores, present=[[False] * 3, [True] * 3])
    found.backward()
    assert float(found.detach()) == 0
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0


def test_aligned_pairs_at_the_largest_scale_give_no_nan() -> None:
    loss = InfoNCE(temperature=0.01)
    scores = torch.eye(64, requires_grad=True)
    found = loss_of(loss, scores)
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-6)
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(SpecError, match=r"found: a batch of 1[\s\S]*next: raise train.batch_size"):
        loss_of(InfoNCE(), torch.ones(1, 1))


@pytest.mark.parametrize(("pushed", "kept"), [(9.0, math.log(100)), (-1.0, 0.0), (3.0, 3.0)])
def test_the_scale_is_clamped_after_a_step(pushed: float, kept: float) -> None:
    loss = InfoNCE()
    loss.log_scale.data.fill_(pushed)
    loss.after_step()
    assert float(loss.log_scale.detach()) == pytest.approx(kept)


def test_the_scale_starts_where_clip_starts() -> None:
    loss = InfoNCE()
    assert float(loss.log_scale.detach()) == pytest.approx(2.6593, abs=1e-4)
    assert loss.calibration().scale == pytest.approx(1 / 0.07)


def test_weight_decay_does_not_reach_the_scale() -> None:
    assert InfoNCE().log_scale.ndim == 0


def test_half_precision_scores_are_added_up_in_float32() -> None:
    found = loss_of(InfoNCE(), random_scores(4).bfloat16())
    assert found.dtype == torch.float32
