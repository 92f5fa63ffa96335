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

from mmlab.plugin import Batch, Calibration, Encode, Outputs, Shapes, Similarity, SpecError
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


class WritesToTheBatch(SoundPrediction):
    """Takes its own loss to zero by writing the truth that it is judged by."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        batch.target.fill_(0)
        return super().forward(outputs, batch, encode)


class WritesToFeatures(Sound):
    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        with torch.no_grad():
            outputs.features["image"].pooled.mul_(2)
        return super().forward(outputs, batch, encode)


class WritesThroughData(SoundPrediction):
    """`.data` escapes torch's version counters, but not a look at the values."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        outputs.prediction.data.clamp_(-0.1, 0.1)
        return super().forward(outputs, batch, encode)


@pytest.mark.parametrize(
    ("defect", "changed"),
    [
        (WritesToTheBatch, "batch changed"),
        (WritesToFeatures, "outputs.features changed"),
        (WritesThroughData, "outputs.prediction changed"),
    ],
)
def test_a_loss_that_changes_what_it_is_given_is_named(
    defect: type[nn.Module], changed: str
) -> None:
    with pytest.raises(ContractError, match="must not change in place") as caught:
        check_loss(defect)
    assert "(`forward`)" in str(caught.value)
    assert changed in str(caught.value)
    assert "mend: work on a copy" in str(caught.value)


class OneLabelOnly(SoundPrediction):
    """Fails on data of several labels, in the words of torch."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        total = F.cross_entropy(
            outputs.prediction.to(torch.promote_types(outputs.prediction.dtype, torch.float32)),
            batch.target.view(len(batch.index)),
            ignore_index=-1,
            reduction="sum",
        )
        return {"loss": total / (batch.target >= 0).sum().clamp(min=1)}


class RefusesSeveral(OneLabelOnly):
    """As it should: when it is made."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        if shapes.is_multi_label:
            raise SpecError("one label a sample")


class LastForUnknown(SoundPrediction):
    """Indexing by -1 gives the last label."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        if batch.target.ndim == 2:
            return super().forward(outputs, batch, encode)
        dtype = torch.promote_types(outputs.prediction.dtype, torch.float32)
        likely = outputs.prediction.to(dtype).log_softmax(-1)
        return {"loss": -likely[torch.arange(len(likely)), batch.target].mean()}


class NoForUnknown(SoundPrediction):
    """Takes unknown labels for a no to each of them."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        target = batch.target.nan_to_num(0) if batch.target.ndim == 2 else batch.target
        return super().forward(outputs, replace(batch, target=target), encode)


class ZeroTimesUnknown(SoundPrediction):
    """NaN times zero is NaN."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        if batch.target.ndim == 1 or bool(batch.target.isnan().all()):
            return super().forward(outputs, batch, encode)
        logits = outputs.prediction.to(torch.promote_types(outputs.prediction.dtype, torch.float32))
        known = (~batch.target.isnan()).to(logits)
        losses = F.binary_cross_entropy_with_logits(
            logits, batch.target.to(logits), reduction="none"
        )
        return {"loss": (losses * known).sum() / known.sum().clamp(min=1)}


@pytest.mark.parametrize(
    ("defect", "claim", "remedy"),
    [
        (OneLabelOnly, "takes data of several labels a sample", "raise SpecError in `__init__`"),
        (LastForUnknown, "is judged as one of the last label", "ignore_index=-1"),
        (NoForUnknown, "is judged as one of none of the labels", "leave out rows of NaN"),
        (ZeroTimesUnknown, "a loss of nan where the first", "`0 \\* nan` is NaN"),
    ],
)
def test_what_a_loss_makes_of_other_labels_is_named(
    defect: type[nn.Module], claim: str, remedy: str
) -> None:
    with pytest.raises(ContractError, match=rf"{claim}[\s\S]*mend: [\s\S]*{remedy}") as caught:
        check_loss(defect)
    assert "(`forward`)" in str(caught.value)


def test_a_loss_may_refuse_data_of_several_labels() -> None:
    check_loss(RefusesSeveral)


class WarmsUpByCounting(Sound):
    """A schedule that starts anew with every process."""

    calls = 0

    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses, batch) * min(1.0, 0.1 + self.calls / 100)

    def after_step(self) -> None:
        super().after_step()
        self.calls += 1


class Counts(Sound):
    """Counts calls, of which nothing depends."""

    calls = 0

    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        self.calls += 1
        return super().mean(losses, batch)


def test_a_schedule_in_a_python_attribute_is_named() -> None:
    with pytest.raises(ContractError, match="attribute 'calls'") as caught:
        check_loss(WarmsUpByCounting)
    assert "state, or a run that was interrupted" in str(caught.value)
    assert "(`forward or after_step`)" in str(caught.value)
    assert "register_buffer" in str(caught.value)
    check_loss(Counts)


class Rounds(Sound):
    """Computes in float32 whatever it is given."""

    def mean(self, losses: Tensor, batch: Batch) -> Tensor:
        return super().mean(losses.float(), batch)


def test_rounding_to_float32_is_told_with_what_to_write() -> None:
    with pytest.raises(ContractError, match="rounds float64") as caught:
        check_loss(Rounds)
    assert "torch.promote_types(x.dtype, torch.float32)" in str(caught.value)


def test_gradients_that_differ_are_told_in_three_lines() -> None:
    with pytest.raises(ContractError, match=r"numerical:.*analytical:") as caught:
        check_loss(GradientOfAnother)
    assert len(str(caught.value).splitlines()) == 3
    assert all(len(line) < 250 for line in str(caught.value).splitlines())
