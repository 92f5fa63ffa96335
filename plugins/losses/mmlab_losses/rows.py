"""What the scores of a batch say of each of its questions, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mmlab_losses.blocks import Scored, full, in_blocks, own, pair_mask

Hardness = Annotated[
    float,
    Field(ge=0, description="weigh wrong answers by exp(hardness * scaled score); 0 is alike"),
]


@dataclass(frozen=True)
class Rows:
    """One direction's B questions, each with its right answers and the others; (B,) each.

    Scores are scaled already. `right` is the mean score of the right answers, `all` that of every
    answer; `log_right` and `log_wrong` are the logarithms of the sum of the exponentials. Of wrong
    answers it is the weighted sum where they are weighed. `wrongs` counts them. A question whose
    pair is not there (`is_asked`) has its own answer alone.
    """

    right: Tensor
    all: Tensor
    log_right: Tensor
    log_wrong: Tensor
    wrongs: Tensor
    is_asked: Tensor

    def mean(self, losses: Tensor, counts: Tensor) -> Tensor:
        """Mean of `losses` (B,) over the questions that count (B,); 0 where none does."""
        return torch.where(counts, losses, 0).sum() / counts.sum().clamp(min=1)


def read_rows(
    similarity: Scored,
    scale: Tensor,
    groups: Tensor | None = None,
    *,
    chunk: int | None = None,
    hardness: float = 0.0,
    means: bool = False,
) -> tuple[Rows, Rows]:
    """Both directions of a similarity: what rows ask of columns, and columns of rows.

    Samples of one group (B,) are right answers for each other; without groups, none but the own.
    `all` is what it says where `means` asks for it, and costs a pass over the scores.

    Wrong answers weigh w_ij = n_i exp(h S_ij) / sum_k exp(h S_ik), which is 1 on average, for
    hardness h and n_i wrong answers (Robinson et al., arXiv:2010.04592; in the form of Radenovic et
    al., arXiv:2301.02280).
    """
    size, is_pair = similarity.size, similarity.present
    read = _Reading(is_pair, groups, hardness, means)

    def block(start: int, stop: int) -> tuple[Tensor, ...]:
        scores = similarity.block(start, stop)
        masks = read.masks(start, stop)
        logits = scale * full(scores.forward)
        is_same = scores.forward is scores.backward
        others = logits if is_same else scale * full(scores.backward)
        return *read.rows(logits, *masks, start), *read.columns(others, *masks, start)

    parts = list(zip(*in_blocks(size, chunk, block), strict=True))
    half = len(parts) // 2
    forward = [torch.cat(part) for part in parts[:half]]
    backward = [_join(part, is_log) for part, is_log in zip(parts[half:], _IS_LOG, strict=True)]
    return read.conclude(forward), read.conclude(backward)


#: Which numbers that `_Reading` takes from a block are logarithms of sums, and which are sums.
_IS_LOG = (False, False, False, False, True, True, True)


@dataclass(frozen=True)
class _Reading:
    """What is read of a block of scores: as little as the options need."""

    is_pair: Tensor
    groups: Tensor | None
    hardness: float
    means: bool

    def masks(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Right and wrong answers of rows start to stop, (rows, B) each."""
        is_own = own(len(self.is_pair), start, stop, self.is_pair.device)
        can_answer = pair_mask(self.is_pair, start, stop)
        if self.groups is None:
            return is_own, can_answer & ~is_own
        is_right = self.groups[start:stop, None] == self.groups
        return (can_answer & is_right) | is_own, can_answer & ~is_right

    def rows(
        self, logits: Tensor, is_right: Tensor, is_wrong: Tensor, start: int
    ) -> tuple[Tensor, ...]:
        """Numbers of the rows of a block, which are complete."""
        right = logits.diagonal(start) if self.groups is None else None
        return self._read(logits, is_right, is_wrong, 1, right)

    def columns(
        self, logits: Tensor, is_right: Tensor, is_wrong: Tensor, start: int
    ) -> tuple[Tensor, ...]:
        """What the rows of a block add to the numbers of columns."""
        right = None
        if self.groups is None:
            after = logits.shape[1] - start - len(logits)
            right = F.pad(logits.diagonal(start), (start, after))
        return self._read(logits, is_right, is_wrong, 0, right)

    def _read(
        self, logits: Tensor, is_right: Tensor, is_wrong: Tensor, dim: int, right: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Sums and logarithms of sums along one axis; zeros stand for what nobody reads."""
        h, is_alone = self.hardness, right is not None
        if right is None:
            right = logits.masked_fill(~is_right, 0).sum(dim)
        unread = right.new_zeros(right.shape)
        return (
            right,
            logits.masked_fill(~is_wrong, 0).sum(dim) if self.means else unread,
            unread if is_alone else is_right.sum(dim),
            unread if is_alone else is_wrong.sum(dim),
            _log_sum((1 + h) * logits if h else logits, is_wrong, dim),
            unread if is_alone else _log_sum(logits, is_right, dim),
            _log_sum(h * logits, is_wrong, dim) if h else unread,
        )

    def conclude(self, numbers: Sequence[Tensor]) -> Rows:
        """One direction's rows from its sums."""
        right, wrong, rights, wrongs, log_wrong, log_right, log_weights = numbers
        if self.groups is None:
            rights = torch.ones_like(right)
            wrongs = torch.where(self.is_pair, self.is_pair.sum() - 1, 0)
            log_right = right
        if self.hardness:
            log_wrong = log_wrong - log_weights + wrongs.clamp(min=1).to(log_wrong.dtype).log()
            log_wrong = torch.where(wrongs > 0, log_wrong, _nothing(log_wrong))
        return Rows(
            right=right / rights,
            all=(right + wrong) / (rights + wrongs),
            log_right=log_right,
            log_wrong=log_wrong,
            wrongs=wrongs,
            is_asked=self.is_pair,
        )


def _log_sum(logits: Tensor, counts: Tensor, dim: int) -> Tensor:
    """logsumexp over what counts; very small, and without gradient, where nothing does."""
    return logits.masked_fill(~counts, _nothing(logits)).logsumexp(dim)


def _nothing(x: Tensor) -> float:
    """The logarithm of nothing, but finite: infinity less infinity would be no number."""
    return torch.finfo(x.dtype).min / 8


def _join(parts: Sequence[Tensor], is_log: bool) -> Tensor:
    """The numbers of columns from those of blocks of rows."""
    stacked = torch.stack(list(parts))
    return stacked.logsumexp(0) if is_log else stacked.sum(0)
