"""The result of ranked labels: what classification, zero-shot and probes share.

They differ only in where the scores come from: a head's predictions are made here. Samples bring a
thumbnail where whoever keeps results wants one, so that a report needs no dataset.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mmlab.data.samples import groups_of
from mmlab.data.tables import take_rows
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import ProtocolQuestion, make_protocol
from mmlab.evaluate.metrics import count_confusions, measure, measure_labels, measure_reliability
from mmlab.evaluate.ranked import RankedLabels, TrueLabels
from mmlab.evaluate.subject import EvaluatedModel, check_features
from mmlab.metric import Metric
from mmlab.plan.component import Part
from mmlab.plan.content import whole
from mmlab.plugin import Added, Calibration, Dataset, Nested
from mmlab.records import EvaluationResult, Rankings, SampleResults, WantedPictures

KeptOption = Annotated[int, Field(ge=1, le=1000, description="labels kept per sample")]


class MetricTable(BaseModel):
    """A table of `metrics`: a metric, and its options."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    use: Annotated[str, Field(min_length=1, description="name of an installed metric")]


#: What the factory is given are parts, as of every option that lists components.
MetricsOption = Annotated[
    Sequence[MetricTable],
    Nested("metric"),
    Field(max_length=100, description="metrics of plugins, each a table of use and its options"),
    Added([]),
]


@dataclass(frozen=True)
class Labelling:
    """Everything a result says beside its numbers."""

    name: str
    question: ProtocolQuestion
    encoded: Encoded
    #: Positions in the dataset of the samples that took part.
    indexes: Sequence[int]
    subject: dict[str, object]
    cards: int
    condition: str = ""


def make_result(labelling: Labelling, truths: TrueLabels, ranked: RankedLabels) -> EvaluationResult:
    """The result of ranked labels: metrics, per label and over all, and a row per sample."""
    encoded, labels = labelling.encoded, labelling.question.labels
    ids = [encoded.ids[index] for index in labelling.indexes]
    per_label = measure_labels(ranked, len(labels))
    result = EvaluationResult(
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
        samples=_sample_results(ids, truths, ranked, groups_of(encoded.dataset, labelling.indexes)),
        rankings=Rankings(ranked.top_label, ranked.top_probability),
        label_metrics={key: values.astype(np.float32) for key, values in per_label.items()},
        confusions=count_confusions(ranked, len(labels)),
        reliability=measure_reliability(ranked),
        scores=ranked.matrix,
    )
    about = encoded.dataset, ids, labelling.indexes, labelling.cards, encoded.wanted
    return with_pictures(result, small_pictures(*about))


def with_asked(
    result: EvaluationResult,
    asked: Sequence[Part],
    labelling: Labelling,
    ranked: RankedLabels,
    calibration: Calibration,
) -> EvaluationResult:
    """The result with the metrics that the evaluation asks for; raises as `measure_asked`."""
    if not asked:
        return result
    from mmlab.evaluate.asked_metrics import measure_asked, scored_samples  # for few evaluations

    truths = labelling.encoded.known_truths(labelling.indexes)
    samples = scored_samples(labelling.encoded, labelling.indexes, truths, ranked, calibration)
    found = measure_asked(asked, samples, result.metrics, labelling.name)
    return replace(result, metrics={**result.metrics, **found})


def check_metrics(
    asked: Sequence[Part], own: Sequence[Metric], dataset: Dataset, name: str
) -> None:
    """Raise SpecError or DataError for metrics that cannot be asked for here."""
    if asked:
        from mmlab.evaluate.asked_metrics import check_asked  # as above

        check_asked(asked, own, dataset, name)


def protocol_of(asked: Sequence[Part]) -> dict[str, object]:
    """What of the metrics asked for is part of the protocol; nothing where there are none."""
    return {"metrics": [whole(part.content()) for part in asked]} if asked else {}


def _sample_results(
    ids: Sequence[str],
    truths: TrueLabels,
    ranked: RankedLabels,
    clusters: Sequence[str | None] | None,
) -> SampleResults:
    return SampleResults(
        ids=ids,
        truths=truths,
        rank=ranked.rank,
        probability=ranked.probability,
        top_label=ranked.top_label[:, 0],
        top_probability=ranked.top_probability[:, 0],
        has_tie=ranked.has_tie,
        outcome=np.where(ranked.rank > 0, ranked.rank == 1, np.nan).astype(np.float32),
        clusters=clusters,
    )


#: Samples fused at a time; a fusion may hold several tensors of its width for each.
_ROWS = 4096


def have_any_input(subject: EvaluatedModel, encoded: Encoded) -> Tensor:
    """Which samples have at least one of the fusion's inputs, (n,) bool on the host."""
    return torch.stack([encoded.present(key) for key in subject.model.inputs]).any(0)


def predict(subject: EvaluatedModel, encoded: Encoded, indexes: Sequence[int]) -> Tensor:
    """The head's prediction for some samples, (n, outputs) float32 on the device.

    Raises RunError where a feature is NaN or infinite.
    """
    parts = []
    for start in range(0, len(indexes), _ROWS):
        rows = torch.tensor(indexes[start : start + _ROWS])
        features = {key: take_rows(encoded.features[key], rows) for key in subject.model.inputs}
        for key, each in features.items():
            check_features(each, key)
        with subject.full_precision():
            prediction = subject.model.outputs(features).prediction
        assert prediction is not None, "a model with a head predicts"
        parts.append(prediction.float())
    return torch.cat(parts)


CardsOption = Annotated[
    int,
    Field(ge=0, le=1000, description="0: no small pictures; else of all that there is room for"),
]

#: Longest side, in pixels.
SIDE = 128


@dataclass(frozen=True)
class SmallPicture:
    """A picture as a small WebP, and the width and height in pixels that it has itself."""

    image: bytes
    size: tuple[int, int]


def small_pictures(
    dataset: Dataset,
    ids: Sequence[str],
    indexes: Sequence[int],
    count: int,
    wanted: Callable[[Sequence[str]], WantedPictures] | None = None,
) -> dict[str, SmallPicture]:
    """Small pictures by id of the results that one is wanted of; `indexes` are their samples.

    Where nobody says which, the `count` ids with the smallest sha256: a choice that looks random,
    is the same in every run, and hardly changes when samples are added. Empty for a `count` of 0,
    and where the dataset has no images. What there is no room for is not made.
    """
    if not count or "image" not in dataset.modalities:
        return {}
    if wanted is None:
        chosen = sorted(ids, key=lambda one: hashlib.sha256(one.encode()).digest())[:count]
        asked = WantedPictures(chosen, sys.maxsize)
    else:
        asked = wanted(ids)
    return _made(dataset, asked, dict(zip(ids, indexes, strict=True)))


def with_pictures(
    result: EvaluationResult, pictures: Mapping[str, SmallPicture]
) -> EvaluationResult:
    """The result with small pictures by the ids of their samples."""
    images = {one: picture.image for one, picture in pictures.items()}
    sizes = {one: picture.size for one, picture in pictures.items()}
    return replace(result, thumbnails=images, picture_sizes=sizes)


def _made(
    dataset: Dataset, asked: WantedPictures, indexes: Mapping[str, int]
) -> dict[str, SmallPicture]:
    """Pictures in the order in which they are wanted, until their room is filled."""
    of_index: dict[int, SmallPicture | None] = {}  # captions of one picture share it
    found, left = dict[str, SmallPicture](), asked.room_bytes
    for one in asked.samples:
        index = indexes[one]
        if index not in of_index:
            of_index[index] = made = small_picture(dataset, index)
            left -= len(made.image) if made else 0
        if left < 0:
            break
        if (picture := of_index[index]) is not None:
            found[one] = picture
    return found


def small_picture(dataset: Dataset, index: int) -> SmallPicture | None:
    """A sample's picture as a small WebP; None where it has none."""
    image = dataset[index].values.get("image")
    if not isinstance(image, Image.Image):
        return None
    small = image.copy()  # thumbnail() changes the picture, which the dataset may keep
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80)
    return SmallPicture(file.getvalue(), image.size)
