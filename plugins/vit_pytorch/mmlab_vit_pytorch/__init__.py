"""vit-pytorch's vision transformers as mmlab encoders."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    """One name for all models: the option `model` says which."""
    return {"vit_pytorch": "mmlab_vit_pytorch.encoder:VitPytorch"}
