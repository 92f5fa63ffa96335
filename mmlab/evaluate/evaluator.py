"""What an evaluator is: a question to a model about a split, and what makes its results comparable.

Here are the contract of evaluators, the further splits some learn from (probes, a choice of
prompts), what must be equal before two results may be compared, and the faults that several
evaluators tell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from mmlab.errors import DataError, SpecError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.plugin import Dataset, Metric, Split
from mmlab.records import EvaluationResult


class Evaluator(Protocol):
    """What a model is asked. Factory: `(*, options)`.

    `needs` says what the model must give: any of "prediction", "similarity"; "labels" or "targets"
    beside "prediction" says what the head must predict. `version` is part of the protocol: results
    of two versions do not compare. `metrics` declares what results may have, in the order in which
    reports show it; an evaluation is ranked by the first that it has. `label_metrics` declares the
    metrics of single labels. Both may be left out: what is not declared is shown without a place.
    """

    version: ClassVar[int]
    needs: ClassVar[frozenset[str]]
    metrics: ClassVar[tuple[Metric, ...]]
    label_metrics: ClassVar[tuple[Metric, ...]]

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise what can be known to be wrong before training, as `__call__` would after it."""

    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """The results, under the evaluation's name in the spec."""


@dataclass(frozen=True)
class Learnt:
    """A further split that an evaluator reads, by `Encoded.other`.

    A run is not begun unless it has samples, or is not needed: then `Encoded.lacking` says that
    there are none. `instead` is what a spec can say so that the split is not read.
    """

    split: Split
    is_needed: bool = True
    instead: str = ""


@runtime_checkable
class Learner(Protocol):
    """An evaluator that reads further splits of the data it is asked about: a probe."""

    @property
    def learns_from(self) -> Sequence[Learnt]:
        """Which, in the order of their names."""


def learnt_splits(evaluator: object) -> Sequence[Learnt]:
    """The further splits that an evaluator reads."""
    return evaluator.learns_from if isinstance(evaluator, Learner) else ()


@dataclass(frozen=True)
class ProtocolQuestion:
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
    question: ProtocolQuestion, encoded: Encoded, ids: Sequence[str], condition: str = ""
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


def no_labels(name: str) -> DataError:
    """The dataset names no labels to rank."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the dataset has no labels to rank",
            found="0 labels",
            allowed="a dataset with labels",
            next_step="use a dataset with labels, or another evaluator such as retrieval",
        )
    )


def nothing_left(name: str, skipped: int, needed: str) -> DataError:
    """Every sample lacks something the evaluator needs."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "no sample can take part",
            found=f"{skipped} samples, all without {needed}",
            allowed=f"at least one sample with {needed}",
            next_step="choose another split or dataset for this evaluation",
        )
    )


def needs_prediction(name: str) -> SpecError:
    """The model has no head."""
    return SpecError(
        explain(
            f"evaluate.{name}",
            "reads the prediction of a head, and the model has none",
            found="a model without [head]",
            allowed="a spec with a [head]",
            next_step="add [head], or use zero_shot",
        )
    )


def needs_similarity(name: str, inputs: Sequence[str]) -> SpecError:
    """The model cannot score pairs."""
    return SpecError(
        explain(
            f"evaluate.{name}",
            "reads the similarity of two inputs, and the model gives none",
            found=f"a fusion of {', '.join(inputs)}",
            allowed="a fusion of exactly two inputs that can score pairs",
            next_step="set fusion.inputs to two encoders, or use classification",
        )
    )


def lacks_modality(name: str, modality: str, modalities: Sequence[str]) -> DataError:
    """The dataset has nothing for an input that the evaluator reads."""
    return DataError(
        explain(
            f"evaluate.{name}",
            f"the dataset has no {modality}",
            found=f"modalities {', '.join(modalities) or 'none'}",
            allowed=f"a dataset with {modality}",
            next_step="choose another dataset or evaluator",
        )
    )
