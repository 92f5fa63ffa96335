"""Both metrics keep the contract and equal slow loops, scikit-learn's figures and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mmlab_metrics.brier import Brier
from mmlab_metrics.hits import Hits
from sklearn.metrics import brier_score_loss, top_k_accuracy_score

from mmlab.testing import check_metric
from mmlab.testing.metrics import LABELS, scored, tied


def test_they_keep_the_contract() -> None:
    check_metric(Brier)
    for k in (1, 3, 10):
        check_metric(Hits, k=k)


def test_brier_is_two_for_certain_errors_and_one_minus_a_share_of_guesses() -> None:
    samples = scored(seed=0)
    guesses = np.full_like(samples.probabilities, 1 / LABELS)
    wrong = np.zeros_like(guesses)
    wrong[np.arange(len(wrong)), [(one + 1) % LABELS for (one,) in samples.truths]] = 1
    assert Brier()(replace(samples, probabilities=wrong)) == {"brier": 2.0}
    expected = pytest.approx(1 - 1 / LABELS)
    assert Brier()(replace(samples, probabilities=guesses)) == {"brier": expected}


def test_brier_of_two_labels_is_twice_the_score_of_one() -> None:
    samples = scored(seed=1)
    first = samples.probabilities[:, :1] / samples.probabilities[:, :2].sum(1, keepdims=True)
    truths = tuple((one % 2,) for (one,) in samples.truths)
    two = replace(samples, probabilities=np.hstack([first, 1 - first]), truths=truths)
    expected = brier_score_loss([1 - one for (one,) in truths], first[:, 0])
    assert Brier()(two) == {"brier": pytest.approx(2 * expected, rel=1e-5)}


@pytest.mark.parametrize("k", [1, 2, 5])
def test_hits_are_the_peers_accuracy_top_k(k: int) -> None:
    samples = scored(seed=2)
    truths = [one for (one,) in samples.truths]
    expected = top_k_accuracy_score(truths, samples.scores, k=k, labels=range(LABELS))
    assert Hits(k=k)(samples) == {f"hits@{k}": pytest.approx(expected)}


def test_hits_of_equal_scores_go_by_the_order_of_labels() -> None:
    samples = tied(scored(seed=3, is_multi_label=True))
    found = [
        bool(set(sorted(range(LABELS), key=lambda one: (-row[one], one))[:2]) & set(truths))
        for row, truths in zip(samples.scores.tolist(), samples.truths, strict=True)
        if truths
    ]
    assert Hits(k=2)(samples) == {"hits@2": pytest.approx(np.mean(found))}


def test_more_hits_than_labels_are_undefined() -> None:
    assert Hits(k=LABELS + 1)(scored(seed=4)) == {f"hits@{LABELS + 1}": None}
