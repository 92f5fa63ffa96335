"""Errors of targets, against scikit-learn where it can say them and slow loops where not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from support.evaluated import Gate, Words, encoded, letters, subject
from torch import Tensor, nn

from mmlab.errors import DataError, RunError, SpecError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate.evaluators.regression import Regression, measure
from mmlab.plugin import Sample
from mmlab.records import EvaluationResult

WORDS = ("ab", "ba", "aab", "bbb", "abba")


@dataclass
class Counted(Words):
    """Texts with numbers."""

    numbers: list[tuple[float, ...]] = field(default_factory=list)
    target_names: tuple[str, ...] = ("length", "as")

    def __getitem__(self, index: int) -> Sample:
        return Sample(f"word-{index}", self.rows[index], (), self.numbers[index])


class Counts(nn.Module):
    """A head that says how many letters a fused vector of letter counts squared has, and twice."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, fused: Tensor) -> Tensor:
        return fused.sum(-1, keepdim=True) * torch.arange(1, 1 + self.outputs)


def counted(*numbers: tuple[float, ...], lacking: tuple[int, ...] = ()) -> Counted:
    rows: list[dict[str, object]] = [{"image": letters(w), "text": w} for w in WORDS]
    for index in lacking:
        rows[index] = {}
    return Counted(rows, [()] * len(WORDS), numbers=list(numbers))


def result(dataset: Counted, what: EvaluatedModel | None = None) -> EvaluationResult:
    what = what or subject(Gate(), head=Counts())
    (found,) = Regression()(what, encoded(what, dataset), "regression")
    return found


def predictions(dataset: Counted) -> np.ndarray:
    what = subject(Gate(), head=Counts())
    found = what.model.outputs(encoded(what, dataset).features).prediction
    assert found is not None
    return found.double().numpy()


KNOWN = [(3.0, 1.0), (1.5, 2.0), (4.0, 8.0), (0.0, 7.0), (9.0, 9.0)]


def test_metrics_are_the_library_s() -> None:
    dataset = counted(*KNOWN)
    found, predicted, true = result(dataset).metrics, predictions(dataset), np.array(KNOWN)
    for metric, function in {
        "r2": r2_score,
        "mse": mean_squared_error,
        "mae": mean_absolute_error,
    }.items():
        each = function(true, predicted, multioutput="raw_values")
        assert found[metric] == pytest.approx(function(true, predicted), rel=1e-6)
        assert [found[f"length/{metric}"], found[f"as/{metric}"]] == pytest.approx(each, rel=1e-6)


def test_outcomes_are_minus_the_squared_errors() -> None:
    dataset = counted(*KNOWN)
    samples = result(dataset).samples
    assert samples is not None
    expected = -np.square(predictions(dataset) - np.array(KNOWN)).mean(1)
    np.testing.assert_allclose(samples.outcome, expected, rtol=1e-6)
    assert (samples.rank == 0).all()


def test_predictions_are_kept_beside_the_truths_also_where_those_are_unknown() -> None:
    dataset = counted((3.0, math.nan), *KNOWN[1:])
    found = result(dataset).targets
    assert found is not None
    assert found.names == ("length", "as")
    np.testing.assert_array_equal(found.truth[0], [3.0, math.nan])
    np.testing.assert_array_equal(found.prediction, predictions(dataset))


def test_unknown_targets_and_samples_without_input_take_no_part() -> None:
    nan = math.nan
    numbers = [(3.0, nan), (nan, nan), (4.0, 8.0), (1.0, 7.0), (9.0, 9.0)]
    dataset = counted(*numbers, lacking=(3,))
    found = result(dataset)
    assert found.samples is not None
    assert found.samples.ids == ["word-0", "word-2", "word-4"]
    assert found.skipped == 2
    errors = (predictions(dataset) - np.array(numbers))[[0, 2, 4]]
    assert found.metrics["length/mse"] == pytest.approx(np.square(errors[:, 0]).mean(), rel=1e-6)
    assert found.metrics["as/mse"] == pytest.approx(np.square(errors[1:, 1]).mean(), rel=1e-6)
    first = -np.square(errors[0, 0])
    assert found.samples.outcome[0] == pytest.approx(first, rel=1e-6)


def test_r2_of_a_target_that_does_not_vary_is_undefined_and_left_out_of_the_mean() -> None:
    errors, truths = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[5.0, 0.0], [5.0, 2.0]])
    found = measure(errors, truths, ["a", "b"])
    assert found["a/r2"] is None
    assert found["r2"] == found["b/r2"] == pytest.approx(1 - 1 / 2)


def test_always_saying_the_mean_of_the_truths_is_worth_nothing() -> None:
    truths = np.array([[1.0], [2.0], [6.0]])
    assert measure(3.0 - truths, truths, ["a"])["r2"] == pytest.approx(0)


def test_a_single_target_has_no_metrics_of_its_own_name() -> None:
    assert measure(np.ones((2, 1)), np.eye(2)[:, :1], ["a"]).keys() == {"r2", "mse", "mae"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_predictions_that_are_not_finite_stop_the_evaluation(value: float) -> None:
    head = nn.Linear(256, 2)
    nn.init.constant_(head.bias, value)
    with pytest.raises(RunError, match="a score is not a finite number"):
        result(counted(*KNOWN), subject(Gate(), head=head))


def test_what_is_missing_is_said() -> None:
    with pytest.raises(SpecError, match="the model has none"):
        result(counted(*KNOWN), subject(Gate()))
    with pytest.raises(DataError, match="no targets"):
        Regression().check(subject(Gate(), head=Counts()), Words([], []), "regression")
    with pytest.raises(DataError, match="3 outputs, 2 targets"):
        result(counted(*KNOWN), subject(Gate(), head=Counts(3)))
    with pytest.raises(DataError, match="a known target"):
        result(counted(*[(math.nan, math.nan)] * 5))
