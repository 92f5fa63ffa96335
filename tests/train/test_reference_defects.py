"""Defects of well-known implementations: each a property that holds here and not in their form.

Every test first shows that the defective form fails what is asked, then asks it of mmlab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_fusions.directional_projections import DirectionalProjections
from mmlab_fusions.inner_product import InnerProduct
from mmlab_fusions.late_interaction import LateInteraction
from mmlab_losses.decoupled import Decoupled
from mmlab_losses.info_nce import InfoNCE
from support.loss_models import DIM, ROWS, make_batch, make_loss, make_step
from torch import Tensor, nn

from mmlab.errors import SpecError
from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes
from mmlab.train.parallel import Chunked

SHAPES = Shapes({"image": DIM, "text": DIM}, None, (), (), False, {})


class Given:
    """A similarity whose scores are given."""

    def __init__(self, forward: Tensor, backward: Tensor | None = None) -> None:
        self.scores = Scores(forward, forward if backward is None else backward)
        self.size = len(forward)
        self.present = torch.ones(len(forward), dtype=torch.bool)

    def block(self, start: int, stop: int) -> Scores:
        return Scores(self.scores.forward[start:stop], self.scores.backward[start:stop])


def loss_of(loss: Any, forward: Tensor, backward: Tensor | None = None) -> Tensor:
    batch = Batch({}, {}, torch.zeros(len(forward)), torch.arange(len(forward)), {})
    outputs = Outputs({}, None, None, Given(forward, backward))  # type: ignore[arg-type]
    value: Tensor = loss(outputs, batch, None)["loss"]
    return value


def tokens(seed: int, count: int) -> Features:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS, count, DIM, dtype=torch.float64, generator=generator)
    mask = torch.arange(count) <= torch.arange(ROWS)[:, None] % count
    return Features.of(x.mean(1), x, mask)


def late_scores(u: Features, v: Features) -> Scores:
    fusion = LateInteraction([DIM, DIM], [DIM, DIM], dim=DIM).double()
    for projection in fusion.projections:
        projection.weight.data = torch.eye(DIM, dtype=torch.float64)
    return fusion.score(fusion.project(0, u), fusion.project(1, v))


def test_1_late_interaction_normalises_each_direction_over_its_own_answers() -> None:
    """x-clip normalises both over images: then it matters which input comes first."""

    def defective(scores: Scores) -> Tensor:
        truth = torch.arange(ROWS)
        return F.cross_entropy(scores.backward.T, truth) + F.cross_entropy(scores.forward.T, truth)

    u, v = tokens(0, 4), tokens(1, 3)
    scores, swapped = late_scores(u, v), late_scores(v, u)
    assert abs(defective(scores) - defective(swapped)) > 1e-3
    loss = InfoNCE(SHAPES, temperature=1.0).double()
    found = [loss_of(loss, s.forward, s.backward) for s in (scores, swapped)]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("loss", [InfoNCE, Decoupled])
def test_2_aligned_pairs_at_scale_100_give_numbers(loss: Callable[..., nn.Module]) -> None:
    """x-clip takes exponentials as they are, and lets its temperature grow without a bound."""

    def defective(logits: Tensor) -> Tensor:
        exponentials = logits.exp()
        return (exponentials.sum(1) + 1e-20).log() - (exponentials.diagonal() + 1e-20).log()

    scores = torch.eye(ROWS)
    assert not defective(100 * scores).isfinite().all()
    made = loss(SHAPES, temperature=0.01)
    made.scale.log.data.fill_(9.0)  # type: ignore[union-attr, operator]
    made.after_step()  # type: ignore[operator]
    scores.requires_grad_()
    found = loss_of(made, scores)
    found.backward()
    assert found.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_3_the_decoupled_loss_of_one_sample_is_refused() -> None:
    """x-clip takes the logarithm of 1e-20, which stands for nothing, and learns from it."""
    defective = torch.tensor(0.0 + 1e-20).log() - 0.7
    assert float(defective) == pytest.approx(-46.75, abs=0.01)
    with pytest.raises(SpecError, match="a batch of 1"):
        loss_of(Decoupled(SHAPES), torch.full((1, 1), 0.7))


def test_4_gathering_takes_the_mask_of_tokens_along() -> None:
    """x-clip gathers latents and not the mask: scores change with what padding holds.

    test_group_losses has late interaction in two processes, with masks that differ.
    """
    u, v = tokens(0, 4), tokens(1, 3)
    assert v.tokens is not None
    assert v.mask is not None
    other = torch.where(v.mask.unsqueeze(-1), v.tokens, 7.0)

    def defective(x: Tensor) -> Tensor:
        return late_scores(u, Features.of(v.pooled, x)).forward

    assert not torch.allclose(defective(v.tokens), defective(other))
    spoilt = Features.of(v.pooled, other, v.mask)
    torch.testing.assert_close(late_scores(u, spoilt).forward, late_scores(u, v).forward)


def test_5_a_loss_counts_with_the_weight_that_the_spec_gives_it() -> None:
    """x-clip computes a self-supervision that it is handed, and multiplies it with 0."""
    losses = {"info_nce": make_loss("info_nce"), "simsiam": make_loss("simsiam")}
    step, batch = make_step(losses), make_batch()
    values = step(batch)[1]
    expected = 0.5 * values["info_nce/loss"] + 1.5 * values["simsiam/loss"]
    torch.testing.assert_close(values["loss"], expected)
    assert not torch.isclose(values["loss"], 0.5 * values["info_nce/loss"])


def test_6_a_frozen_encoder_gets_no_gradient_from_self_supervision() -> None:
    """x-clip's frozen image encoder is trained by its SimSiam. test_frozen_losses asks of all."""

    def gradient(step: Step, encode: Any) -> float:
        step.zero_grad()
        outputs = step.model(make_batch())
        step.losses["simsiam"](outputs, make_batch(), encode)["loss"].backward()
        found = [p.grad for p in step.model.encoders["image"].parameters() if p.grad is not None]
        return float(sum(x.abs().sum() for x in found))

    frozen = frozenset({"image"})
    step = make_step({"simsiam": make_loss("simsiam")}, frozen=frozen).train()
    trainable = make_step({"simsiam": make_loss("simsiam")}).train()
    # the encoder is called as it is, beside the one place where freezing was thought of
    assert gradient(trainable, lambda key, x: trainable.model.encoders[key](x)) > 0
    assert gradient(step, step.encode) == 0


@pytest.mark.parametrize(
    "fusion",
    [
        InnerProduct([DIM, DIM], dim=4),
        DirectionalProjections([DIM, DIM], dim=4),
        LateInteraction([DIM, DIM], [DIM, DIM], dim=4),
    ],
)
def test_7_every_parameter_is_trained(fusion: nn.Module) -> None:
    """x-clip allocates its extra projections always, which DDP's default refuses where unused."""
    plain = make_step({"info_nce": make_loss("info_nce")})
    step = Step(
        Model(dict(plain.model.encoders.items()), fusion, ["image", "text"]),
        dict(plain.losses.items()),
        {"info_nce": 1.0},
    )
    step(make_batch())[0].backward()
    unused = [name for name, p in step.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused == []


def gradients(step: Step) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in step.named_parameters() if p.grad is not None}


def test_8_accumulation_leaves_the_temperature_s_gradient_as_it_is() -> None:
    """open_clip adds it up once for each part of the batch: it is as many times too large."""
    whole = make_step({"info_nce": make_loss("info_nce")}).double()
    batch = make_batch(dtype=torch.float64)
    whole(batch)[0].backward()
    expected = gradients(whole)

    defective = make_step({"info_nce": make_loss("info_nce")}).double()
    for part in (0, 1):
        features = dict(_half_with_gradient(defective, batch, part))
        outputs = defective.model.outputs(features)
        (0.5 * defective.losses["info_nce"](outputs, batch, None)["loss"]).backward()
    name = "losses.info_nce.scale.log"
    torch.testing.assert_close(gradients(defective)[name], 2 * expected[name])
    torch.testing.assert_close(
        gradients(defective)["model.encoders.image.second.weight"],
        expected["model.encoders.image.second.weight"],
    )

    ours = make_step({"info_nce": make_loss("info_nce")}).double()
    ours.encode = ours.encode_own = Chunked(ours.model.encode, ROWS // 2)
    ours(batch)[0].backward()
    for key, gradient in gradients(ours).items():
        torch.testing.assert_close(gradient, expected[key])


def _half_with_gradient(step: Step, batch: Batch, part: int) -> Mapping[str, Features]:
    """Features of all rows, of which one half, or one process' share, has a gradient."""
    features = {}
    for key, x in batch.inputs.items():
        made = step.model.encode(key, x, batch.present[key])
        is_own = (torch.arange(ROWS) // (ROWS // 2) == part)[:, None]
        assert made.tokens is not None
        pooled = torch.where(is_own, made.pooled, made.pooled.detach())
        own_tokens = torch.where(is_own[:, None], made.tokens, made.tokens.detach())
        features[key] = Features(pooled, own_tokens, made.mask, made.present)
    return features


def test_9_processes_together_have_the_encoders_gradient_of_the_whole_batch() -> None:
    """open_clip's default gathers without gradient: averaged over two, half of it is missing.

    test_group_losses has the whole of it in two processes.
    """
    whole = make_step({"info_nce": make_loss("info_nce")}).double()
    batch = make_batch(dtype=torch.float64)
    whole(batch)[0].backward()
    averaged: dict[str, Tensor] = {}
    for rank in (0, 1):
        step = make_step({"info_nce": make_loss("info_nce")}).double()
        outputs = step.model.outputs(_half_with_gradient(step, batch, rank))
        (0.5 * step.losses["info_nce"](outputs, batch, None)["loss"]).backward()
        for name, gradient in gradients(step).items():
            averaged[name] = averaged.get(name, torch.zeros_like(gradient)) + gradient / 2
    encoder, temperature = "model.encoders.text.second.weight", "losses.info_nce.scale.log"
    expected = gradients(whole)
    torch.testing.assert_close(averaged[encoder], expected[encoder] / 2)
    torch.testing.assert_close(averaged[temperature], expected[temperature])
