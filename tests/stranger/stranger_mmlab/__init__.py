"""Components of someone whom mmlab has never heard of. This module holds the hooks alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    """Names used in TOML -> where the encoders are."""
    return {"grid": "stranger_mmlab.grid:Grid"}


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    """Names used in TOML -> where the fusions are."""
    return {"product": "stranger_mmlab.product:Product"}


@hookimpl
def mmlab_losses() -> dict[str, str]:
    """Names used in TOML -> where the losses are."""
    return {"hinge": "stranger_mmlab.hinge:Hinge"}


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    """Names used in TOML -> where the datasets are."""
    return {"shapes": "stranger_mmlab.shapes:Shapes"}


@hookimpl
def mmlab_metrics() -> dict[str, str]:
    """Names used in TOML -> where the metrics are."""
    return {"margin": "stranger_mmlab.margin:Margin"}
