"""Confusions and calibration of ranked labels, against scikit-learn and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from mmlab.evaluate import rank_labels as ranking_of_labels
from mmlab.evaluate.metrics import (
    calibration_error,
    count_confusions,
    measure,
    measure_labels,
    measure_reliability,
)
from mmlab.evaluate.rank_labels import rank_labels
from mmlab.evaluate.ranked import LabelScores, RankedLabels, TrueLabels
from mmlab.plugin import Calibration

SOFTMAX = Calibration(3.0)


def rank(scores: torch.Tensor, truths: TrueLabels, k: int = 5, **blocks: object) -> RankedLabels:
    labels = LabelScores(lambda rows: scores[rows], scores.shape[1], scores.shape[1], SOFTMAX)
    return rank_labels(labels, truths, k, "test")


def random_scores(count: int, labels: int, values: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(values, (count, labels), generator=generator) / values


def random_truths(count: int, labels: int, most: int, seed: int = 0) -> TrueLabels:
    random = np.random.default_rng(seed)
    counts = random.integers(1, most + 1, count)
    return [tuple(sorted(random.permutation(labels)[:own].tolist())) for own in counts]


def test_confusions_are_scikit_learns_matrix_in_sparse_form() -> None:
    scores, truths = random_scores(200, 6, 4), random_truths(200, 6, 1)
    found = count_confusions(rank(scores, truths), 6)
    dense = np.zeros((6, 6), dtype=int)
    dense[found.truth, found.predicted] = found.count
    first = scores.sort(dim=1, descending=True, stable=True).indices[:, 0]
    expected = confusion_matrix([own[0] for own in truths], first, labels=range(6))
    np.testing.assert_array_equal(dense, expected)
    assert (found.count > 0).all()


def test_a_sample_of_several_truths_counts_once_for_each() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.5], [0.1, 0.9, 0.2]])
    found = count_confusions(rank(scores, [(0, 2), (2,)]), 3)
    pairs = zip(found.truth, found.predicted, found.count, strict=True)
    assert list(pairs) == [(0, 0, 1), (2, 0, 1), (2, 1, 1)]


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_that_of_a_slow_loop(seed: int) -> None:
    scores, truths = random_scores(300, 4, 1000, seed), random_truths(300, 4, 1, seed)
    found = rank(scores, truths)
    bins = measure_reliability(found)
    confidence = torch.softmax(3.0 * scores, 1).amax(1).double().numpy()
    is_right = scores.argmax(1).numpy() == [own[0] for own in truths]
    expected = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            gap = abs(is_right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
        assert bins.count[low] == inside.sum()
    assert calibration_error(bins) == pytest.approx(expected, abs=1e-6)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    scores = 100 * torch.eye(4)
    right, wrong = (rank(scores, [(t,) for t in own]) for own in ([0, 1, 2, 3], [1, 2, 3, 0]))
    assert calibration_error(measure_reliability(right)) == pytest.approx(0, abs=1e-6)
    assert calibration_error(measure_reliability(wrong)) == pytest.approx(1, abs=1e-6)


def test_labels_without_samples_count_zero_in_one_mean_and_nothing_in_the_other() -> None:
    scores, truths = random_scores(50, 4, 9), random_truths(50, 2, 2)
    found = rank(scores, truths)
    per_label = measure_labels(found, 4)
    metrics = measure(found, per_label, is_multi_label=True)
    precisions = per_label["average_precision"]
    assert np.isnan(precisions).tolist() == [False, False, True, True]
    assert metrics["mAP"] == pytest.approx(precisions[:2].mean())
    assert metrics["mAP_absent_as_zero"] == pytest.approx(precisions[:2].sum() / 4)


@pytest.mark.parametrize("values", [3, 10_000])
@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_blocks_of_labels_give_what_all_labels_give(
    monkeypatch: pytest.MonkeyPatch, values: int, most: int, kind: str
) -> None:
    scores, truths = random_scores(40, 37, values), random_truths(40, 37, most)
    calibration = Calibration(3.0, -0.5, kind)  # type: ignore[arg-type]
    labels = LabelScores(
        lambda rows: scores[rows], 37, 37, calibration, lambda rows, columns: scores[rows, columns]
    )
    whole = rank_labels(labels, truths, 5, "test")
    monkeypatch.setattr(ranking_of_labels, "BLOCK_LABELS", 10)
    monkeypatch.setattr("mmlab.evaluate.ranked.CHUNK_ELEMENTS", 70)
    parts = rank_labels(labels, truths, 5, "test")
    assert whole.scores is not None
    assert parts.scores is None
    for key in ("rank", "has_tie", "top_label", "first"):
        np.testing.assert_array_equal(getattr(parts, key), getattr(whole, key))
    np.testing.assert_array_equal(parts.truth_ranks.rank, whole.truth_ranks.rank)
    np.testing.assert_array_equal(parts.truth_ranks.label, whole.truth_ranks.label)
    for key in ("probability", "top_probability"):
        np.testing.assert_allclose(getattr(parts, key), getattr(whole, key), rtol=1e-5)


@pytest.mark.parametrize("most", [1, 4])
def test_ranks_and_ties_are_those_of_a_slow_loop(most: int) -> None:
    scores, truths = random_scores(60, 9, 4), random_truths(60, 9, most)
    found = rank(scores, truths)
    for row, own in enumerate(truths):
        order = sorted(range(9), key=lambda label: (-scores[row, label].item(), label))
        best = min(own, key=order.index)
        ties = [a for a in range(9) if scores[row, a] == scores[row, best] and a not in own]
        assert found.rank[row] == order.index(best) + 1
        assert found.has_tie[row] == bool(ties)
        assert found.top_label[row].tolist() == order[:5]
