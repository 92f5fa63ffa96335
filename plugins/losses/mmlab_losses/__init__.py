"""Losses on a similarity, a prediction, views and texts. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_losses() -> dict[str, str]:
    """Names used in TOML -> where the losses are."""
    return {
        "binary_cross_entropy": "mmlab_losses.binary_cross_entropy:BinaryCrossEntropy",
        "captioning": "mmlab_losses.captioning:Captioning",
        "cloob": "mmlab_losses.cloob:CLOOB",
        "cross_entropy": "mmlab_losses.cross_entropy:CrossEntropy",
        "decoupled": "mmlab_losses.decoupled:Decoupled",
        "distillation": "mmlab_losses.distillation:Distillation",
        "info_loob": "mmlab_losses.info_loob:InfoLOOB",
        "info_nce": "mmlab_losses.info_nce:InfoNCE",
        "mae": "mmlab_losses.regression:MeanAbsoluteError",
        "mse": "mmlab_losses.regression:MeanSquaredError",
        "masked_language_modelling": (
            "mmlab_losses.masked_language_modelling:MaskedLanguageModelling"
        ),
        "sigmoid": "mmlab_losses.sigmoid:Sigmoid",
        "simclr": "mmlab_losses.simclr:SimCLR",
        "similarity_regularisation": (
            "mmlab_losses.similarity_regularisation:SimilarityRegularisation"
        ),
        "simsiam": "mmlab_losses.simsiam:SimSiam",
    }
