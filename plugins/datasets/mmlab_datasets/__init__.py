"""Datasets for mmlab: the embedded emoji, and the user's own data from a manifest."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    """Names used in TOML, and where the datasets are."""
    return {
        "emoji": "mmlab_datasets.emoji:Emoji",
        "manifest": "mmlab_datasets.manifest:Manifest",
    }
