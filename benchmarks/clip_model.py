"""A CLIP model for benchmarks: open_clip's towers in mmlab's training step, and random batches."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmlab_losses.info_nce import InfoNCE
from mmlab_openclip.encoder import open_clip as open_clip_encoder

from mmlab.data.order import Order
from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Shapes
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer

#: What open_clip's `get_model_config` gives: embed_dim, vision_cfg, text_cfg.
Towers = Mapping[str, Any]


def open_clip_towers(towers: Towers) -> dict[str, Any]:
    """mmlab's encoders over open_clip's towers with random weights, shared as in a cell."""
    made: dict[str, Any] = {}

    def once(key: str, make: Callable[[], Any]) -> Any:
        if key not in made:
            made[key] = make()
        return made[key]

    context: Any = SimpleNamespace(reads=frozenset({"pooled"}), once=once)
    with tempfile.TemporaryDirectory() as folder:
        config = {"model_cfg": dict(towers), "preprocess_cfg": {}}
        Path(folder, "open_clip_config.json").write_text(json.dumps(config))
        return {
            modality: open_clip_encoder(
                modality, context, architecture=f"local-dir:{folder}", pretrained=""
            )
            for modality in ("image", "text")
        }


def make_trainer(
    encoders: dict[str, Any], fusion: Any, batch_size: int, device: torch.device, **train: Any
) -> Trainer:
    """A trainer of the contrastive loss, in an endless schedule; `train` are keys of `[train]`."""
    dims = {key: encoder.dim for key, encoder in encoders.items()}
    losses: Any = {"info_nce": InfoNCE(Shapes(dims, None, (), (), False, {}))}
    step = Step(Model(encoders, fusion, list(encoders)), losses, {"info_nce": 1.0})
    table = TrainTable(max_steps=10**6, batch_size=batch_size, **train)
    return Trainer(step.to(device), table, Order(0, batch_size, batch_size), device)


def random_batch(size: int, pixels: int, length: int, words: int, device: torch.device) -> Batch:
    """Random pictures and texts without padding, which no side of a comparison could skip."""
    inputs = {
        "image": torch.randint(0, 256, (size, 3, pixels, pixels), dtype=torch.uint8),
        "text": torch.randint(4, words, (size, length)),
    }
    present = {key: torch.ones(size, dtype=torch.bool) for key in inputs}
    batch = Batch(inputs, present, torch.zeros(size), torch.arange(size), {})
    return batch.map(lambda x: x.to(device))


def training_flops(towers: Towers) -> int:
    """Floating-point operations of one training step for each pair of a picture and a text.

    Products of matrices alone, a multiplication and an addition each: patches, blocks (attention
    whole, though a text's is causal) and projections; forward once, backward twice that. Neither
    recomputation nor the product of the two sides in the loss counts.
    """
    vision, text, joint = towers["vision_cfg"], towers["text_cfg"], towers["embed_dim"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    width = vision["width"]
    image = _blocks(patches + 1, width, vision["layers"])
    image += 2 * patches * 3 * vision["patch_size"] ** 2 * width + 2 * width * joint
    words = _blocks(text["context_length"], text["width"], text["layers"])
    return 3 * (image + words + 2 * text["width"] * joint)


def _blocks(tokens: int, width: int, layers: int) -> int:
    """Of one pass through transformer blocks whose hidden layer is four times as wide."""
    of_a_token = 24 * width**2 + 4 * tokens * width
    return layers * tokens * of_a_token
