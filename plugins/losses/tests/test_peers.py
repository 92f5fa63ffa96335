"""Side by side with open_clip's losses and with x-clip's, where those are right.

x-clip runs whole, on encoders that hand it given features; open_clip's losses are called alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.captioning import Captioning
from mmlab_losses.decoupled import Decoupled
from mmlab_losses.distillation import Distillation
from mmlab_losses.info_nce import InfoNCE
from mmlab_losses.sigmoid import Sigmoid
from mmlab_losses.simclr import SimCLR
from mmlab_losses.similarity_regularisation import SimilarityRegularisation
from torch import Tensor, nn

from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes, Vocabulary

SIZE, TOKENS, WIDTH = 6, 5, 7
SHAPES = Shapes({"image": WIDTH, "text": WIDTH}, None, (), (), False, {})
VIEWS = {"image": 1, "text": 1}
#: x-clip's temperature starts at exp(1), whatever its spec says.
OPTIONS: dict[str, Any] = {"temperature": math.exp(-1)}


def vectors(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


class Pairs:
    """Cosines of vectors; each side may have others for the other direction."""

    def __init__(self, sides: Mapping[str, Tensor], others: Mapping[str, Tensor] | None = None):
        self.sides = {key: Features.of(x) for key, x in sides.items()}
        self.forward, self.backward = (others or sides), sides
        self.size = SIZE
        self.present = torch.ones(SIZE, dtype=torch.bool)

    def of(self, features: Mapping[str, Features]) -> Pairs:
        return Pairs({key: features[key].pooled for key in self.sides})

    def block(self, start: int, stop: int) -> Scores:
        forward, backward = (
            F.normalize(x["image"][start:stop], dim=1) @ F.normalize(x["text"], dim=1).T
            for x in (self.forward, self.backward)
        )
        return Scores(forward, backward)


def loss_of(loss: Any, pairs: Any, views: Mapping[str, Tensor] | None = None) -> Tensor:
    features = dict(pairs.sides)
    batch = Batch({}, {}, torch.zeros(SIZE), torch.arange(SIZE), views or {})
    outputs = Outputs(features, None, None, pairs)
    value: Tensor = loss.double()(outputs, batch, lambda key, x: Features.of(x))["loss"]
    return value


def unit(seed: int) -> Tensor:
    return F.normalize(vectors(SIZE, WIDTH, seed=seed), dim=1)


# --- open_clip ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_clip() -> Any:
    return pytest.importorskip("open_clip.loss")


def require_same_gradients(ours: Tensor, theirs: Tensor, leaves: Sequence[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(*(torch.autograd.grad(x, leaves) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)


def test_info_nce_is_open_clip_s(open_clip: Any) -> None:
    u, v = unit(0).requires_grad_(), unit(1).requires_grad_()
    ours = loss_of(InfoNCE(SHAPES, temperature=0.1), Pairs({"image": u, "text": v}))
    theirs = open_clip.ClipLoss()(F.normalize(u, dim=1), F.normalize(v, dim=1), 10.0)
    require_same_gradients(ours, theirs, [u, v])


def test_sigmoid_is_open_clip_s(open_clip: Any) -> None:
    u, v = unit(0).requires_grad_(), unit(1).requires_grad_()
    ours = loss_of(Sigmoid(SHAPES), Pairs({"image": u, "text": v}))
    theirs = open_clip.SigLipLoss()(F.normalize(u, dim=1), F.normalize(v, dim=1), 10.0, -10.0)
    require_same_gradients(ours, theirs, [u, v])


def test_distillation_has_open_clip_s_gradient(open_clip: Any) -> None:
    """Theirs is the cross entropy: it adds the teacher's own entropy, which nothing trains."""
    u, v, s, t = unit(0).requires_grad_(), unit(1).requires_grad_(), unit(2), unit(3)

    student = loss_of_taught(Pairs({"image": u, "text": v}), s, t)
    logits = 10 * s @ t.T
    entropy = sum(-(x.softmax(1) * x.log_softmax(1)).sum(1).mean() / 2 for x in (logits, logits.T))
    _, theirs = open_clip.DistillClipLoss()(
        F.normalize(u, dim=1), F.normalize(v, dim=1), 10.0, s, t, 10.0
    )
    require_same_gradients(student + entropy, theirs, [u, v])


def test_captioning_is_open_clip_s(open_clip: Any) -> None:
    """CoCa's loss of the same logits and labels, in which what stands at padding has no say."""
    text = ids(7).where(torch.arange(TOKENS) < torch.arange(2, 2 + SIZE)[:, None], 0)
    is_padding = text[:, 1:] == 0
    logits = vectors(SIZE, TOKENS - 1, 50, seed=8).requires_grad_()
    ours = caption_loss(logits, text)
    coca = open_clip.CoCaLoss(caption_loss_weight=1.0, clip_loss_weight=0.0, pad_id=0)
    _, theirs = coca(None, None, logits, text[:, 1:], None)
    require_same_gradients(ours, theirs, [logits])
    changed = caption_loss(logits.masked_fill(is_padding[..., None], 9.0), text)
    torch.testing.assert_close(changed, theirs, rtol=0, atol=1e-6)
    assert is_padding.any()


class Written(nn.Module):
    """In the place of a decoder's last map: logits that are given."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits


def caption_loss(logits: Tensor, text: Tensor) -> Tensor:
    vocabulary = Vocabulary(50, 0, 1, frozenset({0, 1}))
    widths = {"image": WIDTH, "text": WIDTH}
    shapes = Shapes(widths, None, (), (), False, {"text": vocabulary}, widths)
    loss = Captioning(shapes, width=8).double()
    loss.write = Written(logits)  # type: ignore[assignment]
    image = Features.of(vectors(SIZE, WIDTH), vectors(SIZE, 3, WIDTH))
    features = {"image": image, "text": Features.of(vectors(SIZE, WIDTH))}
    batch = Batch({"text": text}, {}, torch.zeros(SIZE), torch.arange(SIZE), {})
    value: Tensor = loss(Outputs(features, None, None, None), batch, lambda key, x: image)["loss"]
    return value


def loss_of_taught(pairs: Pairs, s: Tensor, t: Tensor) -> Tensor:
    loss = Distillation(
        Shapes({"s": WIDTH, "t": WIDTH}, None, (), (), False, {}),
        teachers=["s", "t"],
        temperature=0.1,
        teacher_temperature=0.1,
    )
    features = {"s": Features.of(s), "t": Features.of(t)}
    batch = Batch({}, {}, torch.zeros(SIZE), torch.arange(SIZE), {})
    return loss(Outputs(features, None, None, pairs), batch, lambda key, x: features[key])["loss"]  # type: ignore[arg-type, no-any-return]


# --- x-clip ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def x_clip() -> Any:
    return pytest.importorskip("x_clip")


class Given(nn.Module):
    """An encoder of ids: a row of numbers for each, after their mean as a class token."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = self.table[ids]
        return torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)


def make_clip(x_clip: Any, **options: Any) -> Any:
    """A whole x-clip model whose encoders look numbers up: texts and pictures are ids."""
    torch.manual_seed(0)
    clip = x_clip.CLIP(
        image_encoder=Given(vectors(50, WIDTH, seed=3)),
        text_encoder=Given(vectors(50, WIDTH, seed=4)),
        dim_text=WIDTH,
        dim_image=WIDTH,
        dim_latent=WIDTH - 2,
        **options,
    )
    return clip.double().train()


def ids(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 50, (SIZE, TOKENS), generator=generator)


def latents(clip: Any, text: Tensor, image: Tensor) -> list[dict[str, Tensor]]:
    """The vectors that x-clip compares; texts ask with the first pair, pictures with the last."""
    made = [x.detach() for x in clip(text, image, return_latents=True)]
    return [{"image": made[i + 1], "text": made[i]} for i in range(0, len(made), 2)]


def similarity(clip: Any, text: Tensor, image: Tensor) -> Pairs:
    made = latents(clip, text, image)
    return Pairs(made[0], made[-1])


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize(("decoupled", "loss"), [(False, InfoNCE), (True, Decoupled)])
def test_contrastive_losses_are_x_clip_s(
    x_clip: Any, decoupled: bool, loss: type[Any], extra: bool
) -> None:
    clip = make_clip(
        x_clip, decoupled_contrastive_learning=decoupled, extra_latent_projection=extra
    )
    text, image = ids(1), ids(2)
    theirs = clip(text, image, return_loss=True)
    pairs = similarity(clip, text, image)
    torch.testing.assert_close(loss_of(loss(SHAPES, **OPTIONS), pairs), theirs, rtol=1e-6, atol=0)


def test_views_are_x_clip_s(x_clip: Any) -> None:
    """Its weights add up to 1: 0.9 for the batch's own pair, 0.1 for the mean of the others."""
    clip = make_clip(x_clip)
    text, image, other_text, other_image = (ids(seed) for seed in (1, 2, 5, 6))
    theirs = clip(text, image, return_loss=True, aug_text=other_text, aug_image=other_image)
    pairs = similarity(clip, text, image)
    further = similarity(clip, other_text, other_image)
    views = {key: side.pooled[None] for key, side in further.sides.items()}
    ours = loss_of(InfoNCE(SHAPES, **OPTIONS, views=VIEWS, view_weight=0.1 / 0.9), pairs, views)
    torch.testing.assert_close(0.9 * ours, theirs, rtol=1e-6, atol=0)


def test_similarity_regularisation_is_x_clip_s(x_clip: Any) -> None:
    """It works there with both pairs of projections alone, and is the mean over them."""
    text, image, options = ids(1), ids(2), {"extra_latent_projection": True}
    plain = make_clip(x_clip, **options)(text, image, return_loss=True)
    clip = make_clip(x_clip, **options, sim_reg_loss_weight=1.0)
    theirs = clip(text, image, return_loss=True) - plain
    both = [loss_of(SimilarityRegularisation(), Pairs(x)) for x in latents(clip, text, image)]
    torch.testing.assert_close(torch.stack(both).mean(), theirs)


def test_late_interaction_in_x_clip_normalises_both_directions_over_images(x_clip: Any) -> None:
    """Where it is wrong: scores are those of `late_interaction`, the second softmax is not."""
    fusion = pytest.importorskip("mmlab_fusions.late_interaction").LateInteraction
    clip = make_clip(x_clip, use_all_token_embeds=True)
    text, image = ids(1), ids(2)
    text[::2, -2:] = 0
    theirs = clip(text, image, return_loss=True)
    late = fusion([WIDTH] * 2, [WIDTH] * 2, dim=WIDTH - 2).double()
    late.projections[0].weight = clip.to_visual_latent.weight
    late.projections[1].weight = clip.to_text_latent.weight
    pictures = clip.visual_transformer(image)[:, 1:]
    words = clip.text_transformer(text)[:, 1:]
    scores = late.score(
        late.project(0, Features.of(pictures[:, 0], pictures)),
        late.project(1, Features.of(words[:, 0], words, text != 0)),
    )
    truth = torch.arange(SIZE)
    wrong = [F.cross_entropy(math.e * x.T, truth) for x in (scores.backward, scores.forward)]
    right = F.cross_entropy(math.e * scores.forward, truth)
    torch.testing.assert_close(sum(wrong) / 2, theirs, rtol=1e-6, atol=0)
    assert not torch.isclose((wrong[0] + right) / 2, theirs, rtol=1e-4)


def test_simclr_is_x_clip_s(x_clip: Any) -> None:
    """Its own projections are not brought to length 1; given ones that are, losses agree."""
    visual_ssl = pytest.importorskip("x_clip.visual_ssl")
    loss = SimCLR(SHAPES, hidden=8, dim=4).double()
    first, second = vectors(SIZE, WIDTH, seed=7), vectors(SIZE, WIDTH, seed=8)
    z = [F.normalize(loss.projector(x), dim=1) for x in (first, second)]
    features = {"image": Features.of(first)}
    batch = Batch({}, {}, torch.zeros(SIZE), torch.arange(SIZE), {"image": second[None]})
    outputs = Outputs(features, None, None, None)
    ours = loss(outputs, batch, lambda key, x: Features.of(x))["loss"]
    torch.testing.assert_close(ours, visual_ssl.nt_xent_loss(*z, temperature=0.1))
