"""Further metrics of labels. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_metrics() -> dict[str, str]:
    """Names used in TOML -> where the metrics are."""
    return {
        "brier": "mmlab_metrics.brier:Brier",
        "hits": "mmlab_metrics.hits:Hits",
    }
