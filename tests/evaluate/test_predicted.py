"""Scores of somebody else's model: ranks and metrics against a slow loop and the own evaluator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from support.evaluated import Words, encoded, letters, pictures, subject

from mmlab.errors import DataError, SpecError
from mmlab.evaluate import rank_labels as ranking
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.foreign_question import ForeignQuestion, ask
from mmlab.evaluate.label_results import Labelling
from mmlab.evaluate.predicted import make_foreign_result
from mmlab.records import Doubles, EvaluationResult, Predictions, ScoreMeaning

LABELS = ("crab", "owl", "elk", "ant", "bee", "yak", "carb")


def first_of(scores: Doubles, k: int) -> Predictions:
    """The first k labels of each row by (-score, label), as a file gives them."""
    labels = [sorted(sorted(range(len(r)), key=lambda j: (-r[j], j))[:k]) for r in scores.tolist()]
    label = np.array(labels, np.int32)
    return Predictions(label, np.take_along_axis(scores, label, 1), 0, "scores.csv", "0" * 64)


def result_of(
    data: Words, scores: Doubles, k: int, meaning: ScoreMeaning = "plain"
) -> EvaluationResult:
    asked = ask(Classification(k=3, cards=0), None, data, "labels")
    return made(data, asked, first_of(scores, k), meaning)


def made(
    data: Words, asked: ForeignQuestion, found: Predictions, meaning: ScoreMeaning
) -> EvaluationResult:
    split = encoded(subject(), data)
    labelling = Labelling("labels", asked.question, split, range(len(data)), {}, 0)
    return make_foreign_result(labelling, asked, found, meaning)


def several(count: int, seed: int) -> tuple[Words, Doubles]:
    """Samples of none to three truths each, and scores with many ties."""
    random = np.random.default_rng(seed)
    truths = [tuple(sorted(random.permutation(7)[: i % 4].tolist())) for i in range(count)]
    rows = [{"image": letters("x")}] * count
    data = Words(rows, truths, labels=LABELS, is_multi_label=True)
    return data, random.integers(0, 5, (count, 7)).astype(np.float64)


def slow_ranks(scores: Doubles, truths: Sequence[Sequence[int]], k: int) -> list[int]:
    """The best rank of a truth among the first k, 0 where there is none."""
    ranks = []
    for row, own in zip(scores.tolist(), truths, strict=True):
        order = sorted(range(len(row)), key=lambda label: (-row[label], label))[:k]
        found = [order.index(label) + 1 for label in own if label in order]
        ranks.append(min(found, default=0))
    return ranks


@pytest.mark.parametrize("k", range(1, 8))
def test_ranks_of_the_first_labels_are_those_of_a_slow_loop(k: int) -> None:
    data, scores = several(60, k)
    result = result_of(data, scores, k)
    truths = [own or () for own in data.targets]
    ranks = slow_ranks(scores, truths, k)
    assert result.samples.rank.tolist() == ranks
    for row, (rank, own) in enumerate(zip(ranks, truths, strict=True)):
        assert (
            result.samples.outcome[row] == (rank == 1)
            if own
            else math.isnan(result.samples.outcome[row])
        )
    order = np.lexsort((np.broadcast_to(np.arange(7), scores.shape), -scores))
    assert result.rankings.label.tolist() == order[:, : min(k, 3)].tolist()


@pytest.mark.parametrize("k", range(1, 8))
def test_what_the_first_labels_say_is_what_all_labels_say(k: int) -> None:
    data, scores = several(60, 11)
    whole, part = result_of(data, scores, 7), result_of(data, scores, k)
    assert part.metrics.items() <= whole.metrics.items()
    assert {"top1", "top5"} <= set(part.metrics) or k < 5
    assert ("mean_per_class_recall" in part.metrics) == (k >= 3)
    assert ("mAP" in part.metrics) == (k == 7)
    for name, values in part.label_metrics.items():
        known = ~np.isnan(values)
        np.testing.assert_array_equal(values[known], whole.label_metrics[name][known])
    assert part.confusions.count.tolist() == whole.confusions.count.tolist()


def test_a_median_within_the_first_labels_is_known_and_a_mean_is_not() -> None:
    rows = [{"image": letters("x")}] * 3
    data = Words(rows, [(0,), (1,), (6,)], labels=LABELS)
    scores = np.tile(np.arange(7.0)[::-1], (3, 1))  # ranks 1, 2 and 7
    result = result_of(data, scores, 2)
    assert result.metrics == {
        "top1": pytest.approx(1 / 3),
        "median_rank": 2,
        "mean_per_class_recall": pytest.approx(1 / 3),
    }
    left_out = ["ece", "mean_probability", "mean_rank", "top5"]
    assert result.subject["scores"] == {"meaning": "plain", "labels": 2, "left_out": left_out}
    np.testing.assert_array_equal(result.label_metrics["mean_rank"], [1, 2] + [np.nan] * 5)


@pytest.mark.parametrize("is_multi_label", [False, True])
def test_all_logits_give_what_classification_makes_of_them(is_multi_label: bool) -> None:
    data, scores = several(50, 3)
    if not is_multi_label:
        data = Words(data.rows, [(i % 7,) for i in range(50)], labels=LABELS)
    asked = ask(Classification(k=7, cards=0), None, data, "labels")
    found = made(data, asked, first_of(scores, 7), "logits")
    whole = ranking.LabelScores(
        lambda rows: torch.tensor(scores[rows], dtype=torch.float32), 7, 7, asked.calibration
    )
    own = ranking.rank_labels(whole, [one or () for one in data.targets], 7, "labels")
    assert found.samples.rank.tolist() == own.rank.tolist()
    assert found.samples.has_tie.tolist() == own.has_tie.tolist()
    assert found.rankings.label.tolist() == own.top_label.tolist()
    np.testing.assert_allclose(found.rankings.score, own.top_probability, rtol=1e-6)
    np.testing.assert_allclose(found.samples.probability, own.probability, rtol=1e-6)


def test_scores_of_zero_shot_give_its_whole_result() -> None:
    data = pictures(LABELS, [*LABELS, "crab", "bee"])
    what, evaluator = subject(), ZeroShot(k=7, scale=10.0)
    split = encoded(what, data)
    (own,) = evaluator(what, split, "labels")
    asked = ask(evaluator, None, data, "labels")
    kept = np.log(own.rankings.score.astype(np.float64)) / 10  # scores up to a constant
    order = np.argsort(own.rankings.label, axis=1)
    label, score = (np.take_along_axis(x, order, 1) for x in (own.rankings.label, kept))
    found = made(data, asked, Predictions(label, score, 0, "scores.csv", ""), "logits")
    assert found.protocol == own.protocol
    assert found.metrics == pytest.approx(own.metrics, rel=1e-5)
    assert found.rankings.label.tolist() == own.rankings.label.tolist()
    for name in own.label_metrics.keys() - {"average_precision", "auroc"}:
        np.testing.assert_allclose(found.label_metrics[name], own.label_metrics[name], rtol=1e-5)


def test_keys_of_encoders_are_read_as_their_modalities() -> None:
    data = pictures(LABELS, LABELS)
    inputs = {"words": "text", "eyes": "image"}
    asked = ask(ZeroShot(), inputs, data, "labels")
    assert asked.question == ask(ZeroShot(queries="eyes"), inputs, data, "labels").question
    assert asked.question == ask(ZeroShot(), None, data, "labels").question
    with pytest.raises(SpecError, match="image, text, sound"):
        ask(ZeroShot(), {"image": "image", "text": "text", "sound": "sound"}, data, "labels")


def test_zero_shot_of_several_modalities_must_say_which_is_asked() -> None:
    data = Words([], [], labels=LABELS, modalities=("image", "audio"))
    with pytest.raises(SpecError, match=r"evaluate.labels.queries(.|\n)*image, audio"):
        ask(ZeroShot(), None, data, "labels")
    asked = ask(ZeroShot(queries="audio"), None, data, "labels")
    assert asked.needs == {"audio"}
    assert asked.question.options["queries"] == "audio"


def test_no_probability_is_taken_for_one() -> None:
    data, scores = several(4, 0)
    with pytest.raises(DataError, match=r"sample 'word-\d', label(.|\n)*no probability"):
        result_of(data, scores, 7, "probabilities")
    result = result_of(data, scores / 4, 7, "probabilities")
    assert result.metrics["ece"] is not None
