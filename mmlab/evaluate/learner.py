"""Evaluators that read more than the split they are asked about: probes, a choice of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mmlab.plugin import Split


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
