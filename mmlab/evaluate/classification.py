"""Classification: the head's labels, ranked for every sample."""

from __future__ import annotations

from typing import ClassVar

import torch

from mmlab.evaluate import faults
from mmlab.evaluate.encoded import Encoded
from mmlab.evaluate.labelling import KeptOption, Labelling, LabelScores, make_result, rank_labels
from mmlab.evaluate.measures import METRICS
from mmlab.evaluate.prediction import have_any_input, predict
from mmlab.evaluate.protocol import Question
from mmlab.evaluate.subject import Subject
from mmlab.evaluate.thumbnails import CardsOption
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
    metrics: ClassVar[frozenset[str]] = METRICS

    def __init__(
        self,
        *,
        k: KeptOption = 5,
        cards: CardsOption = 24,
    ) -> None:
        self.k = k
        self.cards = cards

    def check(self, subject: Subject, dataset: Dataset, name: str) -> None:
        """Raise SpecError without a head, DataError without labels."""
        if subject.model.head is None:
            raise faults.needs_prediction(name)
        if not dataset.labels:
            raise faults.no_labels(name)

    @torch.no_grad()
    def __call__(self, subject: Subject, encoded: Encoded, name: str) -> list[EvaluationResult]:
        """One result. Raises also where the head's labels are not as many as the dataset's."""
        self.check(subject, encoded.dataset, name)
        labels = encoded.dataset.labels
        indexes = encoded.labelled(have_any_input(subject, encoded))
        if not indexes:
            raise faults.nothing_left(name, len(encoded.ids), "a known label and any input")
        is_multi_label = encoded.dataset.is_multi_label
        calibration = Calibration(1.0, kind="sigmoid" if is_multi_label else "softmax")
        predictions = predict(subject, encoded, indexes)
        if predictions.shape[1] != len(labels):
            raise faults.wrong_label_count(name, predictions.shape[1], len(labels))
        truths = [encoded.truths[index] for index in indexes]
        scores = LabelScores(lambda rows: predictions[rows], len(labels), len(labels), calibration)
        ranked = rank_labels(scores, truths, self.k, name)
        question = Question("classification", self.version, {}, labels)
        described = subject.describe(subject.model.inputs, calibration)
        labelling = Labelling(name, question, encoded, indexes, described, self.cards)
        return [make_result(labelling, truths, ranked)]
