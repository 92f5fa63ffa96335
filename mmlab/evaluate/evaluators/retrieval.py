"""Retrieval: find the sample that belongs to a caption, and a caption that belongs to a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from mmlab.data.samples import groups_of
from mmlab.data.tables import take_rows
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import (
    ProtocolQuestion,
    lacks_modality,
    make_protocol,
    needs_similarity,
    nothing_left,
)
from mmlab.evaluate.label_results import CardsOption, small_pictures, with_pictures
from mmlab.evaluate.metrics import share_within
from mmlab.evaluate.ranked import chunks, first_true, have_ties, ranks_of
from mmlab.evaluate.subject import EvaluatedModel, check_numbers
from mmlab.metric import MEDIAN_RANK, SHARE, Metric, under
from mmlab.plugin import Dataset, Features
from mmlab.records import (
    SHARED_CAPTIONS,
    EvaluationResult,
    Floats,
    Ints,
    SampleResults,
    name_directions,
)

#: Depths k of recall@k.
DEPTHS = (1, 5, 10)
#: Samples' outcomes are hits of the first row.
METRICS = (
    Metric("recall@1", "higher", SHARE, mean_of="outcome"),
    *(Metric(f"recall@{k}", "higher", SHARE, mean_of=f"rank<={k}") for k in DEPTHS[1:]),
    Metric("mean_recall@1", "higher", SHARE),
    Metric("median_rank", "lower", "rank", mean_of=MEDIAN_RANK),
)


class Retrieval:
    """Both directions between the fusion's two inputs, as two results: "image_to_text" and back.

    They are named by modalities, for a model's encoder keys are its own affair; by places as well,
    "image_1_to_image_2", where both read the same.

    Every caption is a row of its own, on both sides. A hit is any row that belongs to the query's
    sample, and any row that equals one that does: samples that share a caption word for word answer
    for each other, unless `repeated_captions` is "own". recall@k is the share of queries with a hit
    among the first k; None where there are fewer than k rows to find. mean_recall@1 is the mean of
    the two directions. Rows are ranked by (-score, position). Left out are samples that lack either
    input.

    No prompt is put around captions unless `prefix` is given, which then begins each of them (the
    CLIP paper's "a photo of " for Flickr30k). With "own", or where no samples share a caption, this
    is CLIP_benchmark's protocol up to its order of ties, and with one row per sample open_clip's.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = under("{asked}_to_{found}", METRICS)
    label_metrics: ClassVar[tuple[Metric, ...]] = ()

    def __init__(
        self,
        *,
        prefix: Annotated[
            str, Field(description='put before every caption, such as "a photo of "')
        ] = "",
        repeated_captions: Annotated[
            Literal["hits", "own"],
            Field(
                description="hits: a caption stands for every sample that has the same; "
                "own: for its own sample only, as CLIP_benchmark counts"
            ),
        ] = "hits",
        cards: CardsOption = 24,
    ) -> None:
        self.prefix = prefix
        self.repeated_captions = repeated_captions
        self.cards = cards

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError without a similarity, DataError where the dataset lacks an input."""
        if not subject.gives_similarity:
            raise needs_similarity(name, subject.model.inputs)
        for key in subject.model.inputs:
            if subject.modality(key) not in dataset.modalities:
                raise lacks_modality(name, subject.modality(key), dataset.modalities)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """Two results, each with the ranks of its queries."""
        self.check(subject, encoded.dataset, name)
        keys = subject.model.inputs
        has_all = torch.stack([encoded.present(key) for key in keys]).all(0)
        indexes: list[int] = has_all.nonzero()[:, 0].tolist()
        if not indexes:
            raise nothing_left(name, len(encoded.ids), "both inputs")
        first, second = (make_side(subject, encoded, key, indexes, self.prefix) for key in keys)
        both = [self._ranked(subject, *sides, name) for sides in ((first, second), (second, first))]
        mean_recall = float(np.mean([share_within(one.rank, 1) for one in both]))
        conditions = name_directions(*(subject.modality(key) for key in keys))
        results = [
            self._result(subject, encoded, name, condition, found)
            for condition, found in zip(conditions, both, strict=True)
        ]
        mean = {"mean_recall@1": mean_recall}
        return [replace(result, metrics={**result.metrics, **mean}) for result in results]

    def _ranked(self, subject: EvaluatedModel, asked: Side, answers: Side, name: str) -> Direction:
        matches = Matches(asked, answers, own_only=self.repeated_captions == "own")
        return rank_hits(subject, matches, name)

    def _result(
        self, subject: EvaluatedModel, encoded: Encoded, name: str, condition: str, found: Direction
    ) -> EvaluationResult:
        asked, answers = found.asked, found.answers
        shared = count_shared(asked) + count_shared(answers)
        ids = [*asked.ids, *answers.ids]
        described = subject.describe((asked.key, answers.key), None)
        result = EvaluationResult(
            name=name,
            evaluator="retrieval",
            condition=condition,
            split=encoded.split,
            dataset_revision=encoded.dataset.revision,
            protocol=make_protocol(self._question(shared), encoded, ids, condition),
            subject={**described, SHARED_CAPTIONS: shared},
            metrics=measure(found.rank, len(answers.ids)),
            skipped=len(encoded.ids) - len(set(asked.indexes)),
            samples=_sample_results(found, _clusters(encoded, asked)),
        )
        about = encoded.dataset, asked.ids, asked.indexes, self.cards, encoded.wanted
        return with_pictures(result, small_pictures(*about))

    def _question(self, shared: int) -> ProtocolQuestion:
        """What is asked; whose captions count is part of it only where some are shared."""
        options: dict[str, object] = {"prefix": self.prefix} if self.prefix else {}
        if shared and self.repeated_captions != "hits":
            options["repeated_captions"] = self.repeated_captions
        return ProtocolQuestion("retrieval", self.version, options)


@dataclass(frozen=True)
class Side:
    """One input as rows to ask with or to find: projected features, and what each row is.

    `indexes` are the rows' samples in the dataset, `contents` what makes two rows equal: the text
    of a caption, or else the sample itself.
    """

    key: str
    features: Features
    ids: Sequence[str]
    indexes: Sequence[int]
    contents: Sequence[Hashable]


@dataclass(frozen=True)
class Direction:
    """What every row asked found: the rank of its best hit, and whether a miss ties with it."""

    asked: Side
    answers: Side
    rank: Ints
    has_tie: npt.NDArray[np.bool_]


def make_side(
    subject: EvaluatedModel, encoded: Encoded, key: str, indexes: Sequence[int], prefix: str = ""
) -> Side:
    """The rows of one input for the samples at `indexes`: one each, or one per caption."""
    features = take_rows(encoded.features[key], torch.tensor(indexes))
    captions = encoded.captions.get(key)
    if captions is None:
        ids = [encoded.ids[index] for index in indexes]
        return Side(key, subject.project(key, features), ids, indexes, indexes)
    rows = [(index, place) for index in indexes for place in range(len(captions[index]))]
    texts = [captions[index][place] for index, place in rows]
    if prefix or any(len(captions[index]) != 1 for index in indexes):
        features = subject.encode_captions(key, [prefix + text for text in texts])
    ids = [_caption_id(encoded.ids[index], place, len(captions[index])) for index, place in rows]
    return Side(key, subject.project(key, features), ids, [index for index, _ in rows], texts)


def _caption_id(sample_id: str, place: int, count: int) -> str:
    return sample_id if count == 1 else f"{sample_id}#{place}"


def count_shared(side: Side) -> int:
    """How many captions, different from each other, belong to several samples."""
    first: dict[Hashable, int] = {}
    rows = zip(side.contents, side.indexes, strict=True)
    return len({content for content, index in rows if first.setdefault(content, index) != index})


def rank_hits(subject: EvaluatedModel, matches: Matches, name: str) -> Direction:
    """Rank every query's best hit among all rows of the other side, some queries at a time."""
    asked, answers = matches.asked, matches.answers
    ranks, ties = [], []
    for rows in chunks(len(asked.ids), len(answers.ids)):
        scores = subject.pair_scores(
            asked.key, take_rows(asked.features, rows), answers.key, answers.features
        )
        check_numbers(scores, name)
        is_hit = matches.mask(rows).to(scores.device)
        best = first_true(scores, is_hit)
        ranks.append(ranks_of(scores, best).to(torch.int32).cpu())
        ties.append(have_ties(scores, best, is_hit).cpu())
    return Direction(asked, answers, torch.cat(ranks).numpy(), torch.cat(ties).numpy())


class Matches:
    """Which rows of one side belong to which of the other: a mask made for some rows at a time.

    Rows of equal content belong together, or, with `own_only`, those of one sample.
    """

    def __init__(self, asked: Side, answers: Side, *, own_only: bool = False) -> None:
        self.asked, self.answers = asked, answers
        self.asking = asked.indexes if own_only else asked.contents
        answering = answers.indexes if own_only else answers.contents
        self.columns: dict[Hashable, list[int]] = {}
        for column, content in enumerate(answering):
            self.columns.setdefault(content, []).append(column)
        by_sample: dict[int, set[Hashable]] = {}
        for index, content in zip(answers.indexes, answering, strict=True):
            by_sample.setdefault(index, set()).add(content)
        self.related: dict[Hashable, set[Hashable]] = {}
        for index, content in zip(asked.indexes, self.asking, strict=True):
            self.related.setdefault(content, set()).update(by_sample[index])
        self.width = len(answers.ids)

    def mask(self, rows: slice) -> Tensor:
        """(rows, answers) bool."""
        mask = torch.zeros(rows.stop - rows.start, self.width, dtype=torch.bool)
        for row, content in enumerate(self.asking[rows]):
            for related in self.related[content]:
                mask[row, self.columns[related]] = True
        return mask


def measure(ranks: Ints, count: int) -> dict[str, float | None]:
    """recall@k and median rank of one direction that finds among `count` rows."""
    recalls: dict[str, float | None] = {
        f"recall@{k}": share_within(ranks, k) if count >= k else None for k in DEPTHS
    }
    return {**recalls, "median_rank": float(np.median(ranks))}


def _sample_results(found: Direction, clusters: Sequence[str | None] | None) -> SampleResults:
    count = len(found.asked.ids)
    unknown: Floats = np.full(count, np.nan, dtype=np.float32)
    return SampleResults(
        ids=found.asked.ids,
        truths=[()] * count,
        rank=found.rank,
        probability=unknown,
        top_label=np.full(count, -1, dtype=np.int32),
        top_probability=unknown,
        has_tie=found.has_tie,
        outcome=(found.rank == 1).astype(np.float32),
        clusters=clusters,
    )


def _clusters(encoded: Encoded, asked: Side) -> list[str | None] | None:
    """What queries were drawn together with: their group, else the sample that several are of."""
    groups = groups_of(encoded.dataset, asked.indexes)
    often = Counter(asked.indexes)
    own = [encoded.ids[index] if often[index] > 1 else None for index in asked.indexes]
    if groups is None:
        return own if any(name is not None for name in own) else None
    return [group or name for group, name in zip(groups, own, strict=True)]
