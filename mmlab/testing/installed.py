"""The claims of an installed component, with what its kind is tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mmlab.plan.options import json_schema
from mmlab.testing.claims import Claim
from mmlab.testing.datasets import dataset_claims
from mmlab.testing.encoder_parts import examples
from mmlab.testing.encoders import encoder_claims
from mmlab.testing.fusions import fusion_claims
from mmlab.testing.losses import loss_claims
from mmlab.testing.tools import Factory, build

#: Kind -> its claims, given a factory and options.
CLAIMS: Mapping[str, Callable[..., list[Claim]]] = {
    "dataset": dataset_claims,
    "encoder": encoder_claims,
    "fusion": fusion_claims,
    "loss": loss_claims,
}
_MODALITIES = ("image", "text", "audio")


def claims_of(kind: str, factory: Factory, options: Mapping[str, object]) -> list[Claim]:
    """What a component of this kind promises; an encoder is tried on a modality that it reads."""
    given: dict[str, Any] = dict(options)  # Any: options are of any type
    if kind == "encoder":
        given["modality"] = _modality(factory, options)
    return CLAIMS[kind](factory, **given)


def missing_options(factory: Factory, options: Mapping[str, object]) -> list[str]:
    """The options without default that were not given."""
    required: list[str] = json_schema(factory).get("required", [])
    return [name for name in required if name not in options]


def _modality(factory: Factory, options: Mapping[str, object]) -> str:
    """The first modality whose examples the encoder's transform takes; "image" where none is."""
    from mmlab.model.components import BuildContext

    context = BuildContext(frozenset({"pooled"}))
    for modality in _MODALITIES:
        try:
            encoder = build(factory, options, 0, modality=modality, context=context)
            encoder.transform(examples(modality)[0], False)
        except Exception:  # it does not read this modality; its claims tell what else is wrong
            continue
        return modality
    return _MODALITIES[0]
