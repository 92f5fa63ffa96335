"""A sentence-transformer's folder: which files say how texts are cut, pooled and normalised."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer

from mmlab.plugin import SpecError, WeightsError, explain, read_file
from mmlab_towers.architectures import ARCHITECTURES, Architecture, architecture_of
from mmlab_towers.transformer import Size

Pool = Literal["mean", "class"]
_POOLS: Mapping[str, Pool] = {"mean": "mean", "cls": "class"}
_MODULES = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True)
class SentenceFolder:
    """What the files of a folder say; None where they say nothing.

    `config.json`, `tokenizer.json` and `model.safetensors` must be there. `modules.json` and
    `1_Pooling/config.json`, which sentence-transformers adds, say how tokens are pooled and whether
    the result is normalised; `sentence_bert_config.json` says how many ids a text has at most.
    """

    path: Path
    architecture: Architecture
    size: Size
    tokenizer: Tokenizer
    pool: Pool | None
    is_normalised: bool
    length: int | None


def read_folder(path: Path) -> SentenceFolder:
    """Understand a folder. Raises WeightsError where it is no sentence encoder known here."""
    try:
        config = _json(path / "config.json")
        architecture = architecture_of(config)
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        kinds = _modules(path)
        pooling = _optional(path / kinds.get("Pooling", "1_Pooling") / "config.json")
        limits = _optional(path / "sentence_bert_config.json") or {}
        return SentenceFolder(
            path,
            architecture,
            architecture.size(config),
            tokenizer,
            None if pooling is None else _pool(pooling),
            "Normalize" in kinds,
            limits.get("max_seq_length"),
        )
    except WeightsError:
        raise
    except Exception as error:  # tokenizers raises nothing narrower for a file that is not one
        raise _no_model(path, error) from error


def chosen_pool(folder: SentenceFolder, pool: Pool | None) -> Pool:
    """The spec's way to pool, or the folder's. Raises SpecError where neither says one."""
    chosen = pool or folder.pool
    if chosen is not None:
        return chosen
    raise SpecError(
        explain(
            "sentence.pool",
            "nothing tells how these weights make one vector of a text's tokens",
            found=f"{folder.path.name} without 1_Pooling/config.json, and no `pool`",
            allowed="mean, class",
            next_step="say what the model was trained with",
        )
    )


def _modules(path: Path) -> dict[str, str]:
    """Kind of each module that modules.json names -> its folder. Raises ValueError for others."""
    modules = _optional(path / "modules.json") or []
    found = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
    if others := found.keys() - _MODULES:
        raise ValueError(f"modules.json: {', '.join(sorted(others))}")
    return found


def _pool(config: Mapping[str, Any]) -> Pool:  # Any: JSON
    """Newer files say it in one key, older ones in a key per way."""
    modes = config.get("pooling_mode") or [
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name, value in config.items()
        if name.startswith("pooling_mode_") and value
    ]
    ways = [modes] if isinstance(modes, str) else list(modes)
    if len(ways) == 1 and ways[0] in _POOLS:
        return _POOLS[ways[0]]
    raise ValueError(f"1_Pooling/config.json: {', '.join(ways) or 'no way to pool'}")


def _json(path: Path) -> Any:  # Any: JSON
    return json.loads(read_file(path))


def _optional(path: Path) -> Any:  # Any: JSON
    return _json(path) if os.path.exists(path) else None


def _no_model(path: Path, error: Exception) -> WeightsError:
    said = " ".join(str(error).split())[:300]
    return WeightsError(
        explain(
            f"sentence: {path}",
            "the folder holds no sentence encoder that can be read",
            found=f"{type(error).__name__}: {said}",
            allowed=f"config.json of {', '.join(ARCHITECTURES)} (gelu, absolute positions), "
            "tokenizer.json, model.safetensors; pooled by mean or class token, then normalised "
            "or not, and no other module",
            next_step="copy the whole repository of the model, or choose another one",
        )
    )
