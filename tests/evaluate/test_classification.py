"""Classification: a head's labels, measured against slow loops and scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from support.evaluated import Gate, Words, encoded, letters, pictures, subject
from torch import nn

from mmlab.errors import DataError, RunError, SpecError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate import ranked as ranking
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.plugin import Calibration, Features
from mmlab.records import EvaluationResult

LABELS = ["crab", "owl", "elk", "ant", "bee", "yak"]


def with_head(outputs: int) -> EvaluatedModel:
    torch.manual_seed(0)
    return subject(Gate(), head=nn.Linear(256, outputs), calibration=None)


def classify(what: EvaluatedModel, dataset: Words, **options: int) -> EvaluationResult:
    (result,) = Classification(**options)(what, encoded(what, dataset), "labels")
    return result


def predictions(what: EvaluatedModel, dataset: Words) -> torch.Tensor:
    """Straight from the model, all samples at once."""
    with torch.no_grad():
        prediction = what.model.outputs(encoded(what, dataset).features).prediction
    assert prediction is not None
    return prediction


def test_metrics_and_rows_equal_a_slow_loop() -> None:
    what, dataset = with_head(6), pictures(LABELS, LABELS * 3 + ["owl"] * 4)
    result = classify(what, dataset)
    scores = predictions(what, dataset)
    ranks, truths = [], [label for (label,) in dataset.targets]
    for row, truth in zip(scores.tolist(), truths, strict=True):
        ranks.append(sorted(range(6), key=lambda c: (-row[c], c)).index(truth) + 1)
    assert result.samples.rank.tolist() == ranks
    assert result.samples.outcome.tolist() == [float(rank == 1) for rank in ranks]
    assert result.metrics["top1"] == pytest.approx(np.mean(np.array(ranks) == 1))
    assert result.metrics["top5"] == pytest.approx(np.mean(np.array(ranks) <= 5))
    assert result.metrics["mean_rank"] == pytest.approx(np.mean(ranks))
    assert result.metrics["median_rank"] == pytest.approx(np.median(ranks))


def test_probabilities_are_the_softmax_of_the_prediction() -> None:
    what, dataset = with_head(6), pictures(LABELS, LABELS)
    result = classify(what, dataset)
    expected = predictions(what, dataset).softmax(1).numpy()
    rows = np.arange(6)
    np.testing.assert_allclose(result.samples.probability, expected[rows, rows], rtol=1e-5)
    top = np.take_along_axis(expected, result.rankings.label.astype(np.int64), 1)
    np.testing.assert_allclose(result.rankings.score, top, rtol=1e-5)
    assert (np.diff(result.rankings.score, axis=1) <= 0).all()
    np.testing.assert_array_equal(result.samples.top_label, result.rankings.label[:, 0])
    mean = expected[rows, rows].mean()
    assert result.metrics["mean_probability"] == pytest.approx(mean, rel=1e-5)


def test_top5_of_four_labels_is_not_defined() -> None:
    result = classify(with_head(4), pictures(LABELS[:4], LABELS[:4]))
    assert result.metrics["top5"] is None
    assert result.rankings.label.shape == (4, 4)


def test_several_truths_are_hit_on_any_and_measured_by_average_precision() -> None:
    what = with_head(6)
    targets = [(0, 3), (1,), (2, 4), (5, 0), (1, 2, 3), (4,)]
    dataset = pictures(LABELS, LABELS, targets=targets, is_multi_label=True)
    result = classify(what, dataset)
    scores = predictions(what, dataset)
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1) + 1
    best = [
        min(row[label] for label in truths)
        for row, truths in zip(ranks.tolist(), targets, strict=True)
    ]
    assert result.samples.rank.tolist() == best
    is_truth = np.array([[c in truths for c in range(6)] for truths in targets])
    precisions = [average_precision_score(is_truth[:, c], scores[:, c]) for c in range(6)]
    np.testing.assert_allclose(result.label_metrics["average_precision"], precisions, rtol=1e-6)
    assert result.metrics["mAP"] == pytest.approx(np.mean(precisions))
    top = torch.sigmoid(scores).gather(1, torch.tensor(result.rankings.label).long())
    np.testing.assert_allclose(result.rankings.score, top.numpy(), rtol=1e-5)


#: Every fourth sample has labels; the labels of the last are unknown.
SPARSE = [(0, 3), (), (), (), (1,), (), (), (), (5, 0), (), (), (), (1, 2, 3), (), (), None]


def test_samples_of_no_label_are_negatives_of_every_label_and_have_no_rank() -> None:
    what = with_head(6)
    dataset = pictures(LABELS, [*LABELS, *LABELS, *LABELS[:4]], targets=SPARSE, is_multi_label=True)
    result = classify(what, dataset)
    scores = predictions(what, dataset)[:15]
    assert (len(result.samples.ids), result.skipped) == (15, 1)
    is_truth = np.array([[c in truths for c in range(6)] for truths in SPARSE[:15]])
    known = [0, 1, 2, 3, 5]  # label 4 is true of no sample
    precisions = [average_precision_score(is_truth[:, c], scores[:, c]) for c in known]
    areas = [roc_auc_score(is_truth[:, c], scores[:, c]) for c in known]
    found = result.label_metrics
    np.testing.assert_allclose(found["average_precision"][known], precisions, rtol=1e-6)
    np.testing.assert_allclose(found["auroc"][known], areas, rtol=1e-6)
    assert np.isnan(found["average_precision"][4])
    assert result.metrics["mAP"] == pytest.approx(np.mean(precisions))
    assert result.metrics["mAP_absent_as_zero"] == pytest.approx(np.sum(precisions) / 6)
    assert result.metrics["mean_auroc"] == pytest.approx(np.mean(areas))
    has_none = ~is_truth.any(1)
    for values in (result.samples.probability, result.samples.outcome):
        assert np.isnan(values).tolist() == has_none.tolist()
    assert ((result.samples.rank == 0) == has_none).all()
    assert not result.samples.has_tie[has_none].any()
    assert (result.samples.top_label == result.rankings.label[:, 0]).all()


def test_metrics_of_ranks_are_those_of_the_samples_that_have_a_label() -> None:
    what = with_head(6)
    shown = [*LABELS, *LABELS, *LABELS[:4]]
    whole = classify(what, pictures(LABELS, shown, targets=SPARSE, is_multi_label=True))
    few = classify(
        what,
        pictures(
            LABELS,
            [word for word, own in zip(shown, SPARSE, strict=True) if own],
            targets=[own for own in SPARSE if own],
            is_multi_label=True,
        ),
    )
    for name in ("top1", "top5", "mean_rank", "median_rank", "mean_probability"):
        assert whole.metrics[name] == pytest.approx(few.metrics[name])
    for name in ("support", "recall", "precision", "mean_rank", "median_rank"):
        np.testing.assert_allclose(whole.label_metrics[name], few.label_metrics[name])
    assert whole.metrics["mean_per_class_recall"] == few.metrics["mean_per_class_recall"]
    np.testing.assert_array_equal(whole.confusions.count, few.confusions.count)


def test_the_first_label_of_a_sample_of_no_label_is_a_miss_of_its_probability() -> None:
    what = with_head(6)
    dataset = pictures(LABELS, ["crab", "owl"], targets=[(), ()], is_multi_label=True)
    result = classify(what, dataset)
    assert result.metrics["ece"] == pytest.approx(result.samples.top_probability.mean(), rel=1e-6)
    assert {name for name, value in result.metrics.items() if value is not None} == {
        "ece",
        "mAP_absent_as_zero",
    }
    assert result.metrics["mAP_absent_as_zero"] == 0


def test_labels_without_samples_are_left_out_of_means() -> None:
    result = classify(with_head(6), pictures(LABELS, ["crab", "owl", "owl"], is_multi_label=True))
    recalls, supports = result.label_metrics["recall"], result.label_metrics["support"]
    assert supports.tolist() == [1, 2, 0, 0, 0, 0]
    assert np.isnan(recalls).tolist() == [False, False, True, True, True, True]
    assert result.metrics["mean_per_class_recall"] == pytest.approx(np.nanmean(recalls))
    precisions = result.label_metrics["average_precision"]
    assert result.metrics["mAP"] == pytest.approx(np.nanmean(precisions))


def test_unknown_labels_and_samples_without_any_input_are_skipped() -> None:
    rows = [{"image": letters("crab")}, {"text": "owl"}, {}, {"image": letters("elk")}]
    dataset = Words(rows, [(0,), (1,), (2,), ()], labels=("crab", "owl", "elk"))
    result = classify(with_head(3), dataset)
    assert result.samples.ids == ["word-0", "word-1"]
    assert result.skipped == 2


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    what, dataset = with_head(6), pictures(LABELS, LABELS * 4)
    whole = classify(what, dataset)
    monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", 13)
    parts = classify(what, dataset)
    assert parts.metrics == whole.metrics
    np.testing.assert_array_equal(parts.rankings.label, whole.rankings.label)
    for key, values in whole.label_metrics.items():
        np.testing.assert_array_equal(parts.label_metrics[key], values)


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(SpecError, match=r"evaluate\.labels: reads the prediction of a head"):
        classify(subject(), pictures(LABELS, LABELS))


def test_a_dataset_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match="no labels to rank"):
        classify(with_head(6), Words([{"text": "crab"}], [()]))


def test_other_labels_than_the_heads_are_refused() -> None:
    with pytest.raises(DataError, match="5 outputs, 6 labels"):
        classify(with_head(5), pictures(LABELS, LABELS))


def test_no_known_label_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no sample can take part"):
        classify(with_head(6), pictures(LABELS, LABELS, targets=[()] * 6))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_not_finite_stops_the_evaluation(value: float) -> None:
    what = with_head(6)
    with torch.no_grad():
        what.model.head.bias[2] = value
    found = "NaN" if math.isnan(value) else "infinity"
    with pytest.raises(RunError, match=rf"not a finite number\n +found: {found}") as caught:
        classify(what, pictures(LABELS, LABELS))
    assert caught.value.reason == "nan"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_feature_that_is_not_finite_stops_the_evaluation_unless_it_is_of_nobody(
    value: float,
) -> None:
    what = subject(Squashed(), head=nn.Linear(256, 6))
    dataset = pictures(LABELS, LABELS)
    found = encoded(what, dataset)
    found.features["image"].pooled[1, 3] = value
    with pytest.raises(RunError, match=r"encoders\.image: a feature is not a finite number"):
        Classification()(what, found, "classification")
    found.features["image"].present[1] = False
    assert Classification()(what, found, "classification")


class Squashed(Gate):
    """Whatever the features are, what is fused is between -1 and 1."""

    def project(self, position: int, features: Features) -> Features:
        absent = ~features.present[:, None]
        return Features.of(features.pooled.masked_fill(absent, 0).tanh())


def test_a_unimodal_model_is_classified_too() -> None:
    what = subject(Gate(), head=nn.Linear(256, 6), inputs=["image"])
    result = classify(what, pictures(LABELS, LABELS))
    assert len(result.samples.ids) == 6
    assert result.subject["preprocessing"] == {"image": "letters"}


def test_the_models_own_calibration_does_not_change_a_heads_probabilities() -> None:
    what, dataset = with_head(6), pictures(LABELS, LABELS)
    other = replace(what, calibration=Calibration(100.0))
    found = [classify(each, dataset).metrics["mean_probability"] for each in (what, other)]
    assert found[0] == found[1]
