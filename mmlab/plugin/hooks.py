"""The hooks: what a plugin may offer, as pluggy hook specifications, all on this page."""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

GROUP = "mmlab"
KINDS = ("encoder", "fusion", "loss", "dataset", "generator", "metric")


hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """The hooks. Each returns names and entry-point strings, so calling it imports nothing."""

    @hookspec
    def mmlab_encoders(self) -> Mapping[str, str]:
        """Encoders of one modality: factories of `Encoder`."""
        raise NotImplementedError

    @hookspec
    def mmlab_fusions(self) -> Mapping[str, str]:
        """Fusions of several modalities: factories of `VectorFusion` or `SimilarityFusion`."""
        raise NotImplementedError

    @hookspec
    def mmlab_losses(self) -> Mapping[str, str]:
        """Losses: factories of `Loss`."""
        raise NotImplementedError

    @hookspec
    def mmlab_datasets(self) -> Mapping[str, str]:
        """Datasets: factories of `Dataset`."""
        raise NotImplementedError

    @hookspec
    def mmlab_generators(self) -> Mapping[str, str]:
        """Conditional generators of pictures or videos: factories of `Generator`."""
        raise NotImplementedError

    @hookspec
    def mmlab_metrics(self) -> Mapping[str, str]:
        """Metrics of labels that evaluations name: factories of `LabelMetric`."""
        raise NotImplementedError
