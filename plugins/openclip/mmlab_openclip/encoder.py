"""The encoder `open_clip`: one tower of a model, chosen by the encoder's modality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from mmlab.plugin import Context, SpecError, explain
from mmlab_openclip.image import ImageTower
from mmlab_openclip.names import checked_architecture
from mmlab_openclip.source import Source
from mmlab_openclip.text import TextTower
from mmlab_openclip.weights import load


def open_clip(
    modality: str,
    context: Context,
    *,
    architecture: Annotated[
        str,
        AfterValidator(checked_architecture),
        Field(
            description="open_clip's name (ViT-B-32), hf-hub:ORGANISATION/REPOSITORY, or "
            "local-dir:/A/FOLDER with an open_clip_config.json"
        ),
    ],
    pretrained: Annotated[
        str | None,
        Field(
            description="open_clip's tag of weights (openai); left out, a repository's or a "
            "folder's own weights; an empty string, random weights"
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        Field(
            description="local file of weights (safetensors, or a torch file of plain tensors) to "
            "read instead; with a tag, the tag still decides activation and preprocessing"
        ),
    ] = None,
    crop: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="image, in training: least share of the picture that a random crop keeps "
            "(open_clip trains with 0.9); 1 reads pictures as in evaluation",
        ),
    ] = 1.0,
) -> ImageTower | TextTower:
    """Give the image or the text tower of an open_clip model; both share one checkpoint.

    With random weights there is none, and each encoder starts from its own random numbers.
    The towers compute what `model.encode_image` and `model.encode_text` compute, unnormalised, in
    the model's own preprocessing and tokenizer. Whether a tower is trained is said by `freeze`.
    Raises SpecError for a modality that open_clip has no tower for, and WeightsError.
    """
    if modality not in ("image", "text"):
        raise SpecError(_no_tower(modality))
    if modality == "text" and crop != 1:
        raise SpecError(_no_crop(crop))
    source = Source(architecture, pretrained, checkpoint)
    shared = load(source) if source.is_random else context.once(source.key, lambda: load(source))
    if modality not in shared.towers:
        # A second encoder of this modality (a distillation teacher) must not share parameters.
        shared = load(source)
    reads_tokens = "tokens" in context.reads
    tower = shared.towers.pop(modality)
    if modality == "image":
        return ImageTower(tower, shared.recipe, shared.temperature(), reads_tokens, crop)
    return TextTower(tower, shared.recipe, shared.temperature(), reads_tokens)


open_clip.numerics = 1  # type: ignore[attr-defined]  # functions have attributes, their type none


def _no_tower(modality: str) -> str:
    return explain(
        "open_clip",
        "there is no tower for this modality",
        found=f"modality {modality!r}",
        allowed="image, text",
        next_step='name the encoder "image" or "text", or set its key `modality` to one of them',
    )


def _no_crop(crop: float) -> str:
    return explain(
        "open_clip.crop",
        "text cannot be cropped",
        found=crop,
        allowed="this option on an image encoder only",
        next_step="remove it from the text encoder",
    )
