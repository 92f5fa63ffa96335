"""The loss check passes sound losses and names the defect of each unsound one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

import pytest
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Calibration, Encode, Outputs, Similarity
from mmlab.testing import ContractError, check_loss
from mmlab.testing.passes import SHAPES


class Sound(nn.Module):
    """One minus the cosine of each pair that is there, times a learnt weight."""

    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})
    views = 0

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.similarity is not None
        return {"loss": self.mean(1 - outputs.similarity.dense().forward.diagonal(), batch)}

    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        is_pair = batch.present["image"] & batch.present["text"]
        total = (losses.to(self.factor.dtype) * is_pair).sum()
        return self.factor * total / is_pair.sum().clamp(min=1)

    def after_step(self) -> None:
        self.factor.data.clamp_(1, 3)

    def calibration(self) -> Calibration:
        return Calibration(float(self.factor.detach()))


class SoundPrediction(nn.Module):
    """Cross entropy of the known labels."""

    reads: ClassVar[frozenset[str]] = frozenset({"prediction"})
    views = 0

    def __init__(self) -> None:
        super().__init__()

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        logits = outputs.prediction.to(torch.promote_types(outputs.prediction.dtype, torch.float32))
        if batch.target.ndim == 2:
            target = batch.target.to(logits)
            known = ~target.isnan()
            total = F.binary_cross_entropy_with_logits(
                logits[known], target[known], reduction="sum"
            )
            return {"loss": total / known.sum().clamp(min=1)}
        total = F.cross_entropy(logits, batch.target, ignore_index=-1, reduction="sum")
        return {"loss": total / (batch.target >= 0).sum().clamp(min=1)}


class SoundViews(nn.Module):
    """Distance of a picture's features from those of two further views, and of masked text."""

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "vocabulary"})
    reads_inputs = frozenset({"text"})
    views = 2

    def __init__(self) -> None:
        super().__init__()

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        total = self.distance(encode("image", batch.views["image"][0]).pooled, outputs, "image")
        ids = batch.inputs["text"]
        hidden = torch.where(torch.rand(ids.shape, device=ids.device) < 0.5, 1, ids)
        return {"loss": total + self.distance(encode("text", hidden).pooled, outputs, "text")}

    def distance(self, pooled: Tensor, outputs: Outputs, key: str) -> Tensor:
        features = outputs.features[key]
        present = features.present.unsqueeze(-1)
        difference = (pooled - features.pooled).to(torch.promote_types(pooled.dtype, torch.float32))
        return (difference.square() * present).sum() / present.sum().clamp(min=1)


@pytest.mark.parametrize("loss", [Sound, SoundPrediction, SoundViews])
def test_a_sound_loss_passes(loss: type[nn.Module]) -> None:
    check_loss(loss)


def test_a_sound_loss_of_several_labels_passes() -> None:
    check_loss(SoundPrediction, shapes=replace(SHAPES, is_multi_label=True))


class EveryRowKnown(SoundPrediction):
    """Takes every number of a target for a yes or a no."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        logits = outputs.prediction.to(torch.promote_types(outputs.prediction.dtype, torch.float32))
        return {"loss": F.binary_cross_entropy_with_logits(logits, batch.target.to(logits))}


def test_a_loss_that_takes_unknown_labels_for_known_ones_is_refused() -> None:
    with pytest.raises(ContractError, match="unknown labels"):
        check_loss(EveryRowKnown, shapes=replace(SHAPES, is_multi_label=True))


class Nameless(Sound):
    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        return {"total": super().forward(outputs, batch, encode)["loss"]}


class Undeclared(Sound):
    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        return {**super().forward(outputs, batch, encode), "extra": torch.zeros(())}


class DeclaredByName(Sound):
    metrics = frozenset({"extra"})


class Vector(Sound):
    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        return {"loss": super().forward(outputs, batch, encode)["loss"].expand(3)}


class Peeks(SoundViews):
    reads_inputs = frozenset({"image"})


class Idle(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(()))


class Detached(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses.detach(), batch)


class FirstOnly(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses, batch) + losses[0] * batch.present["image"][0]


class CountsTheAbsent(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return self.factor * losses.to(self.factor.dtype).mean()


class BreaksWithoutPairs(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        is_pair = batch.present["image"] & batch.present["text"]
        return self.factor * (losses.to(self.factor.dtype) * is_pair).sum() / is_pair.sum()


class Overflows(Sound):
    """Exponentials without a subtracted maximum."""

    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses.float().exp().log1p(), batch)


class HalfPrecision(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses, batch).to(losses.dtype)


class FailsOnOne(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        if len(losses) == 1:
            raise ValueError("too few")
        return super().mean(losses, batch)


class InfiniteOnOne(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses, batch) - torch.log(torch.tensor(len(losses) - 1.0))


class GradientOfAnother(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(2 * losses - losses.detach(), batch)


class ClampsToNothing(Sound):
    def after_step(self) -> None:
        self.factor.data.mul_(torch.inf)


class ScaleOfZero(Sound):
    def calibration(self) -> Calibration:
        return Calibration(0.0)


class Seeds(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        torch.manual_seed(1)
        return super().mean(losses, batch)


class ReadsPixels(Sound):
    reads = frozenset({"pixels"})


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (Nameless, 'a scalar named "loss"'),
        (Undeclared, r"`metrics` must declare \['extra'\]"),
        (DeclaredByName, "`metrics` must be a tuple of Metric"),
        (Vector, "a tensor without axes"),
        (Peeks, r"reads the inputs of \['text'\]: name them in `reads_inputs`"),
        (Idle, "the parameter 'idle' gets no gradient"),
        (Detached, "must give gradient to what it reads"),
        (FirstOnly, "a permuted batch must give the same loss"),
        (CountsTheAbsent, "must not depend on what an absent image holds"),
        (BreaksWithoutPairs, "nothing present must be finite"),
        (Overflows, "very large scores must be finite"),
        (HalfPrecision, "must be float32 when outputs are bfloat16"),
        (FailsOnOne, "a batch of one must work or raise an error of mmlab"),
        (InfiniteOnOne, "a batch of one must be finite"),
        (GradientOfAnother, "equal finite differences"),
        (ClampsToNothing, "after a step must be finite"),
        (ScaleOfZero, "scale must be positive"),
        (Seeds, "must not seed"),
        (ReadsPixels, "`reads` must name"),
    ],
)
def test_a_defect_of_a_loss_is_named(defect: type[Sound], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_loss(defect)


class BreaksWithoutLabels(SoundPrediction):
    """The library's own mean over no label at all is NaN."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        return {"loss": F.cross_entropy(outputs.prediction, batch.target, ignore_index=-1)}


def test_a_loss_that_breaks_without_labels_is_named() -> None:
    with pytest.raises(ContractError, match="unknown labels must be finite"):
        check_loss(BreaksWithoutLabels)


class Chunked(Sound):
    """Rows at a time, each block's mean as good as the other's."""

    def __init__(
        self, *, chunk: Annotated[int | None, Field(ge=1, description="rows at a time")] = None
    ) -> None:
        super().__init__()
        self.chunk = chunk

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.similarity is not None
        size, chunk = outputs.similarity.size, self.chunk or outputs.similarity.size
        means = [
            self.mean_of(outputs.similarity, i, min(size, i + chunk)) for i in range(0, size, chunk)
        ]
        return {"loss": self.factor * torch.stack(means).mean()}

    def mean_of(self, similarity: Similarity, start: int, stop: int) -> Tensor:
        scores = 1 - similarity.block(start, stop).forward.diagonal(start)
        is_pair = similarity.present[start:stop]
        return (scores.to(self.factor.dtype) * is_pair).sum() / is_pair.sum().clamp(min=1)


def test_a_loss_whose_blocks_do_not_add_up_is_named() -> None:
    with pytest.raises(ContractError, match="loss with chunk = 4, against all rows at once"):
        check_loss(Chunked)


class CountsAbsentPairs(Sound):
    """A pair that is not there adds nothing, but counts."""

    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        is_pair = batch.present["image"] & batch.present["text"]
        return self.factor * (losses.to(self.factor.dtype) * is_pair).mean()


def test_a_loss_in_which_absent_pairs_count_is_named() -> None:
    with pytest.raises(ContractError, match="absent must be as if it were not there"):
        check_loss(CountsAbsentPairs)


class Stopped(Sound):
    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses * losses.detach(), batch)


def test_a_loss_that_stops_a_gradient_must_say_so() -> None:
    with pytest.raises(ContractError, match="equal finite differences"):
        check_loss(Stopped)
    check_loss(Stopped, stops_gradient=True)
