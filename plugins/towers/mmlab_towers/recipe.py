"""What weights need of a picture: size, resizing, crop and normalisation, from where they came."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mmlab.plugin import SpecError, WeightsError, explain, read_file
from mmlab_towers.packages import PackagedPath, described

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Recipe:
    """An architecture, the file of its weights (None: random), and how they read a picture.

    At evaluation the shorter side becomes `size / centre_crop` pixels and the middle is cut out.
    `mean` and `std` are those of colours in 0..1. `origin` says where the weights come from.
    """

    architecture: str
    weights: Path | None
    origin: str
    size: int
    mean: Triple
    std: Triple
    interpolation: Interpolation
    centre_crop: float


@dataclass(frozen=True)
class Wanted:
    """What a spec says of the preprocessing; None is left to the weights."""

    size: int | None
    mean: Triple | None
    std: Triple | None
    interpolation: Interpolation | None
    centre_crop: float | None

    def over(self, recipe: Recipe) -> Recipe:
        """The recipe with what the spec says in the place of its own."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(recipe, **given)


def resolve(
    architecture: str | None, checkpoint: Path | None, package: str | None, wanted: Wanted
) -> Recipe:
    """Find weights and their preprocessing. Raises SpecError or WeightsError where none is known.

    A folder as timm's repositories have it says both; a tag in the architecture's name
    (`resnet50.a1_in1k`) says how the weights read pictures that timm calls so. Nothing else does:
    for any other file the spec must say `mean` and `std`.
    """
    if package is not None:
        if architecture is not None or checkpoint is not None:
            raise _two_sources()
        return wanted.over(_packaged(package))
    if checkpoint is not None and os.path.isdir(checkpoint):
        return wanted.over(_from_folder(checkpoint, architecture))
    if architecture is None:
        raise _no_architecture()
    if checkpoint is None:
        return wanted.over(_random(architecture))
    if "." in architecture:
        return wanted.over(_from_settings(architecture, _settings(architecture), checkpoint))
    if wanted.mean is None or wanted.std is None:
        raise _unknown_normalisation(architecture, checkpoint)
    recipe = replace(_random(architecture), weights=checkpoint, origin=checkpoint.name)
    return wanted.over(recipe)


def checked_architecture(name: str) -> str:
    """A name that timm can build. Raises ValueError, with the nearest names, for another.

    timm also takes a repository's name with a scheme, and downloads; that is no local weight.
    """
    import timm

    known = timm.list_models()
    plain, _, tag = name.partition(".")
    if plain not in known:
        nearest = ", ".join(difflib.get_close_matches(plain, known, n=5)) or "none is alike"
        raise ValueError(f"timm has no architecture {plain!r}; nearest names: {nearest}")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{plain}.*")]
    if tag and tag not in tags:
        raise ValueError(f"timm has no weights {tag!r} of {plain}; tags: {', '.join(tags)}")
    return name


def _packaged(package: str) -> Recipe:
    """EfficientNet-Lite0 as TensorFlow trained it: (colour - 127) / 128, its bytes being 0..255."""
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    path, origin = PackagedPath(package).path, described(package)
    return Recipe("tf_efficientnet_lite0", path, origin, 224, mean, std, "bicubic", 0.875)


def _settings(architecture: str) -> Mapping[str, Any]:  # Any: timm's settings are JSON
    from timm.models import get_pretrained_cfg

    settings = get_pretrained_cfg(architecture)
    assert settings is not None, "checked_architecture has seen it"
    return dict(settings.to_dict())  # type: ignore[no-untyped-call]


def _from_folder(folder: Path, architecture: str | None) -> Recipe:
    """A model's repository: config.json and model.safetensors, as timm writes them."""
    path = folder / "config.json"
    try:
        config = json.loads(read_file(path))
        name = checked_architecture(config["architecture"])
        recipe = _from_settings(name, config["pretrained_cfg"], folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_repository(path, error) from error
    if architecture is not None and architecture.partition(".")[0] != name:
        raise _other_architecture(architecture, name, folder)
    return recipe


def _from_settings(
    architecture: str,
    settings: Mapping[str, Any],  # Any: as above
    weights: Path,
) -> Recipe:
    (r, g, b), (r_std, g_std, b_std) = settings["mean"], settings["std"]
    return Recipe(
        architecture,
        weights,
        weights.name,
        int(settings["input_size"][1]),
        (float(r), float(g), float(b)),
        (float(r_std), float(g_std), float(b_std)),
        _interpolation(settings["interpolation"]),
        float(settings["crop_pct"]),
    )


def _interpolation(name: str) -> Interpolation:
    for known in ("nearest", "bilinear", "bicubic", "lanczos"):
        if name == known:
            return known
    raise ValueError(f"unknown interpolation {name!r}")


def _random(architecture: str) -> Recipe:
    """Nothing was trained, so that no normalisation is the right one: colours to -1..1."""
    size, half = int(_settings(architecture)["input_size"][1]), (0.5, 0.5, 0.5)
    return Recipe(architecture, None, "random", size, half, half, "bicubic", 1.0)


def _two_sources() -> SpecError:
    return SpecError(
        explain(
            "timm.package",
            "a package brings architecture and weights of its own",
            found="`architecture` or `checkpoint` beside `package`",
            allowed="one of the two",
            next_step="remove `package`, or the other options",
        )
    )


def _no_architecture() -> SpecError:
    return SpecError(
        explain(
            "timm.architecture",
            "no model is named",
            found="neither `architecture` nor `package`, nor a folder as `checkpoint`",
            allowed='an architecture of timm (architecture = "resnet18"); without `checkpoint` '
            "its weights are random",
            next_step="name the architecture",
        )
    )


def _unknown_normalisation(architecture: str, checkpoint: Path) -> SpecError:
    return SpecError(
        explain(
            f"timm.checkpoint {checkpoint.name}",
            "nothing tells how these weights read colours, and a guess would cost accuracy unseen",
            found=f"architecture {architecture} without a tag, and no `mean` and `std`",
            allowed=f"a tag ({architecture}.TAG) if the weights are timm's, or mean = [...] and "
            "std = [...] of colours in 0..1",
            next_step="say what the weights were trained with",
        )
    )


def _no_repository(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        explain(
            f"timm.checkpoint {path.parent}",
            "this folder is no model that timm wrote",
            found=f"{path.name}: {type(error).__name__}: {error}",
            allowed="config.json with `architecture` and `pretrained_cfg`, and model.safetensors",
            next_step="copy the whole repository, or name the file of weights and an architecture",
        )
    )


def _other_architecture(given: str, name: str, folder: Path) -> SpecError:
    return SpecError(
        explain(
            "timm.architecture",
            "the folder holds another model",
            found=f"{given}; {folder.name} holds {name}",
            allowed="the folder's architecture, or none",
            next_step="remove `architecture`, or name another folder",
        )
    )
