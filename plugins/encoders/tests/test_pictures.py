from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmlab_encoders.convnet import ConvNet
from mmlab_encoders.images import ImageTransform, normalise
from mmlab_encoders.vit import PatchEmbedding, ViT, keep_some
from PIL import Image
from torch import Tensor, nn

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError, SpecError
from mmlab.testing import check_encoder

SMALL_VIT = {"image_size": 32, "width": 16, "depth": 2, "heads": 2}
SMALL_CONVNET = {"image_size": 32, "width": 16}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pool": "class", "patch_dropout": 0.5, "crop": 0.5, "flip": True},
        {"patch_size": 32, "depth": 1},
    ],
)
def test_vit_keeps_the_contract(options: dict[str, Any]) -> None:
    check_encoder(ViT, **SMALL_VIT | options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"width": 24, "levels": 1, "depth": 2},
        {"crop": 0.3, "flip": True, "jitter": 1.0, "grey": 0.2, "blur": 0.5},
    ],
)
def test_convnet_keeps_the_contract(options: dict[str, Any]) -> None:
    check_encoder(ConvNet, **SMALL_CONVNET | options)


def test_patches_are_cut_row_by_row() -> None:
    torch.manual_seed(0)
    embedding = PatchEmbedding(6, 3, 4, has_class_token=False).double()
    x = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    weight, bias = embedding.patches.weight.flatten(1), embedding.patches.bias
    expected = [
        weight @ x[0, :, row : row + 3, column : column + 3].flatten() + bias
        for row in (0, 3)
        for column in (0, 3)
    ]
    torch.testing.assert_close(embedding(x)[0], torch.stack(expected) + embedding.position)


def test_patch_dropout_keeps_a_different_part_of_each_sample() -> None:
    torch.manual_seed(0)
    tokens = torch.arange(10.0).reshape(1, 10, 1).expand(50, -1, -1)
    kept = keep_some(tokens, 0.5).squeeze(-1)
    assert kept.shape == (50, 5)
    assert all(len(set(row)) == 5 for row in kept.tolist())
    assert len({tuple(sorted(row)) for row in kept.tolist()}) > 10


def test_patch_dropout_leaves_one_patch_at_least() -> None:
    assert keep_some(torch.zeros(2, 4, 3), 0.99).shape == (2, 1, 3)


def test_patch_dropout_never_drops_the_class_token() -> None:
    embedding = PatchEmbedding(8, 4, 6, has_class_token=True)
    embedding.dropout = 0.75
    tokens = embedding(torch.zeros(30, 3, 8, 8))
    assert tokens.shape == (30, 2, 6)
    assert torch.equal(tokens[:, 0], embedding.class_token.expand(30, -1))


def test_patch_dropout_is_off_in_evaluation(context: BuildContext) -> None:
    vit = ViT(context, **SMALL_VIT, patch_dropout=0.75)
    x = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert vit.train()(x).tokens.shape[1] == 4
    assert vit.eval()(x).tokens.shape[1] == 16


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    x = ImageTransform(16, crop=1, flip=False)(Image.fromarray(pixels), True)
    assert torch.equal(x, torch.from_numpy(pixels).permute(2, 0, 1))


def test_a_wide_picture_is_resized_and_cut_in_the_middle() -> None:
    picture = Image.new("RGB", (48, 16), (200, 0, 0))
    picture.paste((0, 100, 0), (16, 0, 32, 16))
    x = ImageTransform(16, crop=1, flip=False)(picture, False)
    assert x.flatten(1).T.unique(dim=0).tolist() == [[0, 100, 0]]


def test_training_crops_and_flips_differ_from_time_to_time() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    transform = ImageTransform(16, crop=0.5, flip=True)
    made = [transform(Image.fromarray(pixels), True) for _ in range(4)]
    assert len({x.numpy().tobytes() for x in made}) == 4


def test_grey_pictures_have_no_colour_and_only_in_training() -> None:
    picture, transform = Image.new("RGB", (20, 20), (200, 10, 30)), grey_always()
    in_training, otherwise = transform(picture, True), transform(picture, False)
    assert torch.equal(in_training[0], in_training[1])
    assert torch.equal(in_training[0], in_training[2])
    assert otherwise.flatten(1).T.unique(dim=0).tolist() == [[200, 10, 30]]


def grey_always() -> ImageTransform:
    return ImageTransform(16, crop=1, flip=False, grey=1.0)


def test_jitter_changes_colours_of_most_pictures_each_in_its_own_way() -> None:
    torch.manual_seed(0)
    picture = Image.new("RGB", (16, 16), (200, 100, 30))
    transform = ImageTransform(16, crop=1, flip=False, jitter=1.0)
    colours = {tuple(transform(picture, True)[:, 0, 0].tolist()) for _ in range(40)}
    assert (200, 100, 30) in colours
    assert len(colours) > 20


def test_so_many_pictures_change_colours_as_are_asked_for() -> None:
    torch.manual_seed(0)
    picture = Image.new("RGB", (8, 8), (200, 100, 30))
    transform = ImageTransform(8, crop=1, flip=False, jitter=1.0, jitter_share=0.3)
    made = [tuple(transform(picture, True)[:, 0, 0].tolist()) for _ in range(400)]
    changed = sum(colour != (200, 100, 30) for colour in made) / len(made)
    assert changed == pytest.approx(0.3, abs=0.08)  # 3.5 standard deviations
    assert not ImageTransform(8, crop=1, flip=False, jitter=1.0, jitter_share=0.0).is_random


def test_blur_smooths_an_edge() -> None:
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[:, 20:] = 255
    torch.manual_seed(0)
    x = ImageTransform(40, crop=1, flip=False, blur=1.0)(Image.fromarray(pixels), True)
    assert 0 < int(x[0, 0, 19]) < int(x[0, 0, 20]) < 255


@pytest.mark.parametrize("option", ["jitter", "grey", "blur"])
def test_what_draws_anything_is_random(option: str) -> None:
    assert not ImageTransform(16, crop=1, flip=False).is_random
    assert ImageTransform(16, crop=1, flip=False, **{option: 0.5}).is_random


def test_pixel_values_become_minus_one_to_one() -> None:
    x = torch.tensor([0, 255], dtype=torch.uint8)
    assert normalise(x).tolist() == [-1.0, 1.0]


def test_a_value_that_is_no_picture_is_refused() -> None:
    with pytest.raises(DataError, match="found: str"):
        ImageTransform(16, crop=1, flip=False)("a cat", False)


@pytest.mark.parametrize("mode", ["L", "RGBA", "YCbCr", "I;16"])
def test_a_picture_of_another_mode_is_refused_not_misread(mode: str) -> None:
    with pytest.raises(DataError, match=f"found: Image {mode}"):
        ImageTransform(16, crop=1, flip=False)(Image.new(mode, (16, 16)), False)


def test_patches_that_do_not_tile_the_picture_are_refused(context: BuildContext) -> None:
    with pytest.raises(SpecError, match="found: image_size 64, patch_size 10"):
        ViT(context, patch_size=10)


def test_features_of_the_convnet_do_not_depend_on_the_batch_in_training(
    context: BuildContext,
) -> None:
    convnet = ConvNet(context, **SMALL_CONVNET).train()
    x = torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(convnet(x).pooled[:2], convnet(x[:2]).pooled)


@pytest.mark.parametrize(
    ("kind", "options"), [(ViT, SMALL_VIT), (ConvNet, SMALL_CONVNET)], ids=["vit", "convnet"]
)
def test_eight_random_pictures_are_learnt_by_heart(
    context: BuildContext, kind: type[nn.Module], options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    encoder, head = kind(context, **options), nn.Linear(options["width"] * _growth(kind), 8)
    x = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
    assert _learn(encoder, head, x) == 1.0


def _growth(kind: type[nn.Module]) -> int:
    return 4 if kind is ConvNet else 1


def _learn(encoder: nn.Module, head: nn.Module, x: Tensor) -> float:
    """Accuracy on x, whose labels are 0, 1, 2, ..., after forty steps on it."""
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    labels = torch.arange(len(x))
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(head(encoder(x).pooled), labels).backward()
        optimizer.step()
    return float((head(encoder(x).pooled).argmax(1) == labels).float().mean())


def test_the_mean_of_patches_is_the_picture(context: BuildContext) -> None:
    vit = ViT(context, image_size=16, patch_size=4, width=8, depth=1, heads=2)
    x = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    patches = vit.eval().patches(x)
    assert patches.shape == (2, 4, 4, 8)
    assert vit.patch_grid == (4, 4)
    torch.testing.assert_close(patches.mean((1, 2)), vit(x).pooled)


def test_patches_of_a_model_with_a_class_token_leave_that_out(context: BuildContext) -> None:
    vit = ViT(context, image_size=16, patch_size=8, width=8, depth=1, heads=2, pool="class").eval()
    x = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    tokens = vit.trunk(vit.embedding(normalise(x)))
    assert vit.patches(x).shape == (1, 2, 2, 8)
    torch.testing.assert_close(vit.patches(x).flatten(1, 2), tokens[:, 1:])
