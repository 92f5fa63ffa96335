"""What must be equal before two results may be compared: the protocol of an evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmlab.evaluate.encoded import Encoded


@dataclass(frozen=True)
class Question:
    """Which evaluator asks what. `options` are those that change a number, not what is kept.

    `prompt_names` is empty where prompts call labels by their names.
    """

    evaluator: str
    version: int
    options: Mapping[str, object]
    labels: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    prompt_names: tuple[str, ...] = ()


def make_protocol(
    question: Question, encoded: Encoded, ids: Sequence[str], condition: str = ""
) -> dict[str, object]:
    """Every ingredient of a result but the model. `ids` are of the samples asked, in order."""
    names = question.prompt_names
    return {
        "evaluator": question.evaluator,
        "version": question.version,
        "options": dict(question.options),
        "condition": condition,
        "split": encoded.split,
        "dataset_revision": encoded.dataset.revision,
        "samples": hash_texts(ids),
        "labels": hash_texts(question.labels),
        "templates": list(question.templates),
        **({"prompt_names": hash_texts(names)} if names else {}),
    }


def hash_texts(texts: Sequence[str]) -> str:
    """sha256 of ordered texts; no two lists share it, whatever the texts contain.

    >>> hash_texts(["a", "b"]) == hash_texts(["a, b"])
    False
    """
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
