import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.distillation import Distillation
from mmlab_losses.similarity_regularisation import SimilarityRegularisation
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Scores, SpecError
from mmlab.testing import check_loss
from mmlab.testing.passes import SHAPES

ONE_SPACE = replace(SHAPES, dims={"image": 8, "text": 8})


def vectors(seed: int, width: int = 3, size: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, width, dtype=torch.float64, generator=generator)


class Pairs:
    """Given scores, and sides whose vectors are given."""

    def __init__(
        self,
        scores: Tensor,
        backward: Tensor | None = None,
        sides: Sequence[Tensor] = (),
        present: Sequence[bool] | None = None,
    ) -> None:
        self.size = len(scores)
        self.present = torch.tensor(present or [True] * len(scores))
        self.scores = Scores(scores, scores if backward is None else backward)
        self.sides = {str(i): Features.of(side) for i, side in enumerate(sides)}

    def block(self, start: int, stop: int) -> Scores:
        return Scores(self.scores.forward[start:stop], self.scores.backward[start:stop])


def loss_of(loss: Any, pairs: Pairs, **teachers: Tensor) -> Tensor:
    features = {key: Features.of(x) for key, x in teachers.items()}
    batch = Batch({}, {}, torch.zeros(pairs.size), torch.arange(pairs.size), {})
    outputs = Outputs(features, None, None, pairs)  # type: ignore[arg-type]
    found: Tensor = loss(outputs, batch, lambda key, x: features[key])["loss"]
    return found


def divergence(teacher: Sequence[float], student: Sequence[float]) -> float:
    p, q = (
        [math.exp(x) / math.fsum(map(math.exp, row)) for x in row] for row in (teacher, student)
    )
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("teachers", [["image"], ["image", "text"]])
def test_distillation_keeps_the_contract(teachers: list[str]) -> None:
    check_loss(Distillation, shapes=ONE_SPACE, stops_gradient=True, teachers=teachers)


def test_distillation_is_what_slow_loops_give() -> None:
    options = {"temperature": 0.5, "teacher_temperature": 0.25}
    loss = Distillation(ONE_SPACE, teachers=["image", "text"], **options)
    forward, backward, u, v = vectors(0, 5), vectors(1, 5), vectors(2), vectors(3)
    cosines = F.cosine_similarity(u[:, None], v[None], dim=-1)
    rows = [
        divergence(*pair)
        for pair in zip((4 * cosines).tolist(), (2 * forward).tolist(), strict=True)
    ]
    columns = [
        divergence(*pair)
        for pair in zip((4 * cosines.T).tolist(), (2 * backward.T).tolist(), strict=True)
    ]
    found = float(loss_of(loss, Pairs(forward, backward), image=u, text=v))
    assert found == pytest.approx(math.fsum(rows + columns) / 10, rel=1e-12)


def test_gradients_of_scores_equal_finite_differences() -> None:
    loss, u = Distillation(ONE_SPACE, teachers=["image"], temperature=0.5), vectors(2)
    scores = vectors(0, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of(loss, Pairs(x), image=u), (scores,))


def test_a_student_like_its_teacher_costs_nothing() -> None:
    u, v = vectors(2), vectors(3)
    cosines = F.cosine_similarity(u[:, None], v[None], dim=-1).requires_grad_()
    found = loss_of(
        Distillation(ONE_SPACE, teachers=["image", "text"]), Pairs(cosines), image=u, text=v
    )
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-12)
    assert cosines.grad is not None
    assert cosines.grad.abs().max() < 1e-12


def test_one_teacher_makes_samples_that_it_finds_alike_soft_targets() -> None:
    """Samples 0 and 1 are the same to it: the student should find them alike."""
    u = torch.eye(3)[[0, 0, 1, 2]]
    alike, apart = torch.eye(4), torch.eye(4)
    alike[0, 1] = alike[1, 0] = 1.0
    loss = Distillation(ONE_SPACE, teachers=["image"])
    assert loss_of(loss, Pairs(alike), image=u) < loss_of(loss, Pairs(apart), image=u) / 100


def test_a_teacher_gets_no_gradient() -> None:
    u = vectors(2).requires_grad_()
    scores = vectors(0, 5).requires_grad_()
    loss_of(Distillation(ONE_SPACE, teachers=["image"]), Pairs(scores), image=u).backward()
    assert u.grad is None


def test_teachers_of_two_widths_are_refused() -> None:
    with pytest.raises(SpecError, match="widths 8 and 7"):
        Distillation(SHAPES, teachers=["image", "text"])
    with pytest.raises(SpecError, match='found: "clip"'):
        Distillation(SHAPES, teachers=["clip"])


def test_similarity_regularisation_keeps_the_contract() -> None:
    check_loss(SimilarityRegularisation)


def test_similarity_regularisation_is_what_a_slow_loop_gives() -> None:
    u, v = vectors(0), vectors(1, 4)
    total = 0.0
    for i in range(5):
        for j in range(5):
            if i != j:
                cosines = (float(F.cosine_similarity(x[i], x[j], dim=0)) for x in (u, v))
                total += (next(cosines) - next(cosines)) ** 2
    found = float(loss_of(SimilarityRegularisation(), Pairs(torch.eye(5), sides=[u, v])))
    assert found == pytest.approx(total / 20, rel=1e-12)


def test_modalities_with_equal_similarities_cost_nothing() -> None:
    """A turned copy has the same cosines."""
    u = vectors(0)
    turn = torch.linalg.qr(vectors(1, 3, 3)).Q
    found = loss_of(SimilarityRegularisation(), Pairs(torch.eye(5), sides=[u, 2 * u @ turn]))
    assert float(found) == pytest.approx(0, abs=1e-24)


def test_absent_pairs_are_not_compared() -> None:
    u, v = vectors(0), vectors(1)
    loss, present = SimilarityRegularisation(), [True, True, False, True, True]
    kept = torch.tensor(present)
    found = loss_of(loss, Pairs(torch.eye(5), sides=[u, v], present=present))
    torch.testing.assert_close(found, loss_of(loss, Pairs(torch.eye(4), sides=[u[kept], v[kept]])))


@pytest.mark.parametrize(
    "loss", [SimilarityRegularisation(), Distillation(ONE_SPACE, teachers=["image"])]
)
def test_a_batch_of_one_is_refused(loss: Any) -> None:
    one = torch.ones(1, 3)
    with pytest.raises(SpecError, match="found: a batch of 1"):
        loss_of(loss, Pairs(torch.ones(1, 1), sides=[one, one]), image=one)
