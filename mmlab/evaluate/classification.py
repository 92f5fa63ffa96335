"""Classification: the head's labels, ranked for every sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mmlab.evaluate import faults
from mmlab.evaluate.data import Encoded, Subject, take
from mmlab.evaluate.labelling import Labelling, LabelScores, make_result, rank_labels
from mmlab.evaluate.protocol import Question
from mmlab.plugin import Calibration, Dataset
from mmlab.records import EvaluationResult


class Classification:
    """How often the head is right: top-1, top-5, mean per-class recall, ranks and probabilities.

    Probabilities are the softmax of the head's prediction, or, for a multi-label dataset, the
    sigmoid of each. Left out are samples without a known label and samples that lack every input; a
    sample that lacks some inputs is scored as the fusion defines it.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"prediction"})

    def __init__(
        self,
        *,
        k: Annotated[int, Field(ge=1, le=1000, description="labels kept per sample")] = 5,
        cards: Annotated[int, Field(ge=0, le=1000, description="samples with a picture")] = 24,
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
        labels, keys = encoded.dataset.labels, subject.model.inputs
        indexes = encoded.labelled(torch.stack([encoded.present(key) for key in keys]).any(0))
        if not indexes:
            raise faults.nothing_left(name, len(encoded.ids), "a known label and any input")
        is_multi_label = encoded.dataset.is_multi_label
        calibration = Calibration(1.0, kind="sigmoid" if is_multi_label else "softmax")
        predictions = _predict(subject, encoded, indexes)
        if predictions.shape[1] != len(labels):
            raise faults.wrong_label_count(name, predictions.shape[1], len(labels))
        truths = [encoded.truths[index] for index in indexes]
        scores = LabelScores(lambda rows: predictions[rows], len(labels), len(labels), calibration)
        ranked = rank_labels(scores, truths, self.k, name)
        question = Question("classification", self.version, {}, labels)
        described = subject.describe(keys, calibration)
        labelling = Labelling(name, question, encoded, indexes, described, self.cards)
        return [make_result(labelling, truths, ranked)]


#: Samples fused at a time; a fusion may hold several tensors of its width for each.
_ROWS = 4096


def _predict(subject: Subject, encoded: Encoded, indexes: Sequence[int]) -> Tensor:
    """The head's prediction for some samples, (n, C) float32 on the device."""
    parts = []
    for start in range(0, len(indexes), _ROWS):
        rows = torch.tensor(indexes[start : start + _ROWS])
        features = {key: take(encoded.features[key], rows) for key in subject.model.inputs}
        with subject.full_precision():
            prediction = subject.model.outputs(features).prediction
        assert prediction is not None, "a model with a head predicts"
        parts.append(prediction.float())
    return torch.cat(parts)
