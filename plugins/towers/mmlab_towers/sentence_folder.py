"""A sentence-transformer's folder: which files say how texts are cut, pooled and normalised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer

from mmlab.plugin import SpecError, WeightsError, explain
from mmlab_towers.bert import BertSize

Pool = Literal["mean", "class"]


@dataclass(frozen=True)
class SentenceFolder:
    """What the files of a folder say; None where they say nothing.

    `config.json`, `tokenizer.json` and `model.safetensors` must be there. `1_Pooling/config.json`
    and `modules.json`, which sentence-transformers adds, say how tokens are pooled and whether the
    result is normalised; `sentence_bert_config.json` says how many ids a text has at most.
    """

    path: Path
    size: BertSize
    tokenizer: Tokenizer
    pool: Pool | None
    is_normalised: bool
    length: int | None


def read_folder(path: Path) -> SentenceFolder:
    """Understand a folder. Raises WeightsError where it is no BERT-like sentence encoder."""
    try:
        size = BertSize.of(_json(path / "config.json"))
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        pooling = _optional(path / "1_Pooling/config.json")
        modules = _optional(path / "modules.json") or []
        limits = _optional(path / "sentence_bert_config.json") or {}
        return SentenceFolder(
            path,
            size,
            tokenizer,
            None if pooling is None else _pool(pooling),
            any(str(module["type"]).endswith(".Normalize") for module in modules),
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


def _pool(config: Mapping[str, Any]) -> Pool:  # Any: JSON
    modes = {name for name, value in config.items() if name.startswith("pooling_mode") and value}
    if modes == {"pooling_mode_mean_tokens"}:
        return "mean"
    if modes == {"pooling_mode_cls_token"}:
        return "class"
    raise ValueError(f"1_Pooling/config.json: {', '.join(sorted(modes)) or 'no way to pool'}")


def _json(path: Path) -> Any:  # Any: JSON
    return json.loads(path.read_text())


def _optional(path: Path) -> Any:  # Any: JSON
    return _json(path) if path.exists() else None


def _no_model(path: Path, error: Exception) -> WeightsError:
    said = " ".join(str(error).split())[:300]
    return WeightsError(
        explain(
            f"sentence: {path}",
            "the folder holds no sentence encoder that can be read",
            found=f"{type(error).__name__}: {said}",
            allowed="config.json of a BERT model (gelu, absolute positions), tokenizer.json, "
            "model.safetensors; pooled by mean or class token",
            next_step="copy the whole repository of the model, or choose another one",
        )
    )
