from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import huggingface_hub.constants
import open_clip
import pytest
import torch
from mmlab_openclip.encoder import open_clip as make
from mmlab_openclip.names import architectures
from mmlab_openclip.source import Source, resolve
from open_clip.pretrained import _PRETRAINED
from open_clip.transformer import QuickGELU
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from mmlab.errors import MmlabError
from mmlab.plugin import SpecError, WeightsError


def folder(architecture: str) -> Path:
    return Path(architecture.removeprefix("local-dir:"))


def weights(architecture: str) -> dict[str, torch.Tensor]:
    return load_file(folder(architecture) / "open_clip_model.safetensors")


def assert_explained(error: MmlabError, *words: str) -> None:
    """The message has its five parts, and says these words."""
    lines = str(error).splitlines()
    assert ": " in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["found", "allowed", "next"]
    for word in words:
        assert word in str(error)


def save_as_safetensors(state: dict[str, torch.Tensor], path: Path) -> None:
    save_file(state, path)


def save_as_training_checkpoint(state: dict[str, torch.Tensor], path: Path) -> None:
    """As open_clip's own training loop under a parallel wrapper does."""
    state = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": state}, path)


@pytest.mark.parametrize("save", [save_as_safetensors, save_as_training_checkpoint, torch.save])
def test_a_local_file_gives_its_weights(
    clip: str, context: Any, tmp_path: Path, save: Callable[..., None]
) -> None:
    suffix = "safetensors" if save is save_as_safetensors else "pt"
    path = tmp_path / f"mine.{suffix}"
    state = {name: value + 1 for name, value in weights(clip).items()}
    save(state, path)

    encoder = make("image", context, architecture=clip, checkpoint=path)

    assert torch.equal(encoder.tower.proj, state["visual.proj"])
    assert "mine" in encoder.weights_description
    assert "sha256" in encoder.weights_description


def test_both_towers_come_from_one_reading(clip: str, context: Any) -> None:
    make("image", context, architecture=clip)
    make("text", context, architecture=clip)

    checkpoint = context.once(Source(clip).key, dict)
    assert checkpoint.towers == {}


def test_a_second_encoder_of_one_modality_shares_no_parameter_with_the_first(
    clip: str, context: Any
) -> None:
    teacher = make("image", context, architecture=clip)
    student = make("image", context, architecture=clip)

    assert torch.equal(teacher.tower.proj, student.tower.proj)
    assert not {id(p) for p in teacher.parameters()} & {id(p) for p in student.parameters()}


def test_random_weights_are_asked_for_and_said_wherever_results_are_read(
    clip: str, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    encoders = [
        make(modality, context, architecture=clip, pretrained="") for modality in ("image", "text")
    ]

    assert all("random weights" in encoder.weights_description for encoder in encoders)
    assert all("RANDOM WEIGHTS" in encoder.preprocessing for encoder in encoders)
    assert "random weights" in caplog.text
    assert not torch.equal(encoders[0].tower.proj, weights(clip)["visual.proj"])


def test_random_weights_follow_the_ambient_generator(clip: str, context: Any) -> None:
    projections = []
    for _ in range(2):
        torch.manual_seed(7)
        projections.append(make("image", context, architecture=clip, pretrained="").tower.proj)

    assert torch.equal(*projections)


def test_loaded_weights_are_not_called_random(
    clip: str, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = make("image", context, architecture=clip)

    assert "random" not in (encoder.preprocessing + encoder.weights_description).lower()
    assert not [record for record in caplog.records if record.name.startswith("mmlab")]


def test_an_architecture_without_weights_is_an_error(context: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture="ViT-B-32")

    assert_explained(caught.value, "ViT-B-32 needs weights", "openai", "laion2b_s34b_b79k", '""')


def test_a_folder_without_weights_is_an_error(clip: str, context: Any) -> None:
    (folder(clip) / "open_clip_model.safetensors").unlink()

    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=clip)

    assert_explained(caught.value, "no weights", "found: open_clip_config.json")


def test_an_unknown_architecture_is_an_error_with_the_nearest_names(context: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture="vit-b-33", pretrained="openai")

    assert_explained(caught.value, "'vit-b-33'", "ViT-B-32")


def test_an_unknown_tag_is_an_error_with_the_nearest_names(context: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture="ViT-B-32", pretrained="open-ai")

    assert_explained(caught.value, "nearest: openai", "found: open-ai")


def test_a_tag_beside_a_folder_is_an_error(clip: str, context: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=clip, pretrained="openai")

    assert_explained(caught.value, "brings its own weights", "'openai'")


def test_a_modality_without_a_tower_is_an_error(clip: str, context: Any) -> None:
    with pytest.raises(SpecError) as caught:
        make("audio", context, architecture=clip)

    assert_explained(caught.value, "modality 'audio'", "image, text")


@pytest.mark.parametrize(
    ("architecture", "pretrained"), [("ViT-B-32", "openai"), ("hf-hub:nobody/nothing", None)]
)
def test_weights_that_cannot_be_downloaded_are_an_error(
    context: Any,
    architecture: str,
    pretrained: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=architecture, pretrained=pretrained)

    assert_explained(caught.value, "cannot be downloaded", "HF_HOME", "`checkpoint`")


def test_weights_of_another_width_name_the_tensors_that_do_not_fit(
    clip: str, write_model: Any, context: Any
) -> None:
    config = json.loads((folder(clip) / "open_clip_config.json").read_text())["model_cfg"]
    other = write_model(config | {"embed_dim": 12})

    with pytest.raises(WeightsError) as caught:
        make(
            "image",
            context,
            architecture=other,
            checkpoint=folder(clip) / "open_clip_model.safetensors",
        )

    assert_explained(caught.value, "visual.proj is (64, 24), not (64, 12)")


def test_weights_of_another_picture_size_are_not_resized_unasked(
    clip: str, write_model: Any, context: Any
) -> None:
    config = json.loads((folder(clip) / "open_clip_config.json").read_text())["model_cfg"]
    config["vision_cfg"]["image_size"] = 64
    path = folder(clip) / "open_clip_model.safetensors"

    with pytest.raises(WeightsError, match=r"visual\.positional_embedding is"):
        make("image", context, architecture=write_model(config), checkpoint=path)


def test_missing_and_unexpected_tensors_are_named(clip: str, context: Any, tmp_path: Path) -> None:
    state = weights(clip)
    state["surplus"] = state.pop("visual.conv1.weight")
    save_file(state, tmp_path / "odd.safetensors")

    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=clip, checkpoint=tmp_path / "odd.safetensors")

    assert_explained(caught.value, "missing visual.conv1.weight", "unexpected surplus")


class Surprise:
    """Pickled code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must not run",))


@pytest.mark.parametrize("content", ["code", "empty", "noise", "absent"])
def test_a_file_that_is_no_checkpoint_is_an_error_and_runs_nothing(
    clip: str, context: Any, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.pt"
    if content == "code":
        torch.save({"state_dict": Surprise()}, path)
    elif content != "absent":
        path.write_bytes(b"" if content == "empty" else b"noise" * 100)

    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=clip, checkpoint=path)

    assert_explained(caught.value, "file.pt")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "[]", '{"model_cfg": {"embed_dim": 3}}'])
def test_a_configuration_that_open_clip_cannot_build_is_an_error(
    clip: str, context: Any, text: str
) -> None:
    (folder(clip) / "open_clip_config.json").write_text(text)

    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=clip)

    assert_explained(caught.value)


def test_a_text_tower_that_needs_a_missing_package_says_so(
    write_model: Any, clip: str, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(clip) / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = "nobody/nothing"
    path.write_text(json.dumps(config))
    monkeypatch.setattr("open_clip.hf_model.transformers", None)

    with pytest.raises(WeightsError) as caught:
        make("image", context, architecture=clip, pretrained="")

    assert_explained(caught.value, "mmlab-openclip[transformers]")


def test_a_clip_is_calibrated_by_softmax_at_its_own_scale(clip: str, context: Any) -> None:
    state = weights(clip) | {"logit_scale": torch.tensor(math.log(100.0))}
    save_file(state, folder(clip) / "open_clip_model.safetensors")

    calibration = make("text", context, architecture=clip).calibration()

    assert calibration.kind == "softmax"
    assert calibration.scale == pytest.approx(100)
    assert calibration.bias == 0


def test_a_siglip_is_calibrated_by_sigmoid_with_its_bias(
    clip: str, write_model: Any, context: Any
) -> None:
    config = json.loads((folder(clip) / "open_clip_config.json").read_text())["model_cfg"]
    scale = {"init_logit_scale": math.log(10), "init_logit_bias": -10}

    calibration = make("image", context, architecture=write_model(config | scale)).calibration()

    assert calibration.kind == "sigmoid"
    assert (calibration.scale, calibration.bias) == (pytest.approx(10), -10)


def test_the_scale_travels_with_the_encoders_state_and_is_not_trained(
    clip: str, context: Any
) -> None:
    encoder = make("image", context, architecture=clip)

    assert "temperature.log_scale" in encoder.state_dict()
    assert not any("temperature" in name for name, _ in encoder.named_parameters())


def test_a_tags_activation_and_preprocessing_hold_for_a_local_copy_of_its_weights(
    tmp_path: Path,
) -> None:
    path = tmp_path / "copy.safetensors"
    path.write_bytes(b"any")

    openai = resolve(Source("ViT-B-32", "openai", path))
    laion = resolve(Source("ViT-B-32", "laion2b_s34b_b79k", path))
    siglip = resolve(Source("ViT-B-16-SigLIP", "webli", path))

    assert openai.config["quick_gelu"] is True
    assert laion.config["quick_gelu"] is False
    assert siglip.preprocess["resize_mode"] == "squash"
    assert siglip.preprocess["mean"] == (0.5, 0.5, 0.5)


def test_quick_gelu_is_built_into_both_towers(clip: str, write_model: Any, context: Any) -> None:
    config = json.loads((folder(clip) / "open_clip_config.json").read_text())["model_cfg"]
    architecture = write_model(copy.deepcopy(config) | {"quick_gelu": True})

    for modality in ("image", "text"):
        modules = list(make(modality, context, architecture=architecture).modules())
        assert any(isinstance(module, QuickGELU) for module in modules)
        assert not any(isinstance(module, nn.GELU) for module in modules)


def test_architectures_are_known_without_importing_open_clip() -> None:
    assert set(architectures()) == set(open_clip.list_models())


def test_every_published_tag_names_a_repository() -> None:
    tags = [tag for model in _PRETRAINED.values() for tag in model.values()]

    assert len(tags) > 100
    assert all("/" in tag["hf_hub"] for tag in tags)


def test_a_built_in_architecture_is_found_under_its_papers_spelling(tmp_path: Path) -> None:
    path = tmp_path / "copy.safetensors"
    path.write_bytes(b"any")

    assert resolve(Source("ViT-B/32", None, path)).config == open_clip.get_model_config("ViT-B-32")


def test_logging_of_open_clip_is_left_as_it_was(clip: str, context: Any) -> None:
    handlers = list(logging.getLogger().handlers)

    make("image", context, architecture=clip)

    assert logging.getLogger().handlers == handlers


def test_a_wrong_architecture_is_found_while_a_spec_is_checked() -> None:
    annotation = get_type_hints(make, include_extras=True)["architecture"]
    check = TypeAdapter(annotation).validate_python

    assert check("ViT-B/32") == "ViT-B-32"
    assert check("hf-hub:organisation/repository") == "hf-hub:organisation/repository"
    with pytest.raises(ValidationError, match="nearest names: ViT-B-32"):
        check("ViT-B-33")
