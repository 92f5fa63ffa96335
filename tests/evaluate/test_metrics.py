"""Measures of labels, against scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    precision_score,
    roc_auc_score,
)

from mmlab.evaluate.metrics import (
    mean_over_present,
    mean_probability,
    mean_rank,
    median_rank,
    order_measures,
    precision,
    recall,
    support,
)
from mmlab.evaluate.ranked import TruthRanks

RANDOM = np.random.default_rng(0)
NONE = np.zeros(3, dtype=np.float32)


def truth_ranks(scores: np.ndarray, is_truth: np.ndarray) -> TruthRanks:
    """Ranks of all truths by a stable sort: scores and is_truth (n, C)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1) + 1
    sample, label = np.nonzero(is_truth)
    return TruthRanks(sample, label, ranks[sample, label], scores[sample, label])


def single_truths(labels: np.ndarray, label_count: int) -> np.ndarray:
    return np.eye(label_count, dtype=bool)[labels]


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("values", [3, 1000])
def test_mean_recall_is_balanced_accuracy_over_the_classes_present(values: int) -> None:
    scores = RANDOM.integers(0, values, (300, 8)).astype(np.float32)
    labels = RANDOM.choice([0, 2, 3, 7], 300)
    truths = truth_ranks(scores, single_truths(labels, 8))
    recalls, supports = recall(truths, 8), support(truths, 8)
    found = mean_over_present(recalls, supports)
    assert found == pytest.approx(balanced_accuracy_score(labels, scores.argmax(1)), abs=1e-12)


def test_mean_recall_equals_scikit_learn_where_every_class_is_present() -> None:
    scores = RANDOM.random((200, 6), dtype=np.float32)
    labels = np.arange(200) % 6
    truths = truth_ranks(scores, single_truths(labels, 6))
    found = recall(truths, 6).mean()
    assert found == pytest.approx(balanced_accuracy_score(labels, scores.argmax(1)), abs=1e-12)


def average_precision(scores: np.ndarray, truths: TruthRanks) -> np.ndarray:
    return order_measures(scores, truths)["average_precision"]


@pytest.mark.parametrize("values", [2, 5, 100_000])
def test_average_precision_equals_scikit_learn_ties_included(values: int) -> None:
    scores = (RANDOM.integers(0, values, (150, 7)) / values).astype(np.float32)
    is_truth = RANDOM.random((150, 7)) < 0.3
    found = average_precision(np.ascontiguousarray(scores.T), truth_ranks(scores, is_truth))
    expected = [average_precision_score(is_truth[:, c], scores[:, c]) for c in range(7)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_average_precision_does_not_depend_on_the_order_of_samples() -> None:
    scores = RANDOM.integers(0, 3, (60, 4)).astype(np.float32)
    is_truth, order = RANDOM.random((60, 4)) < 0.4, RANDOM.permutation(60)
    found = [
        average_precision(np.ascontiguousarray(s.T), truth_ranks(s, t))
        for s, t in ((scores, is_truth), (scores[order], is_truth[order]))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_a_label_that_scores_all_alike_has_the_precision_of_chance() -> None:
    is_truth = np.arange(10)[:, None] < np.array([3])
    found = average_precision(
        np.zeros((1, 10), dtype=np.float32), truth_ranks(np.zeros((10, 1)), is_truth)
    )
    assert found.tolist() == [pytest.approx(0.3)]


def test_labels_without_samples_are_not_a_number_and_leave_means_alone() -> None:
    truths = TruthRanks(np.array([0, 1, 2]), np.array([1, 1, 3]), np.array([1, 4, 2]), NONE)
    scores = np.zeros((5, 3), dtype=np.float32)
    measures = [
        recall(truths, 5),
        mean_rank(truths, 5),
        median_rank(truths, 5),
        average_precision(scores, truths),
    ]
    assert all(np.isnan(values).tolist() == [True, False, True, False, True] for values in measures)
    supports = support(truths, 5)
    assert supports.tolist() == [0, 2, 0, 1, 0]
    assert mean_over_present(measures[0], supports) == pytest.approx(0.25)


def test_mean_and_median_rank_are_those_of_each_labels_samples() -> None:
    labels, ranks = RANDOM.integers(0, 6, 101), RANDOM.integers(1, 7, 101)
    truths = TruthRanks(np.arange(101), labels, ranks, np.zeros(101, dtype=np.float32))
    for label in range(6):
        own = ranks[labels == label]
        assert mean_rank(truths, 6)[label] == pytest.approx(own.mean())
        assert median_rank(truths, 6)[label] == pytest.approx(np.median(own))


def test_with_several_truths_each_can_be_found() -> None:
    # One sample with the truths 0, 1 and 2, which are ranked 1, 3 and 4.
    truths = TruthRanks(np.zeros(3, dtype=np.int64), np.arange(3), np.array([1, 3, 4]), NONE)
    assert recall(truths, 3).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("values", [2, 5, 100_000])
def test_auroc_equals_scikit_learn_ties_included(values: int) -> None:
    scores = (RANDOM.integers(0, values, (150, 7)) / values).astype(np.float32)
    is_truth = RANDOM.random((150, 7)) < 0.3
    truths = truth_ranks(scores, is_truth)
    found = order_measures(np.ascontiguousarray(scores.T), truths)["auroc"]
    expected = [roc_auc_score(is_truth[:, c], scores[:, c]) for c in range(7)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_auroc_is_not_defined_where_all_or_no_samples_have_the_label() -> None:
    scores, is_truth = RANDOM.random((5, 3)).astype(np.float32), np.zeros((5, 3), dtype=bool)
    is_truth[:, 0] = is_truth[2, 2] = True
    truths = truth_ranks(scores, is_truth)
    found = order_measures(np.ascontiguousarray(scores.T), truths)["auroc"]
    assert np.isnan(found).tolist() == [True, True, False]


@pytest.mark.parametrize("values", [4, 1000])
def test_precision_equals_scikit_learn_for_single_truths(values: int) -> None:
    scores = RANDOM.integers(0, values, (300, 8)).astype(np.float32)
    labels = RANDOM.choice([0, 2, 3, 7], 300)
    first = scores.argmax(1).astype(np.int32)
    found = precision(truth_ranks(scores, single_truths(labels, 8)), first[:, None], 8)
    expected = precision_score(labels, first, labels=range(8), average=None, zero_division=np.nan)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_precision_of_several_truths_counts_as_many_predictions() -> None:
    scores = RANDOM.integers(0, 6, (80, 6)).astype(np.float32)
    is_truth = RANDOM.random((80, 6)) < 0.4
    order = np.argsort(-scores, axis=1, kind="stable")
    true, predicted = np.zeros(6), np.zeros(6)
    for sample in range(80):
        for label in order[sample, : is_truth[sample].sum()]:
            predicted[label] += 1
            true[label] += is_truth[sample, label]
    found = precision(truth_ranks(scores, is_truth), order.astype(np.int32), 6)
    np.testing.assert_allclose(found, true / predicted, atol=1e-12)


def test_mean_probability_is_of_the_labels_own_samples() -> None:
    truths = TruthRanks(
        np.array([0, 1, 2]),
        np.array([1, 1, 3]),
        np.array([1, 4, 2]),
        np.array([0.5, 0.25, 1], dtype=np.float32),
    )
    found = mean_probability(truths, 5)
    np.testing.assert_equal(found, [np.nan, 0.375, np.nan, 1.0, np.nan])
