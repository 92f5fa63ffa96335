"""Losses on a similarity or on a prediction. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_losses() -> dict[str, str]:
    """Names used in TOML -> where the losses are."""
    return {
        "cloob": "mmlab_losses.cloob:CLOOB",
        "cross_entropy": "mmlab_losses.cross_entropy:CrossEntropy",
        "decoupled": "mmlab_losses.decoupled:Decoupled",
        "info_loob": "mmlab_losses.info_loob:InfoLOOB",
        "info_nce": "mmlab_losses.info_nce:InfoNCE",
        "sigmoid": "mmlab_losses.sigmoid:Sigmoid",
    }
