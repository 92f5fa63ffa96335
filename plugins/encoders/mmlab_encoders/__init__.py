"""Encoders written as small, plain torch modules. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    """Names used in TOML -> where the encoders are."""
    return {
        "audio_convnet": "mmlab_encoders.audio_convnet:AudioConvNet",
        "audio_transformer": "mmlab_encoders.audio_transformer:AudioTransformer",
        "convnet": "mmlab_encoders.convnet:ConvNet",
        "tabular": "mmlab_encoders.tabular:Tabular",
        "transformer": "mmlab_encoders.transformer:TextTransformer",
        "video": "mmlab_encoders.video:Video",
        "vit": "mmlab_encoders.vit:ViT",
    }
