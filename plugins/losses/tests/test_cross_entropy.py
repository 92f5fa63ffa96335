import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.cross_entropy import CrossEntropy
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Shapes, SpecError
from mmlab.testing import check_loss

SHAPES = Shapes({}, 4, ("a", "b", "c"), (6, 3, 0), False, {})
LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0], [0.3, 0.2, 0.1], [2.0, 2.5, 9.0]])
TARGET = [0, 1, 1, -1]


def no_encoder(key: str, x: Tensor) -> Features:
    raise AssertionError("cross_entropy encodes nothing")


def scalars(
    loss: CrossEntropy, logits: Tensor = LOGITS, target: Sequence[int] = TARGET
) -> Mapping[str, Tensor]:
    batch = Batch({}, {}, torch.tensor(target), torch.arange(len(target)), {})
    return loss(Outputs({}, None, logits, None), batch, no_encoder)


def loss_slowly(smoothing: float, weights: Sequence[float]) -> float:
    """Mean over known samples of their cross entropy, weighted by the weight of their labels."""
    total = share = 0.0
    for row, label in zip(LOGITS.double().tolist(), TARGET, strict=True):
        if label < 0:
            continue
        log_sum = math.log(math.fsum(math.exp(x) for x in row))
        truths = [smoothing / 3 + (1 - smoothing) * (c == label) for c in range(3)]
        total += weights[label] * sum(t * (log_sum - x) for t, x in zip(truths, row, strict=True))
        share += weights[label]
    return total / share


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.2}, {"label_weight": "balanced", "label_smoothing": 0.1}]
)
def test_cross_entropy_keeps_the_contract(options: dict[str, Any]) -> None:
    check_loss(CrossEntropy, **options)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("balance", ["equal", "balanced"])
def test_cross_entropy_is_what_a_slow_loop_gives(smoothing: float, balance: Any) -> None:
    loss = CrossEntropy(SHAPES, label_smoothing=smoothing, label_weight=balance)
    weights = [1.0, 1.0, 1.0] if balance == "equal" else [0.5, 1.0, 0.0]
    found = float(scalars(loss.double(), LOGITS.double())["loss"])
    assert found == pytest.approx(loss_slowly(smoothing, weights), rel=1e-9)


@pytest.mark.parametrize(("smoothing", "weight"), [(0.0, 1.0), (0.3, 1.0), (0.0, 5.0)])
def test_it_is_the_library_s_unless_smoothing_and_weights_meet(
    smoothing: float, weight: float
) -> None:
    target = [0, 1, 1, 2]
    weights = torch.tensor([1.0, weight, 1.0])
    expected = F.cross_entropy(LOGITS, torch.tensor(target), weights, label_smoothing=smoothing)
    loss = CrossEntropy(SHAPES, label_smoothing=smoothing, label_weight={"b": weight})
    torch.testing.assert_close(scalars(loss, target=target)["loss"], expected)


def test_a_weight_is_one_of_samples_so_that_equal_logits_cost_the_log_of_the_labels() -> None:
    """The library weighs the smoothed truth's parts, each by its own label: no mean of samples."""
    loss = CrossEntropy(SHAPES, label_smoothing=0.3, label_weight={"b": 5.0})
    found = scalars(loss, torch.zeros(4, 3), [0, 0, 1, 2])["loss"]
    assert float(found) == pytest.approx(math.log(3))
    theirs = F.cross_entropy(
        torch.zeros(4, 3),
        torch.tensor([0, 0, 1, 2]),
        torch.tensor([1.0, 5.0, 1.0]),
        label_smoothing=0.3,
    )
    assert float(theirs) == pytest.approx(math.log(3) * (0.7 + 0.3 * (7 / 3) / 2))


def test_gradients_equal_finite_differences() -> None:
    loss = CrossEntropy(SHAPES, label_smoothing=0.1, label_weight="balanced").double()
    logits = LOGITS.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: scalars(loss, x)["loss"], (logits,))


def test_samples_with_unknown_labels_have_no_say() -> None:
    loss = CrossEntropy(SHAPES)
    known, found = scalars(loss, LOGITS[:3], TARGET[:3]), scalars(loss)
    assert found.keys() == known.keys()
    for name, x in found.items():
        torch.testing.assert_close(x, known[name])


def test_without_any_known_label_the_loss_and_its_gradient_are_zero() -> None:
    logits = LOGITS.clone().requires_grad_()
    found = scalars(CrossEntropy(SHAPES), logits, [-1] * 4)
    found["loss"].backward()
    assert float(found["loss"].detach()) == 0
    assert float(found["accuracy"]) == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_equal_logits_cost_the_log_of_the_number_of_labels() -> None:
    found = scalars(CrossEntropy(SHAPES), torch.zeros(4, 3))
    assert float(found["loss"]) == pytest.approx(math.log(3))


def test_accuracy_counts_known_samples_alone() -> None:
    assert float(scalars(CrossEntropy(SHAPES))["accuracy"]) == pytest.approx(2 / 3)


def test_half_precision_logits_are_added_up_in_float32() -> None:
    assert scalars(CrossEntropy(SHAPES), LOGITS.bfloat16())["loss"].dtype == torch.float32


def test_weights_of_labels_are_no_part_of_a_checkpoint() -> None:
    assert not CrossEntropy(SHAPES, label_weight="balanced").state_dict()


def test_several_labels_per_sample_are_refused() -> None:
    with pytest.raises(SpecError, match="found: a multi-label dataset"):
        CrossEntropy(replace(SHAPES, is_multi_label=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_balanced_labels_pull_alike_however_many_samples_they_have(smoothing: float) -> None:
    """At equal logits, the gradients of all samples of one label add up to as much as another's."""
    shapes = replace(SHAPES, label_counts=(6, 3, 3))
    loss = CrossEntropy(shapes, label_smoothing=smoothing, label_weight="balanced").double()
    logits = torch.zeros(12, 3, dtype=torch.float64, requires_grad=True)
    scalars(loss, logits, [0] * 6 + [1] * 3 + [2] * 3)["loss"].backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(3, dtype=torch.float64))
    pulls = [float(part.abs().sum()) for part in logits.grad.split([6, 3, 3])]
    assert pulls == pytest.approx([pulls[0]] * 3)


def test_weights_of_labels_go_by_name_and_the_others_weigh_one() -> None:
    loss = CrossEntropy(SHAPES, label_weight={"b": 3.0})
    found = float(scalars(loss.double(), LOGITS.double())["loss"])
    assert found == pytest.approx(loss_slowly(0.0, [1.0, 3.0, 1.0]), rel=1e-9)


def test_a_weight_of_no_label_is_refused() -> None:
    with pytest.raises(SpecError, match="no label of this name"):
        CrossEntropy(SHAPES, label_weight={"nobody": 2.0})
