"""Ranks, ties, first places and probabilities of scores (B, C): B questions over C answers.

Higher scores come first, and equal scores are ordered by the lower answer id, everywhere. A rank is
found by counting what stands before it, never by sorting. Nothing here knows what is ranked.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mmlab.plugin import Calibration

#: Scores in one chunk. Larger is no faster on a CPU, whose caches it leaves; 16 MB in float32.
CHUNK_ELEMENTS = 1 << 22


def chunks(count: int, width: int) -> Iterator[slice]:
    """Slices that cover `count` rows, each of at most CHUNK_ELEMENTS scores of `width` a row."""
    size = max(1, CHUNK_ELEMENTS // max(1, width))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def first_true(scores: Tensor, is_true: Tensor) -> Tensor:
    """The true answer that ranks first in each row, (B,); every row must have one.

    is_true (B, C) says which answers are true.
    """
    best = scores.masked_fill(~is_true, -torch.inf).amax(1, keepdim=True)  # (B, 1)
    is_best = is_true & (scores == best)
    return torch.where(is_best, _ids(scores), scores.shape[1]).amin(1)


def ranks_of(scores: Tensor, answers: Tensor) -> Tensor:
    """Ranks from 1 of one answer in each row: scores (B, C), answers (B,) -> (B,)."""
    chosen = scores.gather(1, answers[:, None])  # (B, 1)
    stands_before = scores > chosen
    stands_before |= (scores == chosen) & (_ids(scores) < answers[:, None])
    return 1 + stands_before.sum(1)


def have_ties(scores: Tensor, answers: Tensor, is_true: Tensor) -> Tensor:
    """Whether an answer that is not true has exactly the score of this one, (B,) bool.

    The rank of this answer, (B,), then hangs on the order of ids alone. is_true (B, C).
    """
    chosen = scores.gather(1, answers[:, None])
    return ((scores == chosen) & ~is_true).any(1)


def top_k(scores: Tensor, k: int) -> Tensor:
    """The ids of the first k answers of each row, (B, min(k, C)).

    torch.topk finds the values, but among equal ones its choice and order are arbitrary: rows with
    equal values up to place k + 1 are sorted instead.
    """
    k = min(k, scores.shape[1])
    values, ids = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    has_equals = (values[:, 1:] == values[:, :-1]).any(1)
    ids = ids[:, :k].clone()
    ids[has_equals] = scores[has_equals].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return ids


def probabilities(scores: Tensor, answers: Tensor, calibration: Calibration) -> Tensor:
    """Probabilities of some answers of each row: scores (B, C), answers (B, m) -> (B, m).

    softmax(scale * s) is over all C answers; sigmoid(scale * s + bias) is each answer's own.
    """
    chosen = scores.gather(1, answers)
    if calibration.kind == "sigmoid":
        return torch.sigmoid(calibration.scale * chosen + calibration.bias)
    largest = scores.amax(1, keepdim=True)
    total = (calibration.scale * (scores - largest)).exp_().sum(1, keepdim=True)
    return (calibration.scale * (chosen - largest)).exp() / total


def _ids(scores: Tensor) -> Tensor:
    return torch.arange(scores.shape[1], device=scores.device)
