import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from mmlab_losses.decoupled import Decoupled
from mmlab_losses.info_nce import InfoNCE
from mmlab_losses.positives import check_positives, number_rows
from mmlab_losses.sigmoid import Sigmoid
from torch import Tensor

from mmlab.plugin import Shapes, SpecError
from mmlab.testing import check_loss

Loss = Callable[..., Tensor]
TEXTS = torch.tensor([[3, 4, 0], [3, 5, 0], [3, 4, 0], [4, 3, 0], [3, 5, 0]])


def test_equal_rows_get_equal_numbers_and_others_do_not() -> None:
    found = number_rows(TEXTS).tolist()
    assert [found.index(number) for number in found] == [0, 1, 0, 3, 1]


def test_rows_are_numbered_as_the_library_numbers_them() -> None:
    rows = torch.randint(0, 3, (200, 4), generator=torch.Generator().manual_seed(0))
    expected = torch.unique(rows, dim=0, return_inverse=True)[1]
    assert torch.equal(number_rows(rows), expected)


@pytest.mark.parametrize("positives", ["labels", "text"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_info_nce_keeps_the_contract_with_soft_targets(positives: str, smoothing: float) -> None:
    check_loss(InfoNCE, positives=positives, label_smoothing=smoothing)


def soft_cross_entropy(scores: Tensor, groups: Tensor, smoothing: float) -> float:
    """By the definition: truth spread over equal samples, and some of it over all."""
    total = 0.0
    for direction in (scores.tolist(), scores.T.tolist()):
        for i, row in enumerate(direction):
            log_sum = math.log(math.fsum(math.exp(score) for score in row))
            rights = sum(bool(group == groups[i]) for group in groups)
            for j, score in enumerate(row):
                truth = (1 - smoothing) * bool(groups[j] == groups[i]) / rights
                total += (truth + smoothing / len(row)) * (log_sum - score)
    return total / (2 * len(scores))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_repeated_texts_are_soft_targets(
    shapes: Shapes, loss_of: Loss, random_scores: Loss, smoothing: float
) -> None:
    options = {"temperature": 1.0, "label_smoothing": smoothing}
    loss = InfoNCE(shapes, positives="v", **options).double()
    scores = random_scores(5)
    expected = soft_cross_entropy(scores, number_rows(TEXTS), smoothing)
    found = loss_of(loss, scores, texts=TEXTS)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", [InfoNCE, Decoupled, Sigmoid])
def test_where_nothing_repeats_positives_change_nothing(
    shapes: Shapes, loss_of: Loss, random_scores: Loss, loss: type[Any]
) -> None:
    scores, texts = random_scores(5), torch.arange(5).reshape(5, 1)
    plain = loss_of(loss(shapes).double(), scores)
    grouped = loss_of(loss(shapes, positives="v").double(), scores, texts=texts)
    unknown = loss_of(loss(shapes, positives="labels").double(), scores, target=[-1] * 5)
    torch.testing.assert_close(grouped, plain)
    torch.testing.assert_close(unknown, plain)


def test_an_equal_text_is_no_wrong_answer(shapes: Shapes, loss_of: Loss) -> None:
    scores = torch.eye(5)
    scores[0, 2] = scores[2, 0] = 1.0
    before = loss_of(Decoupled(shapes, positives="v"), scores, texts=TEXTS)
    scores[0, 2] = scores[2, 0] = 0.5
    assert loss_of(Decoupled(shapes, positives="v"), scores, texts=TEXTS) > before


@pytest.mark.parametrize("positives", ["u", "image"])
def test_only_texts_and_labels_can_be_the_same(shapes: Shapes, positives: str) -> None:
    with pytest.raises(SpecError, match='allowed: "pairs", "labels", "v"'):
        check_positives(positives, shapes)


def test_several_labels_do_not_say_what_is_the_same(shapes: Shapes) -> None:
    with pytest.raises(SpecError, match='allowed: "pairs", "v"'):
        InfoNCE(replace(shapes, is_multi_label=True), positives="labels")
