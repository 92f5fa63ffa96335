"""The training of a generator: its condition, noise and times, and the loss `generation`.

Classifier-free guidance needs a generator that has learnt to do without a condition: in training
it is left out as often as `fusion.modality_dropout` says.

Source: Ho and Salimans, arXiv:2207.12598.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from mmlab.data.order import derive_seed
from mmlab.errors import PluginError, explain
from mmlab.plugin import (
    GENERATED,
    Batch,
    Condition,
    Encode,
    Features,
    Generation,
    Generator,
    Outputs,
)

#: Times at which validation looks at each sample: one in each equal part of [0, 1).
VALIDATION_TIMES = 4
#: Fractional parts of its multiples are spread more evenly than those of any other number.
_GOLDEN = (5**0.5 - 1) / 2


def make_condition(
    inputs: Sequence[Features], fused: Tensor | None, dropout: float = 0.0
) -> Condition:
    """The condition of a batch, none where no input is there; as often as `dropout` it is left out.

    Whether it is left out is drawn from the ambient generator.
    """
    present = torch.stack([features.present for features in inputs]).any(0)
    if dropout:
        present = present & (torch.rand(present.shape, device=present.device) >= dropout)
    seen = tuple(replace(features, present=features.present & present) for features in inputs)
    return Condition(seen, fused, present)


class ModelGeneration:
    """A generator under the condition of a batch; times and noise are given to it here."""

    def __init__(self, generator: nn.Module, condition: Condition, *, is_training: bool) -> None:
        self.generator = generator
        self.condition = condition
        self.is_training = is_training

    def terms(self, batch: Batch) -> Mapping[str, Tensor]:
        """Means of the generator's terms over the batch's targets that are there, float32 at least.

        In training times and noise are drawn from the ambient generator. In evaluation each sample
        has its own, so that values of two moments, or two models, differ by their weights alone.
        Raises PluginError where the generator gives other shapes than it must.
        """
        target, there = batch.inputs[GENERATED], batch.present[GENERATED]
        if self.is_training:
            noise = torch.randn(target.shape, device=target.device)
            time = torch.rand(len(target), device=target.device)
            return self._means(target, there, noise, time)
        passes = [
            self._means(target, there, *_fixed(batch.index, target, position))
            for position in range(VALIDATION_TIMES)
        ]
        return {name: torch.stack([one[name] for one in passes]).mean(0) for name in passes[0]}

    def _means(
        self, target: Tensor, there: Tensor, noise: Tensor, time: Tensor
    ) -> dict[str, Tensor]:
        generator = cast(Generator, self.generator)
        terms = generator.terms(target, self.condition, noise, time)
        _check_terms(terms, len(target))
        count = there.sum().clamp(min=1)
        return {
            name: x.to(torch.promote_types(x.dtype, torch.float32)).where(there, 0).sum() / count
            for name, x in terms.items()
        }


def _fixed(index: Tensor, target: Tensor, position: int) -> tuple[Tensor, Tensor]:
    """Noise and times of samples by their numbers in the split, for one of VALIDATION_TIMES.

    The times of all samples of a split fill [0, 1) evenly.
    """
    numbers = index.tolist()
    noise = torch.stack([_noise(number, position, target.shape[1:]) for number in numbers])
    within = torch.tensor([(number + 1) * _GOLDEN % 1 for number in numbers])
    time = (within + position) / VALIDATION_TIMES
    return noise.to(target.device), time.to(target.device)


def _noise(number: int, position: int, shape: torch.Size) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(number, "validation noise", position))
    return torch.randn(shape, generator=generator)


def _check_terms(terms: Mapping[str, Tensor], size: int) -> None:
    """Raise PluginError unless there is one number for each sample, "loss" among their names."""
    wrong = {name: tuple(x.shape) for name, x in terms.items() if x.shape != (size,)}
    if not wrong and "loss" in terms:
        return
    raise PluginError(
        explain(
            "generator",
            "does not give what a generator gives",
            found=wrong or ", ".join(terms) or "nothing",
            allowed=f'a number for each of the {size} samples by name, one of them "loss"',
            next_step="tell the plugin's author; `mmlab.testing` checks this",
        )
    )


class GenerationLoss(nn.Module):
    """The generator's own objective: the mean of its terms over the targets of a batch.

    What is minimised is up to the generator, whose noise process it belongs to. A sample without
    the target counts for nothing. Validation takes four times of each sample, with noise of its
    own, the same ones at every validation.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"generation"})
    views = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """Scalars by name, those of the generator."""
        return cast(Generation, outputs.generation).terms(batch)
