"""What an evaluator is: a question to a model, about a split."""

from __future__ import annotations

from typing import ClassVar, Protocol

from mmlab.evaluate.encoded import Encoded
from mmlab.evaluate.subject import Subject
from mmlab.plugin import Dataset
from mmlab.records import EvaluationResult


class Evaluator(Protocol):
    """What a model is asked. Factory: `(*, options)`.

    `needs` says what the model must give: any of "prediction", "similarity"; "labels" or "targets"
    beside "prediction" says what the head must predict. `version` is part of the protocol: results
    of two versions do not compare. `metrics` are the names that results may have, "CONDITION/NAME"
    where there are conditions; "*" stands for what only the data or the options tell.
    """

    version: ClassVar[int]
    needs: ClassVar[frozenset[str]]
    metrics: ClassVar[frozenset[str]]

    def check(self, subject: Subject, dataset: Dataset, name: str) -> None:
        """Raise what can be known to be wrong before training, as `__call__` would after it."""

    def __call__(self, subject: Subject, encoded: Encoded, name: str) -> list[EvaluationResult]:
        """The results, under the evaluation's name in the spec."""
