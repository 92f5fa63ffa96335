from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from mmlab_openclip.encoder import open_clip as make
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from mmlab.plugin import DataError, PluginError
from mmlab.testing.boxes import check_placement

COCA = {
    "embed_dim": 32,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 64,
        "head_width": 32,
        "patch_size": 16,
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "attn_pooler_queries": 5,
        "output_tokens": True,
    },
    "text_cfg": {
        "context_length": 15,
        "width": 32,
        "heads": 2,
        "layers": 2,
        "embed_cls": True,
        "output_tokens": True,
    },
    "multimodal_cfg": {"context_length": 15, "width": 32, "heads": 2, "layers": 1},
}
RESNET = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "text_cfg": {"context_length": 20, "width": 32, "heads": 2, "layers": 1},
}
TIMM = {
    "embed_dim": 16,
    "vision_cfg": {
        "timm_model_name": "test_vit",
        "timm_pool": "token",
        "timm_proj": "linear",
        "image_size": 160,
    },
    "text_cfg": {"context_length": 20, "width": 32, "heads": 2, "layers": 1},
}

MEAN = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
        "pool_type": "avg",
    },
    "text_cfg": {"context_length": 20, "width": 32, "heads": 2, "layers": 1},
}


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    return to_pil_image(torch.randint(0, 256, (3, height, width), generator=generator).byte())


def batch(encoder: Any) -> torch.Tensor:
    pictures = [picture(50, 40, seed) for seed in range(3)]
    return torch.stack([encoder.transform(one, False) for one in pictures])


def theirs(architecture: str) -> tuple[Any, torch.Tensor]:
    """open_clip's model and its preprocessed pictures."""
    model, _, preprocess = open_clip.create_model_and_transforms(architecture)
    pictures = torch.stack([preprocess(picture(50, 40, seed)) for seed in range(3)])
    return model.eval(), pictures


@pytest.mark.slow  # each makes a model and writes it
@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
def test_a_rectangle_comes_to_lie_where_the_placement_says(
    write_model: Any, context: Any, resize_mode: str
) -> None:
    text = {"context_length": 20, "width": 32, "heads": 2, "layers": 1}
    vision = {"image_size": [32, 48], "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    architecture = write_model(config, {"resize_mode": resize_mode})
    check_placement(make("image", context, architecture=architecture))


@pytest.mark.parametrize("size", [(50, 40), (31, 77), (32, 32), (9, 12)])
@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
def test_pictures_reach_the_tower_as_from_open_clips_own_preprocessing(
    write_model: Any, context: Any, size: tuple[int, int], resize_mode: str
) -> None:
    settings = {"resize_mode": resize_mode, "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.2, 0.3]}
    architecture = write_model(preprocess=settings)
    encoder = make("image", context, architecture=architecture)
    _, _, preprocess = open_clip.create_model_and_transforms(architecture)
    seen: list[torch.Tensor] = []
    encoder.tower.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    x = encoder.transform(picture(*size), False)
    encoder(x[None])

    assert x.dtype == torch.uint8
    assert torch.equal(seen[0][0], preprocess(picture(*size)))


@pytest.mark.parametrize("config", [None, COCA, RESNET, TIMM], ids=["clip", "coca", "rn", "timm"])
def test_pictures_are_encoded_as_by_open_clip(write_model: Any, context: Any, config: Any) -> None:
    architecture = write_model(config) if config else write_model()
    encoder = make("image", context, architecture=architecture).eval()
    model, pictures = theirs(architecture)
    coca = {"normalize": False} if config is COCA else {}  # its default differs from CLIP's

    with torch.no_grad():
        pooled = encoder(batch(encoder)).pooled
        expected = model.encode_image(pictures, **coca)

    assert pooled.shape == (3, encoder.dim)
    torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("config", [None, COCA, TIMM], ids=["clip", "coca", "timm"])
def test_tokens_come_beside_the_same_pooled_features(
    write_model: Any, context: Any, tokens_context: Any, config: Any
) -> None:
    architecture = write_model(config) if config else write_model()
    plain = make("image", context, architecture=architecture).eval()
    encoder = make("image", tokens_context, architecture=architecture).eval()

    with torch.no_grad():
        features = encoder(batch(encoder))
        pooled = plain(batch(plain)).pooled

    assert plain.token_dim is None
    assert features.tokens.shape == (3, features.mask.shape[1], encoder.token_dim)
    assert features.mask.all()
    torch.testing.assert_close(features.pooled, pooled, atol=1e-6, rtol=0)


def test_a_tower_without_tokens_says_so(write_model: Any, tokens_context: Any) -> None:
    with pytest.raises(PluginError, match="gives no tokens"):
        make("image", tokens_context, architecture=write_model(RESNET))


def test_the_image_encoder_owns_the_image_towers_parameters_and_no_others(
    clip: str, context: Any
) -> None:
    encoder = make("image", context, architecture=clip)
    model = open_clip.create_model(clip)

    assert {name for name, _ in encoder.named_parameters()} == {
        f"tower.{name}" for name, _ in model.visual.named_parameters()
    }


@pytest.mark.parametrize("config", [None, RESNET, TIMM], ids=["clip", "rn", "timm"])
def test_stages_hold_every_parameter_once(write_model: Any, context: Any, config: Any) -> None:
    architecture = write_model(config) if config else write_model()
    encoder = make("image", context, architecture=architecture)

    held = [id(p) for stage in encoder.stages() for p in stage.parameters()]

    assert sorted(held) == sorted(id(p) for p in encoder.parameters())


def test_every_parameter_receives_gradient(clip: str, context: Any) -> None:
    encoder = make("image", context, architecture=clip)

    encoder(batch(encoder)).pooled.square().sum().backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_training_reads_pictures_as_evaluation_does_unless_a_crop_is_asked_for(
    clip: str, context: Any
) -> None:
    plain = make("image", context, architecture=clip)
    cropped = make("image", context, architecture=clip, crop=0.5)

    def differ(encoder: Any) -> bool:
        seen = [encoder.transform(picture(50, 40), train) for train in (True, False)]
        assert seen[0].shape == seen[1].shape == (3, 32, 32)
        return not torch.equal(*seen)

    assert not differ(plain)
    assert differ(cropped)


def test_a_value_that_is_no_picture_is_refused(clip: str, context: Any) -> None:
    encoder = make("image", context, architecture=clip)

    with pytest.raises(DataError, match="found: a value of type str"):
        encoder.transform("a dog", False)


def changed(config: dict[str, Any], **vision: Any) -> dict[str, Any]:
    return {**config, "vision_cfg": {**config["vision_cfg"], **vision}}


def test_the_mean_of_patches_is_the_picture_where_a_tower_pools_by_the_mean(
    write_model: Any, context: Any
) -> None:
    tower = make("image", context, architecture=write_model(MEAN))
    tower.eval()
    x = batch(tower)
    patches = tower.patches(x)
    assert patches.shape == (len(x), *tower.patch_grid, tower.dim)
    torch.testing.assert_close(patches.mean((1, 2)), tower(x).pooled)


def test_patches_of_clip_are_its_tokens_projected_as_its_class_token_is(
    write_model: Any, context: Any, tokens_context: Any
) -> None:
    name = write_model()
    tower = make("image", context, architecture=name).eval()
    tokens = make("image", tokens_context, architecture=name).eval()(batch(tower)).tokens
    expected = tokens @ tower.tower.proj
    torch.testing.assert_close(tower.patches(batch(tower)).flatten(1, 2), expected)


MAPPED = {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"}


@pytest.mark.parametrize("config", [changed(TIMM, timm_pool="avg"), changed(TIMM, **MAPPED)])
def test_a_patch_is_what_timm_pools_of_its_token_alone(
    write_model: Any, context: Any, config: dict[str, Any]
) -> None:
    tower = make("image", context, architecture=write_model(config)).eval()
    trunk, x = tower.tower.trunk, batch(tower)
    trunk.pool_include_prefix = False
    pixels = x.div(255).sub(tower.mean).div(tower.std)
    tokens = trunk.forward_features(pixels)
    alone = torch.cat([tokens[:, : trunk.num_prefix_tokens], tokens[:, -1:]], 1)
    expected = tower.tower.head(trunk.forward_head(alone))
    torch.testing.assert_close(tower.patches(x)[:, -1, -1], expected)


def test_towers_whose_tokens_are_no_places_have_no_patches(write_model: Any, context: Any) -> None:
    for config in (COCA, RESNET):
        assert make("image", context, architecture=write_model(config)).patch_grid is None
