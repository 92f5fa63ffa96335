"""Encoders written as small, plain torch modules. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    """Names used in TOML -> where the encoders are."""
    return {
        "convnet": "mmlab_encoders.convnet:ConvNet",
        "transformer": "mmlab_encoders.transformer:TextTransformer",
        "vit": "mmlab_encoders.vit:ViT",
    }
