"""Classification: the head's labels, ranked for every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, cast

import torch

from mmlab.errors import DataError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import ProtocolQuestion, needs_prediction, no_labels, nothing_left
from mmlab.evaluate.label_results import (
    CardsOption,
    KeptOption,
    Labelling,
    MetricsOption,
    check_metrics,
    have_any_input,
    make_result,
    predict,
    protocol_of,
    with_asked,
)
from mmlab.evaluate.metrics import LABEL_METRICS, METRICS
from mmlab.evaluate.rank_labels import rank_labels
from mmlab.evaluate.ranked import LabelScores, RankedLabels, TrueLabels
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.metric import Metric
from mmlab.plan.component import Part
from mmlab.plugin import Calibration, Dataset
from mmlab.records import EvaluationResult


class Classification:
    """How often the head is right: top-1, top-5, mean per-class recall, ranks and probabilities.

    Probabilities are the softmax of the head's prediction, or, for a multi-label dataset, the
    sigmoid of each. Left out are samples without a known label and samples that lack every input; a
    sample that lacks some inputs is scored as the fusion defines it.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"prediction", "labels"})
    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        replace(metric, has_gain=metric.name == "top1") for metric in METRICS
    )
    label_metrics: ClassVar[tuple[Metric, ...]] = LABEL_METRICS

    def __init__(
        self,
        *,
        k: KeptOption = 5,
        cards: CardsOption = 24,
        metrics: MetricsOption = (),
    ) -> None:
        self.k = k
        self.cards = cards
        self.asked = cast(Sequence[Part], metrics)

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError without a head, DataError without labels."""
        if subject.model.head is None:
            raise needs_prediction(name)
        if not dataset.labels:
            raise no_labels(name)
        check_metrics(self.asked, self.metrics, dataset, name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """One result. Raises also where the head's labels are not as many as the dataset's."""
        self.check(subject, encoded.dataset, name)
        indexes = encoded.labelled(have_any_input(subject, encoded))
        if not indexes:
            raise nothing_left(name, len(encoded.ids), "a known label and any input")
        calibration = head_calibration(is_multi_label=encoded.dataset.is_multi_label)
        truths = encoded.known_truths(indexes)
        ranked = rank_predictions(subject, encoded, indexes, truths, self.k, name)
        question = self.ask(encoded.dataset)
        described = subject.describe(subject.model.inputs, calibration)
        labelling = Labelling(name, question, encoded, indexes, described, self.cards)
        result = make_result(labelling, truths, ranked)
        return [with_asked(result, self.asked, labelling, ranked, calibration)]

    def ask(self, dataset: Dataset) -> ProtocolQuestion:
        """What is asked, of whatever model."""
        return ProtocolQuestion(
            "classification", self.version, protocol_of(self.asked), dataset.labels
        )


def head_calibration(*, is_multi_label: bool) -> Calibration:
    """How a head's prediction becomes probabilities."""
    return Calibration(1.0, kind="sigmoid" if is_multi_label else "softmax")


def rank_predictions(
    subject: EvaluatedModel,
    encoded: Encoded,
    indexes: Sequence[int],
    truths: TrueLabels,
    k: int,
    name: str,
) -> RankedLabels:
    """The dataset's labels, ranked for some samples by what the head predicts."""
    predictions, count = predict(subject, encoded, indexes), len(encoded.dataset.labels)
    if predictions.shape[1] != count:
        raise wrong_label_count(name, predictions.shape[1], count)
    calibration = head_calibration(is_multi_label=encoded.dataset.is_multi_label)
    scores = LabelScores(lambda rows: predictions[rows], count, count, calibration)
    return rank_labels(scores, truths, k, name)


def wrong_label_count(name: str, outputs: int, labels: int) -> DataError:
    """The head decides between other labels than the dataset's."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the head and the dataset have different numbers of labels",
            found=f"{outputs} outputs, {labels} labels",
            allowed="a dataset with the labels the head was trained on",
            next_step="choose another dataset for this evaluation, or use zero_shot",
        )
    )
