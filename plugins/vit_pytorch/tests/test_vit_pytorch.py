"""vit-pytorch's models as encoders: the contract, equality with the library, and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from mmlab_vit_pytorch.encoder import VitPytorch
from vit_pytorch.simple_vit import SimpleViT
from vit_pytorch.vit import ViT

from mmlab.model.components import BuildContext
from mmlab.plugin import PluginError, SpecError
from mmlab.testing import check_encoder

SMALL = {"patch_size": 8, "dim": 16, "depth": 2, "heads": 2, "mlp_dim": 32}
POOLED = BuildContext(frozenset({"pooled"}))
TOKENS = BuildContext(frozenset({"pooled", "tokens"}))

#: Models of every form, at the smallest size.
MODELS: Mapping[str, Mapping[str, Any]] = {
    "deepvit": SMALL,
    "simple_vit": SMALL,
    "vit": SMALL,
    "vit_with_patch_dropout": SMALL,
    "cait": SMALL | {"cls_depth": 1},
    "cross_vit": {"sm_dim": 16, "lg_dim": 24, "sm_patch_size": 8, "lg_patch_size": 16, "depth": 1},
    "levit": {"dim": 16, "depth": 1, "heads": 2, "mlp_mult": 2, "stages": 1},
    "t2t": {"dim": 16, "depth": 1, "heads": 2, "mlp_dim": 32, "t2t_layers": [[7, 4], [3, 2]]},
    "xcit": SMALL | {"cls_depth": 1},
}


@pytest.mark.parametrize("model", ["deepvit", "simple_vit", "vit"])
def test_models_of_one_sequence_keep_the_contract(model: str) -> None:
    check_encoder(VitPytorch, model=model, dim=12, image_size=32, arguments=SMALL)


@pytest.mark.parametrize("model", MODELS)
def test_every_form_of_model_gives_one_vector(model: str) -> None:
    torch.manual_seed(0)
    encoder = VitPytorch(POOLED, model=model, dim=12, image_size=32, arguments=MODELS[model])
    pictures = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    features = encoder(pictures)
    assert features.pooled.shape == (3, 12)
    features.pooled.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.numel())


@pytest.mark.parametrize(("model", "library"), [("vit", ViT), ("simple_vit", SimpleViT)])
def test_features_are_the_librarys(model: str, library: Any) -> None:
    torch.manual_seed(0)
    encoder = VitPytorch(TOKENS, model=model, dim=12, image_size=32, arguments=SMALL).eval()
    theirs = library(num_classes=12, image_size=32, **SMALL).eval()
    theirs.load_state_dict(encoder.model.state_dict())
    pictures = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    features = encoder(pictures)
    assert torch.equal(features.pooled, theirs(pictures / 127.5 - 1))
    assert features.tokens is not None
    assert features.tokens.shape == (3, 16, 16)  # 32 / 8 squared patches, without a class token


def test_a_pass_keeps_no_tokens_behind() -> None:
    encoder = VitPytorch(TOKENS, model="vit", dim=12, image_size=32, arguments=SMALL)
    for _ in range(3):
        encoder(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert encoder._tokens == []


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("simple_vti", SMALL, 'no such model (did you mean "simple_vit"?)'),
        ("vit", SMALL | {"dpth": 2}, 'vit has no such argument (did you mean "depth"?)'),
        ("vit", SMALL | {"num_classes": 3}, "vit has no such argument"),
        ("vit", {"patch_size": 8}, "found: no dim, depth, heads, mlp_dim"),
        ("vit", SMALL | {"patch_size": 7}, "Image dimensions must be divisible"),
        ("vit", SMALL | {"patch_size": 0}, "ZeroDivisionError"),
        ("mae", SMALL, "does not turn a picture into one vector"),
        ("vit_1d", SMALL | {"seq_len": 16}, "cannot make vit_1d of these arguments"),
    ],
)
def test_what_the_library_refuses_is_said(
    model: str, arguments: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        VitPytorch(POOLED, model=model, dim=12, image_size=32, arguments=arguments)
    assert message in str(caught.value)


def test_tokens_of_a_model_without_any_are_an_error() -> None:
    with pytest.raises(PluginError, match="gives no tokens"):
        VitPytorch(TOKENS, model="xcit", dim=12, image_size=32, arguments=MODELS["xcit"])
