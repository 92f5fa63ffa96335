"""open_clip's image and text towers as mmlab encoders."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    """One name for both towers: the encoder's modality says which."""
    return {"open_clip": "mmlab_openclip.encoder:open_clip"}
