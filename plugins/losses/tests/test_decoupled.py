import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmlab_losses.decoupled import Decoupled
from mmlab_losses.info_loob import InfoLOOB
from mmlab_losses.info_nce import InfoNCE
from torch import Tensor

from mmlab.plugin import Shapes, SpecError
from mmlab.testing import check_loss

Loss = Callable[..., Tensor]


def loss_slowly(
    scale: float, forward: list[list[float]], backward: list[list[float]], sigma: float | None
) -> float:
    size = len(forward)
    asked = [(forward[i][i], [forward[i][j] for j in range(size) if j != i]) for i in range(size)]
    asking = [
        (backward[i][i], [backward[j][i] for j in range(size) if j != i]) for i in range(size)
    ]
    total = 0.0
    for questions in (asked, asking):
        exponentials = [math.exp(right / sigma) if sigma else 1.0 for right, _ in questions]
        for (right, wrong), exponential in zip(questions, exponentials, strict=True):
            weight = 2 - size * exponential / math.fsum(exponentials)
            log_sum = math.log(math.fsum(math.exp(scale * score) for score in wrong))
            total += log_sum - weight * scale * right
    return total / (2 * size)


@pytest.mark.parametrize("loss", [Decoupled, InfoLOOB])
@pytest.mark.parametrize(
    "options", [{}, {"positives": "labels"}, {"positives": "text", "hardness": 0.5}]
)
def test_the_contract_is_kept(loss: type[Any], options: dict[str, Any]) -> None:
    check_loss(loss, **options)


def test_dclw_keeps_the_contract() -> None:
    check_loss(Decoupled, sigma=0.5)


@pytest.mark.parametrize("sigma", [None, 0.5])
def test_decoupled_is_what_a_slow_loop_gives(
    shapes: Shapes, loss_of: Loss, random_scores: Loss, sigma: float | None
) -> None:
    loss = Decoupled(shapes, temperature=0.2, sigma=sigma).double()
    forward, backward = random_scores(5), random_scores(5, seed=1)
    scale = float(loss.scale.log.detach().exp())
    expected = loss_slowly(scale, forward.tolist(), backward.tolist(), sigma)
    assert float(loss_of(loss, forward, backward).detach()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sigma", [None, 0.5])
def test_gradients_equal_finite_differences(
    shapes: Shapes, loss_of: Loss, random_scores: Loss, sigma: float | None
) -> None:
    loss = Decoupled(shapes, temperature=0.5, sigma=sigma, hardness=0.3).double()
    forward = random_scores(4).requires_grad_()
    backward = random_scores(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, b: loss_of(loss, f, b), (forward, backward))


@pytest.mark.parametrize("hardness", [0.0, 0.7])
def test_info_nce_of_each_question_is_the_softplus_of_the_decoupled_loss(
    shapes: Shapes, loss_of: Loss, random_scores: Loss, hardness: float
) -> None:
    """log(1 + exp(DCL_i)), averaged; here with the wrong answers' weights, too."""
    scores = random_scores(6)
    decoupled = torch.stack(
        [
            _log_wrong(5 * row, i, hardness) - 5 * row[i]
            for direction in (scores, scores.T)
            for i, row in enumerate(direction)
        ]
    )
    options = {"temperature": 0.2, "hardness": hardness}
    for loss, expected in ((Decoupled, decoupled), (InfoNCE, torch.log1p(decoupled.exp()))):
        found = loss_of(loss(shapes, **options).double(), scores).detach()
        torch.testing.assert_close(found, expected.mean(), rtol=1e-6, atol=0)


def _log_wrong(logits: Tensor, own: int, hardness: float) -> Tensor:
    """log sum of w_j exp(S_j) over wrong answers, w_j being exp(h S_j) over its mean."""
    wrong = torch.cat([logits[:own], logits[own + 1 :]])
    weights = (hardness * wrong).exp()
    return (weights / weights.mean() * wrong.exp()).sum().log()


def test_it_may_be_negative(shapes: Shapes, loss_of: Loss) -> None:
    found = loss_of(Decoupled(shapes, temperature=0.01), torch.eye(4))
    assert float(found.detach()) == pytest.approx(math.log(3) - 100, rel=1e-6)


@pytest.mark.parametrize("size", [2, 9])
def test_info_loob_is_decoupled_without_the_log_of_the_number_of_wrong_answers(
    shapes: Shapes, loss_of: Loss, random_scores: Loss, size: int
) -> None:
    scores = random_scores(size)
    expected = loss_of(Decoupled(shapes).double(), scores) - math.log(size - 1)
    torch.testing.assert_close(loss_of(InfoLOOB(shapes).double(), scores), expected)


def test_info_loob_of_pairs_that_all_look_alike_is_zero(shapes: Shapes, loss_of: Loss) -> None:
    found = loss_of(InfoLOOB(shapes), torch.full((7, 7), 0.3))
    assert float(found.detach()) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("loss", [Decoupled, InfoLOOB])
@pytest.mark.parametrize("chunk", [None, 1])
def test_a_batch_of_one_is_refused_and_a_block_of_one_is_not(
    shapes: Shapes, loss_of: Loss, loss: type[Any], chunk: int | None
) -> None:
    with pytest.raises(SpecError, match="compares the samples of a batch with each other"):
        loss_of(loss(shapes, chunk=chunk), torch.ones(1, 1))
    assert loss_of(loss(shapes, chunk=chunk), torch.eye(2)).isfinite()


@pytest.mark.parametrize("loss", [Decoupled, InfoLOOB])
def test_a_question_without_a_wrong_answer_takes_no_part(
    shapes: Shapes, loss_of: Loss, loss: type[Any]
) -> None:
    """One pair is left of three, or all samples are right answers for each other."""
    scores = torch.rand(3, 3, requires_grad=True)
    alone = loss_of(loss(shapes), scores, present=[[True, False, False], [True] * 3])
    same = loss_of(loss(shapes, positives="labels"), scores, target=[1, 1, 1])
    (alone + same).backward()
    assert float(alone.detach()) == float(same.detach()) == 0
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0
