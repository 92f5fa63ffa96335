"""Features of labels: encoded once, shared between evaluations, and kept in blocks where many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlab.data.tables import join_rows
from mmlab.evaluate.prompts import Prompts
from mmlab.evaluate.subject import EvaluatedModel, Piece, Work
from mmlab.files import Scratch
from mmlab.model.device import gather
from mmlab.plugin import Features

#: Prompts encoded and projected before they are averaged.
PROMPTS_AT_ONCE = 256


REMEMBERED_BYTES = 1 << 28


class LabelFeatures:
    """Projected features of a label, or of each of its prompts, for one block of labels at a time.

    A block is encoded when it is first asked for. Of several blocks all but the last one wait in
    files of a temporary folder, so that memory does not grow with the number of labels. Use it in a
    `with`.
    """

    def __init__(
        self, subject: EvaluatedModel, key: str, prompts: Prompts, *, averages: bool
    ) -> None:
        self.subject = subject
        self.key = key
        self.prompts = prompts
        self.averages = averages
        self._folder: Scratch | None = None
        self._last: tuple[slice, Features] | None = None
        self._whole: Features | None = None

    def __enter__(self) -> Self:
        """The features."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete the temporary folder."""
        self._last = self._whole = None
        if self._folder is not None:
            self._folder.close()

    def whole(self) -> Features:
        """Features of all labels, from memory where the weights and the prompts are the same."""
        if self._whole is None:
            self._whole = self._find_whole()
        return self._whole

    def _find_whole(self) -> Features:
        key = (
            self.key,
            self.prompts.identity,
            str(self.averages),
            self.subject.precision,
            weights_sha256(self.subject.model.encoders[self.key], self.subject.model.fusion),
        )
        everything = slice(0, len(self.prompts.labels))
        return self.subject.remembered.get(key, lambda: self._encode(everything))

    def block(self, labels: slice) -> Features:
        """Features of some labels; blocks must not overlap."""
        if self._last is None or self._last[0] != labels:
            self._last = labels, self._read(labels)
        return self._last[1]

    def _read(self, labels: slice) -> Features:
        if self._folder is None:
            self._folder = Scratch()
        path = self._folder.path / str(labels.start)
        if not path.exists():
            self._last = None  # two blocks in memory would be one too many
            features = self._encode(labels)
            tensors = (features.pooled, features.tokens, features.mask, features.present)
            torch.save(tensors, path)
            return features
        return Features(*torch.load(path, map_location=self.subject.device, weights_only=True))

    def _encode(self, labels: slice) -> Features:
        return encode_labels(self.subject, self.key, self.prompts, labels, averages=self.averages)


def encode_labels(
    subject: EvaluatedModel, key: str, prompts: Prompts, labels: slice, *, averages: bool
) -> Features:
    """Projected features of each label, or of each of its prompts unless they are averaged.

    Prompts are encoded some labels at a time, so that memory does not grow with templates where
    features are averaged.
    """
    step = max(1, PROMPTS_AT_ONCE // prompts.most)

    def make(first: int) -> Iterator[Piece]:
        for start in range(labels.start + first, labels.stop, step):
            chosen = slice(start, min(start + step, labels.stop))
            projected = subject.project(key, subject.encode_raws(key, prompts.texts(chosen)))
            if averages:
                projected = average(projected, torch.tensor(prompts.counts(chosen)))
            yield Piece.of(chosen.stop - chosen.start, {key: projected})

    def about() -> dict[str, object]:
        return {
            "prompts": prompts.identity,
            "from": labels.start,
            "averages": averages,
            "at_once": step,
        }

    work = Work(f"prompts {key}", labels.stop - labels.start, step, about)
    found = subject.parts.each(work, make)
    return join_rows([piece.features(key, subject.device) for piece in found])


def average(prompts: Features, counts: Tensor) -> Features:
    """Mean features of each label's prompts, which lie side by side; counts (C,) says how many."""
    return Features.of(_mean_of_parts(prompts.pooled.T, counts).T)


def mean_scores(scores: Tensor, counts: Tensor) -> Tensor:
    """Mean score of each label's prompts: (B, prompts) -> (B, C)."""
    return _mean_of_parts(scores, counts)


def mean_probabilities(scores: Tensor, counts: Tensor, scale: float) -> Tensor:
    """Log of the probability of each label, averaged over its prompts: (B, prompts) -> (B, C).

    Every label has as many prompts; the softmax of scale * score goes over the labels, for one
    prompt of each. A softmax of the result gives the averaged probabilities again.
    """
    each = scores.reshape(len(scores), len(counts), -1)  # (B, C, prompts of a label)
    logs = torch.log_softmax(scale * each, 1)
    return torch.logsumexp(logs, 2) - torch.log(torch.tensor(each.shape[2]))


def mean_sigmoids(scores: Tensor, counts: Tensor, scale: float, bias: float) -> Tensor:
    """Logit of each label's own probability, averaged over its prompts: (B, prompts) -> (B, C).

    Every label has as many prompts. In logarithms, for far from 0 a sigmoid is 0 or 1.
    """
    logits = scale * scores.reshape(len(scores), len(counts), -1) + bias  # (B, C, prompts)
    yes, no = (F.logsigmoid(each).logsumexp(2) for each in (logits, -logits))
    return yes - no


def _mean_of_parts(x: Tensor, counts: Tensor) -> Tensor:
    """Means over parts of the last axis, which lie side by side and are as long as counts say."""
    first = int(counts[0])
    if bool((counts == first).all()):
        return x.reshape(len(x), len(counts), first).mean(2)
    owner = torch.repeat_interleave(torch.arange(len(counts)), counts).to(x.device)
    sums = x.new_zeros(len(x), len(counts)).index_add_(1, owner, x)
    return sums / counts.to(x.device)


def weights_sha256(*modules: nn.Module) -> str:
    """Identity of what modules would compute: names and bytes of their parameters and buffers."""
    content = hashlib.sha256()
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            content.update(f"{name} ".encode())
            if isinstance(value, Tensor):
                value = gather(value)  # all processes of a group come here at once
                host = value.detach().cpu().contiguous().reshape(-1)
                content.update(f"{host.dtype} {tuple(value.shape)} ".encode())
                content.update(host.view(torch.uint8).numpy().data)
            else:
                content.update(repr(value).encode())
    return content.hexdigest()
