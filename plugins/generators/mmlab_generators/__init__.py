"""Conditional generators of pictures and videos. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_generators() -> dict[str, str]:
    """Names used in TOML -> where the generators are."""
    return {
        "dit": "mmlab_generators.dit:DiT",
        "unet": "mmlab_generators.unet:UNet",
    }
