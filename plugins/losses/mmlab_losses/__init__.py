"""Losses on a similarity or on a prediction. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_losses() -> dict[str, str]:
    """Names used in TOML -> where the losses are."""
    return {
        "binary_cross_entropy": "mmlab_losses.binary_cross_entropy:BinaryCrossEntropy",
        "cloob": "mmlab_losses.cloob:CLOOB",
        "cross_entropy": "mmlab_losses.cross_entropy:CrossEntropy",
        "decoupled": "mmlab_losses.decoupled:Decoupled",
        "info_loob": "mmlab_losses.info_loob:InfoLOOB",
        "info_nce": "mmlab_losses.info_nce:InfoNCE",
        "mae": "mmlab_losses.regression:MeanAbsoluteError",
        "mse": "mmlab_losses.regression:MeanSquaredError",
        "sigmoid": "mmlab_losses.sigmoid:Sigmoid",
    }
