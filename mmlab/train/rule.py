"""The update rule of a training: its optimiser and schedule, and the groups of its parameters.

An exponential moving average (EMA) of the weights is often better than the last weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.errors import SpecError, explain
from mmlab.model.device import is_sharded, leave_out_compiler, local, shard_of
from mmlab.model.model import Step
from mmlab.plan.options import supplied
from mmlab.plugin import GENERATED, Staged
from mmlab.spec import TrainTable
from mmlab.train.optimizers import AdamW, Optimizer, ParameterGroup
from mmlab.train.schedules import Cosine, Schedule

#: Makes a component of what it names among the keywords it is given.
Make = Callable[..., Any]


def using(factory: Make, **options: object) -> Make:
    """A maker of a factory with these options; it passes on what the factory names, no more."""

    def make(**given: object) -> Any:
        return factory(*(given[name] for name in supplied(factory)), **options)

    return make


#: Methods of torch's optimisers at which compiled code would have to pause.
_PAUSING = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


@dataclass(frozen=True)
class UpdateRule:
    """How weights learn, beside what [train] itself says: AdamW and a cosine unless given.

    `lr_scales` holds factors of the learning rate by encoder, and GENERATED for the generator.
    """

    optimizer: Make = field(default_factory=lambda: using(AdamW))
    schedule: Make = field(default_factory=lambda: using(Cosine))
    lr_scales: Mapping[str, float] = field(default_factory=dict)

    def make_optimizer(self, step: Step, table: TrainTable) -> Optimizer:
        """The optimiser of everything in the step that is trained."""
        if not table.compile:
            leave_out_compiler(*(getattr(torch.optim.Optimizer, name) for name in _PAUSING))
        optimizer: Optimizer = self.optimizer(
            groups=parameter_groups(step, table, self.lr_scales),
            lr=table.lr,
            matrices=hidden_matrices(step),
        )
        return optimizer

    def make_schedule(self, table: TrainTable, total_steps: int) -> Schedule:
        """The schedule of a training of so many steps."""
        warmup_steps = round(table.warmup_fraction * total_steps)
        schedule: Schedule = self.schedule(
            lr=table.lr, total_steps=total_steps, warmup_steps=warmup_steps
        )
        return schedule


def parameter_groups(
    step: Step, table: TrainTable, lr_scales: Mapping[str, float]
) -> list[ParameterGroup]:
    """What is trained, in groups of one weight decay and one factor of the learning rate, "scale".

    Biases, norms and temperatures (fewer than 2 axes) do not decay.
    """
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    scales = dict(_scales(step, table, lr_scales))
    for parameter in step.parameters():
        if parameter.requires_grad:
            scale = scales.get(id(parameter), 1.0)
            # A fused step takes no parameters that are sharded together with others.
            kind = (scale, parameter.ndim >= 2, is_sharded(parameter))
            groups.setdefault(kind, []).append(parameter)
    return [
        {"params": p, "weight_decay": table.weight_decay if decays else 0.0, "scale": scale}
        for (scale, decays, _), p in groups.items()
    ]


def hidden_matrices(step: Step) -> frozenset[nn.Parameter]:
    """The weights of linear maps inside encoders and fusion, those shared with embeddings excepted.

    Heads and losses have none: their maps lead to outputs. Where a fusion's result is the
    prediction, as `late_fusion`'s is, its last maps count as hidden all the same.
    """
    inside = (*step.model.encoders.modules(), *step.model.fusion.modules())
    weights = {weight for module in inside for weight in _map_weights(module)}
    embeddings = (module for module in step.modules() if isinstance(module, nn.Embedding))
    return frozenset(weights - {embedding.weight for embedding in embeddings})


def _map_weights(module: nn.Module) -> Iterator[nn.Parameter]:
    """The matrices of a module of torch's that is made of linear maps."""
    names: tuple[str, ...] = ()
    if isinstance(module, nn.Linear):
        names = ("weight",)
    elif isinstance(module, nn.MultiheadAttention):
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
    own = dict(module.named_parameters(recurse=False))  # an adapted map has no weight of its own
    yield from (own[name] for name in names if name in own)


def _scales(
    step: Step, table: TrainTable, lr_scales: Mapping[str, float]
) -> Iterator[tuple[int, float]]:
    """Factors by the id of a parameter: those of its encoder and of its stage.

    The last of n stages has layer_decay, the first layer_decay ** n, as in BEiT (Bao et al.,
    arXiv:2106.08254, appendix); what is no part of an encoder has 1.
    """
    if step.model.generator is not None:
        factor = lr_scales.get(GENERATED, 1.0)
        yield from ((id(p), factor) for p in step.model.generator.parameters())
    for key, encoder in step.model.encoders.items():
        factor = lr_scales.get(key, 1.0)
        yield from ((id(p), factor) for p in encoder.parameters())
        if table.layer_decay == 1.0 or not any(p.requires_grad for p in encoder.parameters()):
            continue
        if not isinstance(encoder, Staged):
            raise _without_stages(key)
        stages = encoder.stages()
        for position, stage in enumerate(stages):
            scale = factor * table.layer_decay ** (len(stages) - position)
            yield from ((id(p), scale) for p in stage.parameters())


def _without_stages(key: str) -> SpecError:
    return SpecError(
        explain(
            "train.layer_decay",
            f"the encoder {key!r} cannot name its stages",
            found="an encoder without `stages`",
            allowed="encoders with stages, or frozen ones",
            next_step=f"leave train.layer_decay out and set encoders.{key}.lr_scale",
        )
    )


class Average:
    """Exponential moving average of parameters: a <- d a + (1 - d) w after each step.

    d is `decay`, but (1 + t) / (10 + t) after step t where that is less: an average of few steps
    would be little but the first weights. Buffers are no part of it. Of parameters that are sharded
    over processes each averages its part.

    Source: Polyak averaging as in the training of Inception, Szegedy et al., arXiv:1512.00567,
    section 8; the growing d is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self._whole = [p.detach() for p in parameters]
        self.parameters = [local(p) for p in self._whole]
        self.values: list[Tensor] = [p.clone() for p in self.parameters]
        self.is_in_place = False

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps, the first being 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, self.parameters, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average in the place of the weights, or the weights back."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            kept = parameter.clone()
            parameter.copy_(value)
            value.copy_(kept)
        self.is_in_place = not self.is_in_place

    @contextmanager
    def in_place(self, wanted: bool = True) -> Iterator[None]:
        """The average in the place of the weights while the block runs, or not, if that is wanted.

        What was before is then again.
        """
        if self.is_in_place == wanted:
            yield
            return
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """The average, while the weights are in the model; the decay is not of the state.

        It is sharded as the parameters are.
        """
        pairs = zip(self.values, self._whole, strict=True)
        return {"values": [shard_of(value, whole) for value, whole in pairs]}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from such an average."""
        for own, value in zip(self.values, state_dict["values"], strict=True):
            own.copy_(local(value))
