from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from mmlab_towers.image import Timm
from mmlab_towers.weights import read_weights
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform
from torch import Tensor

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError, SpecError, WeightsError
from mmlab.testing import check_encoder


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3)).astype(np.uint8), "RGB")


def batch(encoder: Any) -> Tensor:
    return torch.stack([encoder.transform(picture(90, 70, seed), False) for seed in range(3)])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["test_vit", "test_resnet", "test_efficientnet_gn"])
def test_a_model_keeps_the_contract(architecture: str) -> None:
    check_encoder(Timm, architecture=architecture, image_size=48, crop=0.5, flip=True)


@pytest.mark.slow
def test_a_model_with_weights_keeps_the_contract(write_timm: Callable[..., Path]) -> None:
    check_encoder(Timm, checkpoint=write_timm(input_size=[3, 32, 32]))


def test_features_are_those_of_timm_after_its_own_transform(
    write_timm: Callable[..., Path], context: BuildContext
) -> None:
    folder = write_timm()
    encoder = Timm(context, checkpoint=folder).eval()
    model = timm.create_model("test_resnet", num_classes=0).eval()
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict({name: x for name, x in tensors.items() if not name.startswith("fc.")})
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    transform = create_transform(
        (3, 64, 64), mean=mean, std=std, interpolation="bilinear", crop_pct=0.8
    )
    pictures = torch.stack([transform(picture(90, 70, seed)) for seed in range(3)])
    torch.testing.assert_close(encoder(batch(encoder)).pooled, model(pictures))


@pytest.mark.parametrize(
    ("architecture", "places"),
    [("test_vit", 100), ("test_resnet", 25), ("test_mambaout", 25), ("test_efficientnet", 25)],
)
def test_tokens_are_the_places_of_the_last_map(
    architecture: str, places: int, context: BuildContext
) -> None:
    torch.manual_seed(0)
    encoder = Timm(context, architecture=architecture, image_size=160).eval()
    features = encoder(batch(encoder))
    assert features.tokens is not None
    assert features.tokens.shape == (3, places, encoder.token_dim)


def test_tokens_of_a_convolutional_model_average_to_its_pooled_features(
    context: BuildContext,
) -> None:
    torch.manual_seed(0)
    encoder = Timm(context, architecture="test_resnet", image_size=64).eval()
    features = encoder(batch(encoder))
    assert features.tokens is not None
    torch.testing.assert_close(features.tokens.mean(1), features.pooled)


@pytest.mark.parametrize(
    ("architecture", "count"),
    [("test_vit", 8), ("test_resnet", 6), ("test_convnext", 6), ("test_efficientnet", 7)],
)
def test_stages_hold_every_parameter_once(
    architecture: str, count: int, context: BuildContext
) -> None:
    encoder = Timm(context, architecture=architecture)
    stages = encoder.stages()
    held = [id(p) for stage in stages for p in stage.parameters()]
    assert sorted(held) == sorted(id(p) for p in encoder.parameters())
    assert len(stages) == count


def test_stages_run_from_the_input_to_the_output(context: BuildContext) -> None:
    encoder = Timm(context, architecture="test_efficientnet")
    order = [name for stage in encoder.stages() for name in dict(stage.named_modules())]
    assert order.index("conv_stem") < order.index("0.conv_pw") < order.index("conv_head")


def test_no_weights_are_random_and_said_to_be(context: BuildContext) -> None:
    encoder = Timm(context, architecture="test_resnet")
    assert encoder.weights_description == "timm test_resnet with random weights"
    assert encoder.preprocessing.startswith("RANDOM WEIGHTS")
    assert torch.equal(encoder.mean.flatten(), torch.full((3,), 0.5))


def test_a_file_of_unknown_normalisation_is_refused(
    write_timm: Callable[..., Path], context: BuildContext
) -> None:
    file = write_timm() / "model.safetensors"
    with pytest.raises(SpecError, match="nothing tells how these weights read colours"):
        Timm(context, architecture="test_resnet", checkpoint=file)
    mean = std = (0.5, 0.5, 0.5)
    encoder = Timm(context, architecture="test_resnet", checkpoint=file, mean=mean, std=std)
    assert "model.safetensors, sha256" in encoder.weights_description


def test_a_tag_brings_the_normalisation_of_its_weights(
    write_timm: Callable[..., Path], context: BuildContext
) -> None:
    file = write_timm() / "model.safetensors"
    encoder = Timm(context, architecture="test_resnet.r160_in1k", checkpoint=file)
    settings = timm.models.get_pretrained_cfg("test_resnet.r160_in1k")
    torch.testing.assert_close(encoder.mean.flatten(), torch.tensor(settings.mean))


@pytest.mark.parametrize("name", ["resnet51", "resnet18.unheard_of", "hf-hub:some/model"])
def test_a_model_that_timm_cannot_build_by_name_is_refused(name: str) -> None:
    from mmlab_towers.recipe import checked_architecture

    with pytest.raises(ValueError, match="timm has no"):
        checked_architecture(name)


def test_a_nested_torch_file_of_wrapped_tensors_is_read(
    write_timm: Callable[..., Path], tmp_path: Path, context: BuildContext
) -> None:
    tensors = load_file(write_timm() / "model.safetensors")
    nested = {"epoch": 3, "state_dict": {f"module.{name}": x for name, x in tensors.items()}}
    torch.save(nested, tmp_path / "model.pth")
    options: Any = {"architecture": "test_resnet", "mean": (0, 0, 0), "std": (1, 1, 1)}
    encoder = Timm(context, checkpoint=tmp_path / "model.pth", **options)
    assert torch.equal(encoder.model.state_dict()["conv1.0.weight"], tensors["conv1.0.weight"])


def test_weights_of_another_architecture_are_refused(
    write_timm: Callable[..., Path], context: BuildContext
) -> None:
    folder = write_timm()
    tensors = load_file(folder / "model.safetensors")
    del tensors["conv1.0.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"missing conv1\.0\.weight"):
        Timm(context, checkpoint=folder)


class _Code:
    """A pickle of this runs code when it is read."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02"])
def test_a_file_that_is_no_checkpoint_is_refused(
    content: bytes, tmp_path: Path, context: BuildContext
) -> None:
    for name in ("weights.pth", "weights.safetensors"):
        (tmp_path / name).write_bytes(content)
        options: Any = {"architecture": "test_resnet", "mean": (0, 0, 0), "std": (1, 1, 1)}
        with pytest.raises(WeightsError, match="cannot be read"):
            Timm(context, checkpoint=tmp_path / name, **options)


def test_a_checkpoint_that_holds_itself_gives_its_tensors(tmp_path: Path) -> None:
    weights: dict[str, Any] = {"a": torch.ones(2)}
    weights["itself"] = [weights]
    torch.save(weights, tmp_path / "weights.pth")
    found = read_weights(tmp_path / "weights.pth")
    assert found.keys() == {"a"}
    assert found["a"].tolist() == [1.0, 1.0]


def test_a_torch_file_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1_000_000)}, tmp_path / "plain.pth")
    assert read_weights(tmp_path / "plain.pth")["x"].sum() == 0
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    with pytest.raises(WeightsError, match="a zip that unpacks to 4,000,"):
        read_weights(tmp_path / "bomb.pth")


#: Pickles that lack what their instructions take, in the place of a checkpoint's own.
_SENSELESS = (b"\x80\x02.", b"\x80\x02h\x28.", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.")


@pytest.mark.parametrize("pickled", _SENSELESS)
def test_a_checkpoint_whose_pickle_makes_no_sense_is_refused(
    pickled: bytes, tmp_path: Path
) -> None:
    torch.save({"x": torch.zeros(2)}, tmp_path / "whole.pth")
    with (
        zipfile.ZipFile(tmp_path / "whole.pth") as whole,
        zipfile.ZipFile(tmp_path / "weights.pth", "w") as damaged,
    ):
        for name in whole.namelist():
            is_pickle = name.endswith("data.pkl")
            damaged.writestr(name, pickled if is_pickle else whole.read(name))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(tmp_path / "weights.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("is_zip", [True, False])
def test_whatever_byte_of_a_checkpoint_is_damaged_it_is_read_or_refused(
    is_zip: bool, tmp_path: Path
) -> None:
    path, weights = tmp_path / "weights.pth", {"x": torch.zeros(2)}
    torch.save(weights, path, _use_new_zipfile_serialization=is_zip)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), 61 if is_zip else 7):
        for byte in (0, 0x2E, content[place] ^ 0x10):
            path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
            with contextlib.suppress(WeightsError):
                read_weights(path)
                continue
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_pipe_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(WeightsError, match="it is a pipe, not an ordinary file"):
        read_weights(tmp_path / name)


def test_a_pickle_of_code_is_refused_unrun(tmp_path: Path, context: BuildContext) -> None:
    torch.save({"x": _Code()}, tmp_path / "weights.pth")
    options: Any = {"architecture": "test_resnet", "mean": (0, 0, 0), "std": (1, 1, 1)}
    with pytest.raises(WeightsError, match="holds more than tensors"):
        Timm(context, checkpoint=tmp_path / "weights.pth", **options)


@pytest.mark.parametrize("content", ["{", "{}", '{"architecture": "test_resnet"}', "[]"])
def test_a_folder_that_timm_did_not_write_is_refused(
    content: str, tmp_path: Path, context: BuildContext
) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WeightsError, match="no model that timm wrote"):
        Timm(context, checkpoint=tmp_path)


def test_sources_that_contradict_each_other_are_refused(
    write_timm: Callable[..., Path], context: BuildContext
) -> None:
    with pytest.raises(SpecError, match="holds another model"):
        Timm(context, architecture="resnet18", checkpoint=write_timm())
    with pytest.raises(SpecError, match="no model is named"):
        Timm(context)


def test_a_value_that_is_no_picture_is_refused(context: BuildContext) -> None:
    with pytest.raises(DataError, match="no picture"):
        Timm(context, architecture="test_resnet").transform("text", False)


def test_a_picture_of_another_mode_is_refused(context: BuildContext) -> None:
    with pytest.raises(DataError, match="found: Image HSV"):
        Timm(context, architecture="test_resnet").transform(Image.new("HSV", (8, 8)), False)
