"""Ranks of truths and the first labels of samples, as arrays, from scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmlab.plugin import Calibration
from mmlab.records import Floats, Halves, Ints

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


#: Label ids of samples whose labels are known: several, or () where none of several is true.
TrueLabels = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class LabelScores:
    """Scores of all labels for n samples, made some samples at a time; higher is better.

    `rows(slice)` gives (rows, label_count) float32. `width` is how many scores each row costs while
    it is made: the number of labels, or of prompts. `block(rows, columns)` gives the scores of some
    labels only, where a model can give them; a block of labels is asked for all samples in turn.
    """

    rows: Callable[[slice], Tensor]
    label_count: int
    width: int
    calibration: Calibration
    block: Callable[[slice, slice], Tensor] | None = None


@dataclass(frozen=True)
class RankedLabels:
    """The labels of n samples, ranked. Fields as in SampleResults; `top_*` are (n, k).

    `first` (n, m) are the first labels, at least as many as the largest number of truths and as k.
    `scores` (C, n) is None where it would take too much memory, or labels came in blocks; `matrix`
    (n, C) None unless all scores are wanted.
    """

    rank: Ints
    probability: Floats
    has_tie: npt.NDArray[np.bool_]
    first: Ints
    top_label: Ints
    top_probability: Floats
    truth_ranks: TruthRanks
    scores: Floats | None = None
    matrix: Halves | None = None


@dataclass(frozen=True)
class TruthTable:
    """Truths of m samples as a table, so that tensors can be asked for all of them at once.

    labels (m, w): the truths of each sample, filled up with its first, or with label 0 where it has
    none; is_real (m, w) says which are truths. w is at least 1.
    """

    labels: Tensor
    is_real: Tensor

    @classmethod
    def of(cls, truths: TrueLabels, device: torch.device) -> TruthTable:
        """The table of some samples."""
        width = max(1, *map(len, truths))
        labels = [(*own, *(own or (0,))[:1] * (width - len(own))) for own in truths]
        counts = torch.tensor([len(own) for own in truths])
        is_real = torch.arange(width) < counts[:, None]
        return cls(torch.tensor(labels).to(device), is_real.to(device))


def best_truths(table: TruthTable, ranks: Tensor) -> Tensor:
    """The place in the table, (m,), of the truth of each sample that ranks first."""
    return ranks.masked_fill(~table.is_real, torch.iinfo(ranks.dtype).max).argmin(1)


@dataclass(frozen=True)
class Found:
    """What is found out about m samples; w is the width of the table of truths.

    ranks, values (scores) and truth_probability (m, w) are of the truths, best (m,) is the place
    of the best of them, equal (m,) how many labels have its very score. first (m, depth) and
    top_probability (m, k) are of the labels ranked first.
    """

    table: TruthTable
    ranks: Tensor
    best: Tensor
    equal: Tensor
    values: Tensor
    first: Tensor
    truth_probability: Tensor
    top_probability: Tensor


def collect(found: Found, first_sample: int) -> RankedLabels:
    """The same as arrays on the host, the rank and the tie of the best truth among them."""
    place, table = found.best[:, None], found.table
    has_none = ~table.is_real.any(1)
    own_equals = ((found.values == found.values.gather(1, place)) & table.is_real).sum(1)
    rows, columns = table.is_real.nonzero(as_tuple=True)
    top = found.first[:, : found.top_probability.shape[1]]
    return RankedLabels(
        rank=_ints(found.ranks.gather(1, place)[:, 0].masked_fill(has_none, 0)),
        probability=_floats(
            found.truth_probability.gather(1, place)[:, 0].masked_fill(has_none, torch.nan)
        ),
        has_tie=((found.equal > own_equals) & ~has_none).cpu().numpy(),
        first=_ints(found.first),
        top_label=_ints(top),
        top_probability=_floats(found.top_probability),
        truth_ranks=TruthRanks(
            (rows + first_sample).cpu().numpy(),
            table.labels[rows, columns].cpu().numpy(),
            found.ranks[rows, columns].cpu().numpy(),
            _floats(found.truth_probability[rows, columns]),
        ),
    )


def _join(
    parts: Sequence[RankedLabels], scores: Floats | None, matrix: Halves | None
) -> RankedLabels:
    truths = [part.truth_ranks for part in parts]
    return RankedLabels(
        rank=np.concatenate([part.rank for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        has_tie=np.concatenate([part.has_tie for part in parts]),
        first=np.concatenate([part.first for part in parts]),
        top_label=np.concatenate([part.top_label for part in parts]),
        top_probability=np.concatenate([part.top_probability for part in parts]),
        truth_ranks=TruthRanks(
            np.concatenate([part.sample for part in truths]),
            np.concatenate([part.label for part in truths]),
            np.concatenate([part.rank for part in truths]),
            np.concatenate([part.probability for part in truths]),
        ),
        scores=scores,
        matrix=matrix,
    )


def _ints(x: Tensor) -> Ints:
    return x.to(torch.int32).cpu().numpy()


def _floats(x: Tensor) -> Floats:
    return x.float().cpu().numpy()


Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TruthRanks:
    """One row per pair of a sample and a true label of it: which, and the label's rank from 1."""

    sample: Integers
    label: Integers
    rank: Integers
    #: of the label for the sample
    probability: Floats

    @property
    def is_found(self) -> npt.NDArray[np.bool_]:
        """Whether the label is among the first n of the sample, n being its number of truths."""
        return self.rank <= np.bincount(self.sample)[self.sample]
