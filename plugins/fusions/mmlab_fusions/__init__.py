"""Fusions, one module per row of the table of operators. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    """Names used in TOML -> where the fusions are."""
    return {
        "concat": "mmlab_fusions.concat:Concat",
        "gating": "mmlab_fusions.gating:Gating",
        "inner_product": "mmlab_fusions.inner_product:InnerProduct",
    }
