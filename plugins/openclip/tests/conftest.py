"""A tiny model that open_clip itself wrote, and contexts to build encoders in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mmlab.model.components import BuildContext

CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture
def context() -> BuildContext:
    return BuildContext(frozenset({"pooled"}))


@pytest.fixture
def tokens_context() -> BuildContext:
    return BuildContext(frozenset({"pooled", "tokens"}))


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., str]:
    """Write a model's folder, weights included; returns what `architecture` says."""

    def write(config: dict[str, Any] = CLIP, preprocess: dict[str, Any] | None = None) -> str:
        folder = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess or {}})
        (folder / "open_clip_config.json").write_text(text)
        name = f"local-dir:{folder}"
        torch.manual_seed(0)
        model = open_clip.create_model(name, pretrained_text=False)
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
        return name

    return write


@pytest.fixture
def clip(write_model: Callable[..., str]) -> str:
    """A tiny CLIP's architecture."""
    return write_model()
