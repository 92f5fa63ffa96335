"""Continuous weights of answers: the loss that CWCL has for one direction."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.info_nce import InfoNCE
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes, SpecError
from mmlab.testing import check_loss

SIZE = 6


class Given:
    """Scores of pairs, some of which may be absent."""

    def __init__(self, forward: Tensor, backward: Tensor, present: Tensor) -> None:
        self.scores, self.present, self.size = Scores(forward, backward), present, len(forward)
        self.sides: dict[str, Features] = dict.fromkeys("uv", Features.of(forward))

    def block(self, start: int, stop: int) -> Scores:
        return Scores(self.scores.forward[start:stop], self.scores.backward[start:stop])


def numbers(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, dtype=torch.float64, generator=generator) * 2 - 1


FORWARD, BACKWARD = 5 * numbers(SIZE, SIZE, seed=0), 5 * numbers(SIZE, SIZE, seed=1)
FEATURES = {"u": numbers(SIZE, 3, seed=2), "v": numbers(SIZE, 4, seed=3)}
WHOLE = torch.ones(SIZE, dtype=torch.bool)


def loss_of(
    shapes: Shapes,
    features: dict[str, Tensor] | None = None,
    present: Tensor = WHOLE,
    scores: tuple[Tensor, Tensor] = (FORWARD, BACKWARD),
    **options: Any,
) -> Tensor:
    loss = InfoNCE(shapes, temperature=1.0, **options).double()
    made = {key: Features.of(x) for key, x in (features or FEATURES).items()}
    made = {key: replace(x, present=present) for key, x in made.items()}
    batch = Batch({}, {}, torch.zeros(SIZE), torch.arange(SIZE), {})
    outputs = Outputs(made, None, None, Given(*scores, present))  # type: ignore[arg-type]
    value: Tensor = loss(outputs, batch, lambda key, x: made[key])["loss"]
    return value


def direction_slowly(scores: Tensor, x: Tensor | None, smoothing: float = 0.0) -> float:
    """Mean over questions of what is true of each answer times -log of its probability."""
    total, size = 0.0, len(scores)
    for i in range(size):
        log_sum = math.log(math.fsum(math.exp(float(scores[i, j])) for j in range(size)))
        if x is None:
            weights = [float(i == j) for j in range(size)]
        else:
            cosines = [float(F.cosine_similarity(x[i], x[j], dim=0)) for j in range(size)]
            weights = [cosine / 2 + 0.5 for cosine in cosines]
        for j in range(size):
            truth = (1 - smoothing) * weights[j] / math.fsum(weights) + smoothing / size
            total += truth * (log_sum - float(scores[i, j])) / size
    return total


@pytest.mark.parametrize("chunk", [None, 1, 4])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("alike", ["u", "v"])
def test_truth_is_spread_by_the_similarity_of_the_asking_input(
    shapes: Shapes, alike: str, smoothing: float, chunk: int | None
) -> None:
    forward = direction_slowly(FORWARD, FEATURES["u"] if alike == "u" else None, smoothing)
    backward = direction_slowly(BACKWARD.T, FEATURES["v"] if alike == "v" else None, smoothing)
    found = loss_of(shapes, alike=alike, label_smoothing=smoothing, chunk=chunk)
    assert float(found.detach()) == pytest.approx((forward + backward) / 2, rel=1e-12)


@pytest.mark.parametrize("alike", ["image", "text"])
def test_info_nce_keeps_the_contract_with_weights(alike: str) -> None:
    check_loss(InfoNCE, alike=alike, stops_gradient=True)


def test_of_opposite_samples_it_is_the_plain_loss(shapes: Shapes) -> None:
    """Two samples whose features point apart are no right answers for each other at all."""
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(SIZE // 2)
    features, two = {**FEATURES, "u": signs[:, None]}, torch.arange(SIZE) < 2
    found, plain = loss_of(shapes, features, two, alike="u"), loss_of(shapes, features, two)
    torch.testing.assert_close(found, plain)


def test_of_equal_samples_truth_is_spread_evenly_as_over_equal_labels(shapes: Shapes) -> None:
    features = {**FEATURES, "u": torch.ones(SIZE, 2, dtype=torch.float64)}
    found = loss_of(shapes, features, scores=(FORWARD, FORWARD), alike="u")
    rows = FORWARD.log_softmax(1).mean()
    columns = FORWARD.log_softmax(0).diagonal().mean()
    torch.testing.assert_close(found, -(rows + columns) / 2, rtol=1e-6, atol=0)


def test_the_features_that_are_compared_get_no_gradient(shapes: Shapes) -> None:
    features = {key: x.clone().requires_grad_() for key, x in FEATURES.items()}
    forward = FORWARD.clone().requires_grad_()
    loss_of(shapes, features, scores=(forward, BACKWARD), alike="u").backward()
    assert features["u"].grad is None
    assert forward.grad is not None
    assert (forward.grad != 0).all()


def test_pairs_that_are_not_whole_are_as_if_they_were_not_there(shapes: Shapes) -> None:
    present = torch.tensor([True, True, False, True, False, True])
    kept = present.nonzero().flatten()
    features = {
        key: x.index_fill(0, (~present).nonzero()[:, 0], math.nan) for key, x in FEATURES.items()
    }
    found = loss_of(shapes, features, present, alike="v")
    forward = direction_slowly(FORWARD[kept][:, kept], None)
    backward = direction_slowly(BACKWARD[kept][:, kept].T, FEATURES["v"][kept])
    assert float(found.detach()) == pytest.approx((forward + backward) / 2, rel=1e-12)


def test_what_asks_no_question_or_is_said_twice_is_refused(shapes: Shapes) -> None:
    with pytest.raises(SpecError, match='found: "audio"\n  allowed: "u", "v"'):
        InfoNCE(shapes, alike="audio")
    with pytest.raises(SpecError, match='found: alike "u" and positives "labels"'):
        InfoNCE(shapes, alike="u", positives="labels")
    third = replace(shapes, dims={**shapes.dims, "audio": 3})
    features = {**FEATURES, "audio": FEATURES["u"]}
    with pytest.raises(SpecError, match=r'only an input of the fusion[\s\S]*found: "audio"'):
        loss_of(third, features, alike="audio")
