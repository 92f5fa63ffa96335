"""Pretrained towers from local weights: timm's image models, and sentence encoders."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    """Names used in TOML -> where the encoders are."""
    return {
        "sentence": "mmlab_towers.sentence:Sentence",
        "timm": "mmlab_towers.image:Timm",
    }
