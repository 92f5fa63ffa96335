"""Where a model comes from: the options of a spec -> a configuration and a file of weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmlab.plugin import WeightsError, explain, file_sha256, read_file
from mmlab_openclip.hub import hub_file
from mmlab_openclip.names import FOLDER, HUB, checked_architecture, nearest

CONFIG = "open_clip_config.json"
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
FOLDER_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)

Config = dict[str, Any]  # Any: open_clip's own JSON, passed on to open_clip


@dataclass(frozen=True)
class Source:
    """The options that decide which model it is; encoders that agree on them share it."""

    architecture: str
    pretrained: str | None = None
    checkpoint: Path | None = None

    @property
    def key(self) -> str:
        """What a model is shared under."""
        parts = [self.architecture, self.pretrained, str(self.checkpoint or "")]
        return json.dumps(["open_clip", *parts])

    @property
    def is_random(self) -> bool:
        """Whether no file of weights is asked for: towers then have nothing to share."""
        return self.pretrained == "" and self.checkpoint is None


@dataclass(frozen=True)
class Recipe:
    """All that open_clip needs to build the model: configuration, preprocessing, weights.

    `architecture` is the name that its tokenizer is looked up under. `weights` None means random.
    `is_local` says that the weights are the user's own file, which may be of another model.
    """

    architecture: str
    config: Config
    preprocess: Mapping[str, Any]  # Any: open_clip's own settings, passed on to open_clip
    weights: Path | None
    is_local: bool
    description: str


@dataclass(frozen=True)
class _Settings:
    """What a kind of source says: configuration, preprocessing, and its own weights' file."""

    config: Config
    preprocess: Mapping[str, Any]
    weights: Callable[[], Path]
    origin: str
    is_local: bool = False


def resolve(source: Source) -> Recipe:
    """Find configuration and weights, downloading what is not here. Raises WeightsError."""
    settings = _settings(source)
    weights, origin, is_local = _weights(source, settings)
    if weights is None:
        description = f"{source.architecture}, random weights"
    else:
        description = f"{source.architecture}, weights of {origin}, sha256 {_sha256(weights)}"
    return Recipe(
        source.architecture,
        settings.config,
        settings.preprocess,
        weights,
        is_local,
        description,
    )


def _settings(source: Source) -> _Settings:
    if source.architecture.startswith((HUB, FOLDER)) and source.pretrained:
        raise _tag_without_meaning(source)
    if source.architecture.startswith(HUB):
        return _from_hub(source.architecture.removeprefix(HUB))
    if source.architecture.startswith(FOLDER):
        return _from_folder(Path(source.architecture.removeprefix(FOLDER)))
    return _built_in(source)


def _weights(source: Source, settings: _Settings) -> tuple[Path | None, str, bool]:
    """The file, what to call it, and whether it is the user's own."""
    if source.checkpoint is not None:
        return source.checkpoint, f"the file {source.checkpoint.name}", True
    if source.is_random:
        return None, "", False
    return settings.weights(), settings.origin, settings.is_local


def _built_in(source: Source) -> _Settings:
    import open_clip

    try:
        name = checked_architecture(source.architecture)
    except ValueError as error:
        raise _unknown_architecture(source.architecture, error) from error
    config: Config = open_clip.get_model_config(name)
    if not source.pretrained:
        return _Settings(config, {}, lambda: _no_tag(name), "")
    tag: Config = open_clip.get_pretrained_cfg(name, source.pretrained)
    if not tag:
        raise _unknown_tag(name, source.pretrained)
    # An architecture's configuration leaves open which activation it was trained with: OpenAI's
    # weights under the plain name need the tag's.
    quick_gelu = bool(config.get("quick_gelu") or tag.get("quick_gelu"))
    repository, _, file = tag["hf_hub"].rpartition("/")
    return _Settings(
        config | {"quick_gelu": quick_gelu},
        tag,
        lambda: hub_file(repository, _safe_first(file)),
        f"tag {source.pretrained} ({repository})",
    )


def _safe_first(file: str) -> tuple[str, ...]:
    """The names a repository may hold the weights under, the safest format first."""
    if file in ("", HUB_WEIGHTS[-1]):
        return HUB_WEIGHTS
    if Path(file).suffix not in (".bin", ".pth"):
        return (file,)
    return (Path(file).with_suffix(".safetensors").name, file)


def _from_hub(repository: str) -> _Settings:
    config = _read_config(hub_file(repository, (CONFIG,)))
    return _Settings(
        config["model_cfg"],
        config.get("preprocess_cfg", {}),
        lambda: hub_file(repository, HUB_WEIGHTS),
        f"the repository {repository}",
    )


def _from_folder(folder: Path) -> _Settings:
    config = _read_config(folder / CONFIG)
    return _Settings(
        config["model_cfg"],
        config.get("preprocess_cfg", {}),
        lambda: _folder_weights(folder),
        f"the folder {folder.name}",
        is_local=True,
    )


def _folder_weights(folder: Path) -> Path:
    for name in FOLDER_WEIGHTS:
        if os.path.isfile(folder / name):
            return folder / name
    raise WeightsError(
        explain(
            f"open_clip.architecture {FOLDER}{folder}",
            "the folder has a configuration but no weights",
            found=", ".join(sorted(path.name for path in folder.iterdir())),
            allowed=f"a file named {', '.join(FOLDER_WEIGHTS)}",
            next_step='add the weights, name them with `checkpoint`, or set `pretrained = ""` for '
            "random weights",
        )
    )


def _read_config(path: Path) -> Config:
    """Read open_clip's own description of a model. Raises WeightsError."""
    try:
        config = json.loads(read_file(path))
    except (OSError, RecursionError, ValueError) as error:
        raise _bad_config(path, str(error)) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise _bad_config(path, "no table model_cfg")
    return config


def _sha256(path: Path) -> str:
    """Enough of the file's sha256 to tell it from any other that one may meet."""
    try:
        return file_sha256(path)[:16]
    except OSError as error:
        raise WeightsError(
            explain(
                "open_clip.checkpoint",
                "the file of weights cannot be read",
                found=f"{path}: {error.strerror}",
                allowed="a readable safetensors file, or a torch file of plain tensors",
                next_step="correct the path; it is relative to the file that names it",
            )
        ) from error


def _bad_config(path: Path, found: str) -> WeightsError:
    return WeightsError(
        explain(
            f"open_clip.architecture {path}",
            "the model's configuration cannot be read",
            found=found,
            allowed='a JSON file with a table "model_cfg", as open_clip writes it',
            next_step="correct the folder's path (an absolute one), or the file",
        )
    )


def _unknown_architecture(name: str, error: ValueError) -> WeightsError:
    return WeightsError(
        explain(
            "open_clip.architecture",
            str(error),
            found=name,
            allowed="a name that open_clip.list_models() gives",
            next_step="correct the name",
        )
    )


def _tags(name: str) -> list[str]:
    import open_clip

    tags: list[str] = open_clip.list_pretrained_tags_by_model(name)
    return tags


def _unknown_tag(name: str, tag: str) -> WeightsError:
    known = _tags(name)
    return WeightsError(
        explain(
            "open_clip.pretrained",
            f"{name} has no weights of this name; nearest: {nearest(tag, known)}",
            found=tag,
            allowed=", ".join(known) or "none: open_clip offers no weights of this architecture",
            next_step='correct the tag, name a local file with `checkpoint`, or set `""` for '
            "random weights",
        )
    )


def _no_tag(name: str) -> Path:
    raise WeightsError(
        explain(
            "open_clip.pretrained",
            f"{name} needs weights",
            found="neither pretrained nor checkpoint",
            allowed=", ".join(_tags(name)) or "none: open_clip offers no weights for it",
            next_step='set `pretrained` to one of these tags (or to `""` for random weights), or '
            "`checkpoint` to a file",
        )
    )


def _tag_without_meaning(source: Source) -> WeightsError:
    return WeightsError(
        explain(
            "open_clip.pretrained",
            "a repository or folder brings its own weights, so a tag says nothing",
            found=f"{source.pretrained!r} beside {source.architecture}",
            allowed='left out, or "" for random weights',
            next_step="remove `pretrained`, or name an architecture that has this tag",
        )
    )
