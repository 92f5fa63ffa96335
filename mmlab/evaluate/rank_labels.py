"""Labels ranked for every sample, from scores made some samples or some labels at a time.

More labels than can be scored at once are ranked block by block, twice. The first pass finds every
truth's score, the first labels, and what a softmax divides by; the second counts what stands before
each truth. Between them only numbers per sample are kept, so that memory does not grow with the
number of labels. Both passes score a block in the same shapes, so that a truth meets its very own
score in the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmlab.evaluate.ranked import (
    Found,
    LabelScores,
    RankedLabels,
    TrueLabels,
    TruthTable,
    _join,
    best_truths,
    chunks,
    collect,
    probabilities,
    ranks_of,
    top_k,
)
from mmlab.evaluate.subject import check_numbers
from mmlab.plugin import Calibration

#: Scores kept for measures over all samples of a label (average precision); 512 MB in float32.
KEPT_ELEMENTS = 1 << 27

#: Labels scored at a time where a model can score some of them; more are ranked block by block.
BLOCK_LABELS = 1 << 16


def rank_labels(
    scores: LabelScores, truths: TrueLabels, k: int, name: str, *, keep_scores: bool = False
) -> RankedLabels:
    """Rank every label for every sample. One that none is true of has rank 0, and no tie.

    Memory grows with a chunk of samples, not with all, but for the scores that are kept.
    """
    if scores.block is not None and scores.label_count > BLOCK_LABELS:
        return rank_in_blocks(scores, scores.block, truths, k, name)
    count, labels = len(truths), scores.label_count
    kept = np.empty((labels, count), np.float32) if count * labels <= KEPT_ELEMENTS else None
    matrix = np.empty((count, labels), np.float16) if keep_scores else None
    depth = max(k, max(map(len, truths)))
    parts = []
    for rows in chunks(count, scores.width):
        chunk = scores.rows(rows)
        check_numbers(chunk, name)
        parts.append(_rank_chunk(chunk, truths[rows], scores.calibration, (k, depth), rows.start))
        if kept is not None:
            kept[:, rows] = chunk.T.cpu().numpy()
        if matrix is not None:
            matrix[rows] = chunk.half().cpu().numpy()
    return _join(parts, kept, matrix)


def _rank_chunk(
    scores: Tensor,
    truths: TrueLabels,
    calibration: Calibration,
    depths: tuple[int, int],
    first_sample: int,
) -> RankedLabels:
    k, depth = depths
    table = TruthTable.of(truths, scores.device)
    first = top_k(scores, depth)
    ranks = torch.stack([ranks_of(scores, own) for own in table.labels.T], 1)  # (B, w)
    best = best_truths(table, ranks)
    asked = torch.cat([table.labels, first[:, :k]], 1)
    chosen = probabilities(scores, asked, calibration)
    width = table.labels.shape[1]
    values = scores.gather(1, table.labels)  # (B, w)
    return collect(
        Found(
            table=table,
            ranks=ranks,
            best=best,
            equal=(scores == values.gather(1, best[:, None])).sum(1),
            values=values,
            first=first,
            truth_probability=chosen[:, :width],
            top_probability=chosen[:, width:],
        ),
        first_sample,
    )


Block = Callable[[slice, slice], Tensor]


@dataclass
class _State:
    """What is known about n samples after some blocks; see `Found`."""

    table: TruthTable
    values: Tensor
    before: Tensor
    equal: Tensor
    largest: Tensor
    total: Tensor
    first: Tensor
    first_values: Tensor


def rank_in_blocks(
    scores: LabelScores, block: Block, truths: TrueLabels, k: int, name: str
) -> RankedLabels:
    """As `rank_labels`, without what needs all scores of a label or of a sample together."""
    depth = min(max(k, max(map(len, truths))), scores.label_count)
    state = _start(truths, depth)
    for columns in _blocks(scores.label_count):
        for rows in _rows(scores, columns, len(truths)):
            part = block(rows, columns).cpu()
            check_numbers(part, name)
            _see(state, part, rows, columns, scores.calibration.scale)
    best = _best(state)
    for columns in _blocks(scores.label_count):
        for rows in _rows(scores, columns, len(truths)):
            _count(state, block(rows, columns).cpu(), rows, columns, best)
    top = _probabilities(state, state.first_values[:, : min(k, depth)], scores.calibration)
    found = Found(
        table=state.table,
        ranks=state.before + 1,
        best=best,
        equal=state.equal,
        values=state.values,
        first=state.first,
        truth_probability=_probabilities(state, state.values, scores.calibration),
        top_probability=top,
    )
    return collect(found, 0)


def _start(truths: TrueLabels, depth: int) -> _State:
    table, count = TruthTable.of(truths, torch.device("cpu")), len(truths)
    return _State(
        table=table,
        values=torch.zeros(table.labels.shape),
        before=torch.zeros(table.labels.shape, dtype=torch.int64),
        equal=torch.zeros(count, dtype=torch.int64),
        largest=torch.full((count,), -torch.inf),
        total=torch.zeros(count, dtype=torch.float64),
        first=torch.zeros(count, depth, dtype=torch.int64),
        first_values=torch.full((count, depth), -torch.inf),
    )


def _blocks(label_count: int) -> Iterator[slice]:
    for start in range(0, label_count, BLOCK_LABELS):
        yield slice(start, min(start + BLOCK_LABELS, label_count))


def _rows(scores: LabelScores, columns: slice, count: int) -> Iterator[slice]:
    share = (columns.stop - columns.start) / scores.label_count
    return chunks(count, int(scores.width * share) + 1)


def _see(state: _State, scores: Tensor, rows: slice, columns: slice, scale: float) -> None:
    """The first pass over one block of some samples; scores (B, b)."""
    labels = state.table.labels[rows]
    is_here = (labels >= columns.start) & (labels < columns.stop)
    own = scores.gather(1, (labels - columns.start).clamp(0, scores.shape[1] - 1))
    state.values[rows] = torch.where(is_here, own, state.values[rows])
    before = state.largest[rows]
    largest = torch.maximum(before, scores.amax(1))
    shrunk = (scale * (before - largest)).double().exp() * state.total[rows]
    added = (scale * (scores - largest[:, None])).exp_().sum(1, dtype=torch.float64)
    state.largest[rows], state.total[rows] = largest, shrunk + added
    ids = top_k(scores, state.first.shape[1])
    ids_here = torch.cat([state.first[rows], ids + columns.start], 1)
    values = torch.cat([state.first_values[rows], scores.gather(1, ids)], 1)
    # Earlier blocks stand first and have the lower ids, so a stable sort keeps the order of ties.
    order = values.sort(dim=1, descending=True, stable=True).indices[:, : state.first.shape[1]]
    state.first[rows] = ids_here.gather(1, order)
    state.first_values[rows] = values.gather(1, order)


def _best(state: _State) -> Tensor:
    """The place of the best truth: the highest score, and of equal ones the lowest label."""
    values = state.values.masked_fill(~state.table.is_real, -torch.inf)
    is_best = values == values.amax(1, keepdim=True)
    labels = state.table.labels.masked_fill(~is_best, torch.iinfo(torch.int64).max)
    return labels.argmin(1)


def _count(state: _State, scores: Tensor, rows: slice, columns: slice, best: Tensor) -> None:
    """The second pass over one block of some samples."""
    ids = torch.arange(columns.start, columns.stop)
    for place, label in enumerate(state.table.labels[rows].T):
        value = state.values[rows, place, None]
        is_before = scores > value
        is_before |= (scores == value) & (ids < label[:, None])
        state.before[rows, place] += is_before.sum(1)
    value = state.values[rows].gather(1, best[rows, None])
    state.equal[rows] += (scores == value).sum(1)


def _probabilities(state: _State, values: Tensor, calibration: Calibration) -> Tensor:
    """Probabilities of scores (n, m), as `probabilities` gives them."""
    if calibration.kind == "sigmoid":
        return torch.sigmoid(calibration.scale * values + calibration.bias)
    relative = (calibration.scale * (values - state.largest[:, None])).double().exp()
    return (relative / state.total[:, None]).float()
