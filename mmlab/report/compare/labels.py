"""Which labels rose and fell between two sides, which confusions changed, what samples flipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import polars as pl
from sqlalchemy import select

from mmlab.report.compare.boxes import boxed_pictures, is_about_boxes
from mmlab.report.compare.questions import Answers, Question
from mmlab.report.outcomes import Array
from mmlab.statistics.differences import Difference, paired_difference
from mmlab.statistics.multiple import benjamini_hochberg
from mmlab.store import Store, views
from mmlab.store.bulk import among

T = TypeVar("T")

#: Labels, confusions and samples that are shown; JSON has all.
SHOWN = 12


@dataclass(frozen=True)
class LabelChange:
    """The mean over the samples of one true label: before, after, and the difference's interval.

    `adjusted_p` is Benjamini and Hochberg's over all labels; `is_marked` where it is below .05.
    """

    label: str
    samples: int
    before: float
    after: float
    difference: Difference
    adjusted_p: float | None = None

    @property
    def is_marked(self) -> bool:
        """Whether the change is one of those that are real, of which at most 5 % are not."""
        return self.adjusted_p is not None and self.adjusted_p < 0.05


@dataclass(frozen=True)
class ConfusionChange:
    """Samples of a true label that were taken for another: how many before and after, a seed."""

    truth: str
    predicted: str
    before: float
    after: float


@dataclass(frozen=True)
class Flip:
    """A sample that most seeds get right on one side alone, and what each side ranked first.

    Of a true box in a picture, whether each side found it.
    """

    sample: str
    truths: tuple[str, ...]
    before: float
    after: float
    first_before: str
    first_after: str


@dataclass(frozen=True)
class Details:
    """What lies behind a difference; `flips` are those lost first, then those gained.

    `pictures` has small pictures of flipped samples, WebP bytes by the samples' ids.
    """

    labels: tuple[LabelChange, ...]
    confusions: tuple[ConfusionChange, ...]
    flips: tuple[Flip, ...]
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def read_details(store: Store, answers: Answers, row: int) -> Details:
    """What changed from the first side to another, by its row of answers; what fell comes first."""
    truths = _truths(store, answers)
    before, after = (_first_labels(store, answers, side) for side in (0, row))
    pair = answers.values[0], answers.values[row]
    flips, draw = _flips(answers, truths, (before, after), pair), _pictures
    if is_about_boxes(store, answers.question):
        flips, draw = [_of_box(flip) for flip in flips], boxed_pictures
    return Details(
        tuple(_label_changes(answers, truths, *pair)),
        tuple(_confusion_changes(answers, truths, before, after, row)),
        tuple(flips),
        draw(store, answers.question, [flip.sample for flip in spread(flips)]),
    )


def _of_box(flip: Flip) -> Flip:
    """Of a true box, whether each side found it; labels are ranked for none."""
    words = ["found" if share >= 0.5 else "missed" for share in (flip.before, flip.after)]
    return replace(flip, first_before=words[0], first_after=words[1])


def spread(items: Sequence[T]) -> Sequence[T]:
    """Both ends of what is ordered, where it is too long to be shown."""
    if len(items) <= SHOWN:
        return items
    return [*items[: SHOWN // 2], *items[-(SHOWN // 2) :]]


def _pictures(store: Store, question: Question, samples: Sequence[str]) -> dict[str, bytes]:
    row = views.sample_pictures.c
    mine = row.dataset_revision == question.dataset_revision, row.split == question.split
    query = select(row.sample, row.image).where(*mine, among(row.sample, samples))
    return dict(store.frame(query).iter_rows()) if samples else {}


def _truths(store: Store, answers: Answers) -> pl.DataFrame:
    """`sample`, `place` and a true `label` of each; they are the same for all sides."""
    row = views.true_labels.c
    number = answers.question.numbers[0]
    query = select(row.sample, row.label, row.position).where(row.evaluation_id == number)
    places = pl.DataFrame({"sample": answers.samples, "place": range(len(answers.samples))})
    return store.frame(query).join(places, on="sample").sort("position", "place")


def _first_labels(store: Store, answers: Answers, side: int) -> pl.DataFrame:
    """`sample` and the `predicted` label that each evaluation of a side ranked first."""
    row = views.sample_outcomes.c
    numbers = [one for ids in answers.question.evaluations[side].values() for one in ids]
    query = select(row.sample, row.top_label.label("predicted"))
    return store.frame(query.where(among(row.evaluation_id, numbers), row.top_label.is_not(None)))


def _label_changes(
    answers: Answers, truths: pl.DataFrame, before: Array, after: Array
) -> list[LabelChange]:
    found = []
    for (label,), rows in truths.group_by(["label"], maintain_order=True):
        places = rows["place"].to_numpy()
        left, right = before[:, places], after[:, places]
        clusters = None if answers.clusters is None else answers.clusters[places]
        difference = paired_difference(right, left, clusters, scale=answers.scale)
        means = float(left.mean()), float(right.mean())
        found.append(LabelChange(str(label), len(places), *means, difference))
    known = [one.difference.p_value for one in found if one.difference.p_value is not None]
    steps = iter(benjamini_hochberg(known))
    marked = [
        one if one.difference.p_value is None else replace(one, adjusted_p=next(steps))
        for one in found
    ]
    return sorted(marked, key=lambda one: one.difference.value)


def _confusion_changes(
    answers: Answers,
    truths: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    row: int,
) -> list[ConfusionChange]:
    counts = [
        _confusions(truths, first).with_columns(pl.col("count") / _evaluations(answers, side))
        for first, side in ((before, 0), (after, row))
    ]
    both = counts[0].join(counts[1], on=["truth", "predicted"], how="full", coalesce=True)
    both = both.with_columns(pl.col("count", "count_right").fill_null(0.0))
    moved = (pl.col("count_right") - pl.col("count")).abs()
    both = both.filter(moved > 0).sort(moved, "truth", "predicted", descending=[True, False, False])
    return [ConfusionChange(*row) for row in both.iter_rows()]


def _confusions(truths: pl.DataFrame, first: pl.DataFrame) -> pl.DataFrame:
    wrong = truths.rename({"label": "truth"}).join(first, on="sample")
    wrong = wrong.filter(pl.col("truth") != pl.col("predicted"))
    right = truths.select("sample", pl.col("label").alias("predicted"))
    wrong = wrong.join(right, on=["sample", "predicted"], how="anti")  # another of its labels
    return wrong.group_by("truth", "predicted").agg(pl.len().cast(pl.Float64).alias("count"))


def _evaluations(answers: Answers, side: int) -> int:
    return sum(len(ids) for ids in answers.question.evaluations[side].values())


def _flips(
    answers: Answers,
    truths: pl.DataFrame,
    firsts: tuple[pl.DataFrame, pl.DataFrame],
    pair: tuple[Array, Array],
) -> list[Flip]:
    if answers.scale != "share":
        return []
    shares = pair[0].mean(0), pair[1].mean(0)
    flipped = np.flatnonzero((shares[0] >= 0.5) != (shares[1] >= 0.5))
    flipped = flipped[np.argsort(shares[1][flipped] - shares[0][flipped], kind="stable")]
    samples = [answers.samples[place] for place in flipped]
    labels = _by_sample(truths, "label", samples)
    ranked = [_by_sample(one, "predicted", samples) for one in firsts]
    return [
        Flip(
            sample,
            tuple(dict.fromkeys(labels.get(sample, ()))),
            float(shares[0][place]),
            float(shares[1][place]),
            _most(ranked[0].get(sample, ())),
            _most(ranked[1].get(sample, ())),
        )
        for sample, place in zip(samples, flipped, strict=True)
    ]


def _by_sample(rows: pl.DataFrame, column: str, samples: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    chosen = rows.filter(pl.col("sample").is_in(list(samples))).select("sample", column)
    for sample, value in chosen.iter_rows():
        found.setdefault(sample, []).append(value)
    return found


def _most(values: Sequence[str]) -> str:
    """What most seeds ranked first, and how many did if not all; of equally many by name."""
    counts = Counter(sorted(values)).most_common(1)
    return "".join(
        label if count == len(values) else f"{label} ({count} of {len(values)})"
        for label, count in counts
    )
