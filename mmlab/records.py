"""What an execution hands to the store: plain values, no torch and no SQL.

Training yields `MetricPoint`s, evaluators give `EvaluationResult`s, and the store writes both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmlab.metric import Metric

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]

#: What somebody else's scores are: any numbers of which higher is better, what a softmax (or a
#: sigmoid, where several labels are true) makes probabilities of, or probabilities.
ScoreMeaning = Literal["plain", "logits", "probabilities"]

#: Where the subject of a retrieval says how many captions belong to several samples.
SHARED_CAPTIONS = "shared_captions"


def cell_name(label: str, seed: int) -> str:
    """A cell in a few words: what differs from the sweep's other cells, and its seed.

    >>> cell_name("fusion=concat", 3)
    'fusion=concat seed=3'
    """
    return f"{label} seed={seed}".strip()


@dataclass(frozen=True)
class MetricPoint:
    """One value of one training curve: `name` such as "train/loss" or "validation/zero_shot/top1".

    The value may be NaN or infinite; the store keeps which.
    """

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Progress:
    """What one emission says, after `step` of `total_steps` optimiser steps.

    `seconds_left` is how long the steps that remain will take, validation and evaluation aside.
    `is_best` marks the moment when the present weights are the best so far.
    """

    step: int
    total_steps: int
    loss: float
    samples_per_second: float
    seconds_left: float
    points: Sequence[MetricPoint]
    is_best: bool = False


@dataclass(frozen=True)
class SampleResults:
    """One row per evaluated sample (or query), n rows; all arrays have length n.

    `truths` are label ids: several for multi-label, none where none of the labels is true, or where
    the truth has no label id, as in retrieval. `rank` is the best rank of a truth, 1-based, ties
    broken by the lower label id; 0 where there is no truth. `probability` is that truth's,
    `top_probability` the first label's; NaN where scores are no probabilities, or there is no
    truth. `has_tie` marks rows where the truth's score equals that of a wrong answer.
    `outcome` is what paired statistics compare, higher is better (1 for a hit, 0 for a miss); NaN
    where there is nothing to hit. `clusters` name what rows were drawn together with (a picture of
    several captions, a person), None for a row that was drawn alone, and where all were.
    """

    ids: Sequence[str]
    truths: Sequence[Sequence[int]]
    rank: Ints
    probability: Floats
    top_label: Ints
    top_probability: Floats
    has_tie: npt.NDArray[np.bool_]
    outcome: Floats
    clusters: Sequence[str | None] | None = None


@dataclass(frozen=True)
class SampleTargets:
    """Numbers of every evaluated sample: what they are and what was predicted, both (n, targets).

    In the targets' own units; a truth is NaN where it is unknown.
    """

    names: Sequence[str]
    truth: Doubles
    prediction: Doubles


@dataclass(frozen=True)
class Rankings:
    """The first k labels of every sample: label ids and their probabilities (or scores), (n, k)."""

    label: Ints
    score: Floats


@dataclass(frozen=True)
class Predictions:
    """Scores of labels that somebody else's model gave, (n, k) each, of samples in their order.

    `label` are label ids, in ascending order in each row, and all others stand behind them where k
    is less than the number of labels. `unused` counts samples of the file that take no part.
    """

    label: Ints
    score: Doubles
    unused: int
    file: str
    sha256: str


@dataclass(frozen=True)
class Confusions:
    """How often a true label met a label ranked first; arrays of length m, pairs that occur only.

    A sample with several true labels counts once for each of them.
    """

    truth: Ints
    predicted: Ints
    count: Ints


@dataclass(frozen=True)
class Reliability:
    """Samples by the probability of their first label, in bins (low, high]; arrays by bin.

    `probability` is the mean in the bin, `accuracy` the share whose first label is true; both NaN
    where the bin is empty.
    """

    low: Floats
    high: Floats
    count: Ints
    probability: Floats
    accuracy: Floats


@dataclass(frozen=True)
class Shots:
    """The training samples that a few-shot evaluation learnt from."""

    dataset_revision: str
    split: str
    ids: Sequence[str]


@dataclass(frozen=True)
class BoxResults:
    """Boxes that were found in n pictures, and those that are there, in pixels of each picture.

    `samples` are the dataset's ids of the pictures, and `sample` and `true_sample` are positions
    among them, in ascending order. The m boxes found stand surest first in each picture: label id,
    `box` (m, 4) as x0, y0, x1, y1, score, and `truth`, the number within the picture of the true
    box that it is, or -1. Of the k true boxes, label id, `true_box` (k, 4), `true_area` in square
    pixels, and whether one is a crowd or difficult: those need not be found.
    """

    samples: Sequence[str]
    sample: Ints
    label: Ints
    box: Doubles
    score: Doubles
    truth: Ints
    true_sample: Ints
    true_label: Ints
    true_box: Doubles
    true_area: Doubles
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SkippedSample:
    """A sample that could not be read, where the spec allows to leave out a few."""

    dataset_revision: str
    split: str
    position: int
    sample: str
    reason: str


@dataclass(frozen=True)
class EvaluationResult:
    """All that one evaluator says about one condition of one run.

    `name` is unique within the run and is what reports show; `condition` is "" unless an evaluator
    gives several results (the two directions of retrieval). `metrics` maps names such as "top1" to
    values; None where the metric is not defined (top5 of four labels). `label_metrics` maps a
    metric to one value per label id, NaN where undefined. `protocol` holds every ingredient that
    must be equal before two results may be compared; `subject` describes what else belongs to the
    figures (scale, precision, preprocessing, captions that samples share) and is never compared.
    `skipped` counts samples that could not take part. `declared` and `declared_of_labels` say what
    `metrics` and `label_metrics` are, in the order in which they are shown; the runner adds what
    the evaluator declares. A metric that nobody declares is shown, but has no place.
    """

    name: str
    evaluator: str
    condition: str
    split: str
    dataset_revision: str
    protocol: Mapping[str, object]
    subject: Mapping[str, object]
    metrics: Mapping[str, float | None]
    skipped: int = 0
    labels: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    samples: SampleResults | None = None
    rankings: Rankings | None = None
    label_metrics: Mapping[str, Floats] = field(default_factory=dict)
    #: sample id -> WebP bytes of a small picture, for a few samples; reports read no dataset
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    #: of these samples width and height in pixels of the whole picture
    picture_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    #: what the samples are called where others publish figures on them, and which metric they quote
    test_set: str | None = None
    main_metric: str | None = None
    #: keys of the datasets of its suite, its own included; `name` is SUITE/KEY then
    suite: Sequence[str] = ()
    targets: SampleTargets | None = None
    confusions: Confusions | None = None
    reliability: Reliability | None = None
    shots: Shots | None = None
    #: what was found in pictures, of detections; its samples are pictures, not rows of `samples`
    boxes: BoxResults | None = None
    #: (samples, labels): every score, where they are wanted as a file
    scores: Halves | None = None
    artifacts: Sequence[Artifact] = ()
    declared: Sequence[Metric] = ()
    declared_of_labels: Sequence[Metric] = ()


@dataclass(frozen=True)
class WantedPictures:
    """Samples of which a small picture is to be kept, the most wanted first, and the room for all.

    `samples` are the dataset's own ids; pictures of more than `room_bytes` together are in vain.
    """

    samples: Sequence[str]
    room_bytes: int


@dataclass(frozen=True)
class Artifact:
    """A file a run leaves: its role ("best", "final"), and its path in the runs folder."""

    role: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Match:
    """What a budget of parameters has made of a cell: `value` of `option` gives `parameters`.

    Both are None where the fusion has no width. `parameters` / `budget` - 1 is the remaining gap.
    """

    budget: int
    parameters: int
    option: str | None
    value: int | None

    def __str__(self) -> str:
        """In a line, for people: `fusion.dim = 45: 904 of 900 parameters (+0.44 %)`."""
        width = f"fusion.{self.option} = {self.value}" if self.option else "no width to set"
        gap = 100 * (self.parameters / self.budget - 1)
        return f"{width}: {self.parameters:,} of {self.budget:,} parameters ({gap:+.2f} %)"


def name_directions(first: str, second: str) -> tuple[str, str]:
    """Named by what the two sides are, and by their places as well where both are the same.

    >>> name_directions("image", "text"), name_directions("text", "text")
    (('image_to_text', 'text_to_image'), ('text_1_to_text_2', 'text_2_to_text_1'))
    """
    if first == second:
        first, second = f"{first}_1", f"{second}_2"
    return f"{first}_to_{second}", f"{second}_to_{first}"
