"""Labels ranked for inputs that somebody names by hand: by prompts, as zero-shot, or by the head.

Samples are encoded and ranked in blocks, so that memory does not grow with their number. A block
holds whole batches: samples in the order of a split meet the very batches of its evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from mmlab.data.skipped import SampleSubset
from mmlab.evaluate.encode import Encoded, encode_split
from mmlab.evaluate.evaluators.classification import rank_predictions
from mmlab.evaluate.evaluators.zero_shot import ZeroShot, check_told_apart
from mmlab.evaluate.label_features import LabelFeatures
from mmlab.evaluate.ranked import RankedLabels, TrueLabels
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.plugin import Dataset

#: Stands in messages where an evaluation has its name.
NAME = "rank"
#: Samples whose features are held at a time; fewer where a fusion reads tokens, which are large.
BLOCK_SAMPLES, BLOCK_OF_TOKENS = 1024, 128


@torch.no_grad()
def rank_by_prompts(
    question: ZeroShot,
    subject: EvaluatedModel,
    dataset: Dataset,
    truths: TrueLabels,
    batch_size: int,
) -> Iterator[RankedLabels]:
    """The dataset's labels ranked as zero-shot ranks them, block by block.

    Every sample must have the input that is asked about. `truths` are () where nobody knows any.
    Raises what `ZeroShot.check` does.
    """
    queries, key = question.keys(subject, NAME)
    averages = question.combination(subject, NAME) == "features"
    written = question.written(dataset, NAME)
    check_told_apart(subject, key, written, "labels")  # the question has not to say it again
    question.check(subject, dataset, NAME)
    with LabelFeatures(subject, key, written, averages=averages) as labels:
        for rows, encoded in _blocks(subject, dataset, batch_size):
            known = [truths[row] for row in rows]
            found = question.rank(subject, encoded.features[queries], labels, known, NAME)
            yield replace(found, scores=None)  # they are what grows with samples and labels


@torch.no_grad()
def rank_by_head(
    subject: EvaluatedModel, dataset: Dataset, truths: TrueLabels, k: int, batch_size: int
) -> Iterator[RankedLabels]:
    """The head's labels, which are the dataset's, ranked as classification does, in blocks."""
    for rows, encoded in _blocks(subject, dataset, batch_size):
        known = [truths[row] for row in rows]
        found = rank_predictions(subject, encoded, range(len(rows)), known, k, NAME)
        yield replace(found, scores=None)


def _blocks(
    subject: EvaluatedModel, dataset: Dataset, batch_size: int
) -> Iterator[tuple[Sequence[int], Encoded]]:
    """The samples of each block, and what the model sees of them."""
    wanted = BLOCK_OF_TOKENS if subject.reads_tokens else BLOCK_SAMPLES
    size = max(1, wanted // batch_size) * batch_size
    for start in range(0, len(dataset), size):
        rows = range(start, min(start + size, len(dataset)))
        part = SampleSubset(dataset, rows, dataset.revision)
        yield rows, encode_split(subject, part, "test", batch_size)
