"""What is kept, and what it is a function of: everything in that is in the key."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import torch
from torch import Tensor, nn

from mmlab.build import Experiment
from mmlab.feature_file import LAYOUT, content_sha256
from mmlab.plan import Resolved
from mmlab.plugin import Augmented, Dataset, Inquiring, Split

#: Distributions that decode, transform or compute.
_LIBRARIES = ("mmlab", "torch", "torchvision", "numpy", "pillow")


def frozen_encoders(experiment: Experiment) -> dict[str, str | None]:
    """Frozen encoders by key, with the reason why their features are not kept, or None."""
    return {
        key: _what_a_loss_asks(experiment, key) or _what_differs(experiment, key)
        for key in experiment.model.encoders
        if key in experiment.model.frozen
    }


def _what_a_loss_asks(experiment: Experiment, key: str) -> str | None:
    """What keeps an encoder's features from being all that training needs of it."""
    for name, loss in experiment.step.losses.items():
        if loss.views:
            return f"losses.{name} asks for further views of each input"
        if isinstance(loss, Inquiring) and key in loss.reads_inputs:
            return f"losses.{name} looks at its inputs"
    return None


def has_fixed_inputs(experiment: Experiment, key: str, is_trained_on: bool) -> bool:
    """Whether an encoder reads the same inputs at every epoch, of a split that is trained on."""
    if experiment.step.views:
        return False
    encoder = experiment.model.encoders[key]
    return not is_trained_on or (isinstance(encoder, Augmented) and not encoder.augments)


def _what_differs(experiment: Experiment, key: str) -> str | None:
    """What makes a sample's features differ from one epoch to the next; only training can."""
    encoder = experiment.model.encoders[key]
    if experiment.plan.cell.spec.train is None:
        return None
    if not isinstance(encoder, Augmented):
        return "the encoder does not say whether its training inputs are random (`augments`)"
    return "its training inputs are augmented at random" if encoder.augments else None


def describe_encoder(experiment: Experiment, key: str) -> dict[str, object]:
    """Everything of an encoder that decides its features: what it is, holds, and is asked for."""
    plan, encoder = experiment.plan, experiment.model.encoders[key]
    return {
        **_component(plan.encoders[key]),
        "modality": plan.modality(key),
        "preprocessing": experiment.readers[key].encoder.preprocessing,
        "state": _state_sha256(encoder),
        "reads": sorted(plan.reads),
    }


def describe_transform(experiment: Experiment, key: str) -> dict[str, object]:
    """Everything of an encoder that decides its inputs, and how they are computed.

    That is all it holds but its parameters: a vocabulary among that.
    """
    encoder = experiment.model.encoders[key]
    learnt = {name for name, _ in encoder.named_parameters()}
    whole: Mapping[str, Tensor] = {**encoder.state_dict(), **dict(encoder.named_buffers())}
    held = {name: x for name, x in whole.items() if name not in learnt}
    return {
        **_component(experiment.plan.encoders[key]),
        "modality": experiment.plan.modality(key),
        "preprocessing": experiment.readers[key].encoder.preprocessing,
        "holds": content_sha256({name: torch.as_tensor(x) for name, x in held.items()}),
        "layout": LAYOUT,
        "libraries": _versions(),
    }


def describe_split(resolved: Resolved, dataset: Dataset, split: Split) -> dict[str, object]:
    """Everything of a split that decides the features of its samples."""
    return {**_component(resolved), "revision": dataset.revision, "split": split}


def describe_computing(device: torch.device, precision: str) -> dict[str, object]:
    """Everything of how features are computed that can change a bit of them."""
    return {
        "layout": LAYOUT,
        "device": device.type,
        "precision": precision,
        "libraries": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def _state_sha256(encoder: nn.Module) -> str:
    """Identity of all that an encoder holds: parameters, buffers, vocabulary."""
    held: Mapping[str, Tensor] = {**encoder.state_dict(), **dict(encoder.named_buffers())}
    return content_sha256({name: torch.as_tensor(x) for name, x in held.items()})


def _component(resolved: Resolved) -> dict[str, object]:
    return {**resolved.identity(), "source": resolved.entry.source_hash}
