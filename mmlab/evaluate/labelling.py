"""The result of ranked labels: what classification, zero-shot and probes share.

They differ only in where the scores come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from mmlab.evaluate.encoded import Encoded
from mmlab.evaluate.measures import (
    count_confusions,
    measure,
    measure_labels,
    measure_reliability,
)
from mmlab.evaluate.protocol import Question, make_protocol
from mmlab.evaluate.ranked import LabelScores as LabelScores
from mmlab.evaluate.ranked import RankedLabels as RankedLabels
from mmlab.evaluate.ranked import Truths as Truths
from mmlab.evaluate.ranked import rank_labels as rank_labels
from mmlab.evaluate.thumbnails import make_thumbnails
from mmlab.records import EvaluationResult, Rankings, SampleResults

KeptOption = Annotated[int, Field(ge=1, le=1000, description="labels kept per sample")]


@dataclass(frozen=True)
class Labelling:
    """Everything a result says beside its numbers."""

    name: str
    question: Question
    encoded: Encoded
    #: Positions in the dataset of the samples that took part.
    indexes: Sequence[int]
    subject: dict[str, object]
    cards: int
    condition: str = ""


def make_result(labelling: Labelling, truths: Truths, ranked: RankedLabels) -> EvaluationResult:
    """The result of ranked labels: metrics, per label and over all, and a row per sample."""
    encoded, labels = labelling.encoded, labelling.question.labels
    ids = [encoded.ids[index] for index in labelling.indexes]
    per_label = measure_labels(ranked, len(labels))
    return EvaluationResult(
        name=labelling.name,
        evaluator=labelling.question.evaluator,
        condition=labelling.condition,
        split=encoded.split,
        dataset_revision=encoded.dataset.revision,
        protocol=make_protocol(labelling.question, encoded, ids, labelling.condition),
        subject=labelling.subject,
        metrics=measure(ranked, per_label, encoded.dataset.is_multi_label),
        skipped=len(encoded.ids) - len(ids),
        labels=labels,
        templates=labelling.question.templates,
        samples=_sample_results(ids, truths, ranked),
        rankings=Rankings(ranked.top_label, ranked.top_probability),
        label_metrics={key: values.astype(np.float32) for key, values in per_label.items()},
        confusions=count_confusions(ranked, len(labels)),
        reliability=measure_reliability(ranked),
        thumbnails=make_thumbnails(encoded.dataset, ids, labelling.indexes, labelling.cards),
        scores=ranked.matrix,
    )


def _sample_results(ids: Sequence[str], truths: Truths, ranked: RankedLabels) -> SampleResults:
    return SampleResults(
        ids=ids,
        truths=truths,
        rank=ranked.rank,
        probability=ranked.probability,
        top_label=ranked.top_label[:, 0],
        top_probability=ranked.top_probability[:, 0],
        has_tie=ranked.has_tie,
        outcome=(ranked.rank == 1).astype(np.float32),
    )
