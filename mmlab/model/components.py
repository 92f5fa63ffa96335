"""The modules of a plan, each with a random start of its own: encoders, fusion, head, losses.

A module draws its first weights from generators seeded by (seed, "build", its key), and finds them
so whatever else is built. Nothing is drawn from the generators of whoever builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mmlab.data.order import random_scope
from mmlab.data.splits import ReferenceData
from mmlab.errors import PluginError, explain
from mmlab.model.room import Room
from mmlab.plan.component import Resolved, name_table
from mmlab.plan.plan import Plan
from mmlab.plugin import (
    GENERATED,
    Batch,
    Encoder,
    Outputs,
    Shapes,
    SimilarityFusion,
    Tokenized,
    VectorFusion,
    Vocabulary,
)

T = TypeVar("T")
#: Who to turn to where a component does not do what its contract says.
TELL = "tell the plugin's author; `mmlab.testing` checks this"


@dataclass(frozen=True)
class BuildContext:
    """What encoders share while one model is built from a seed."""

    reads: frozenset[str]
    seed: int = 0
    _made: dict[str, object] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value of `make()`, made once for this key; its randomness is the key's alone."""
        if key not in self._made:
            with random_scope(self.seed, "once", key):
                self._made[key] = make()
        return cast(T, self._made[key])


def make_encoders(plan: Plan, room: Room | None = None) -> dict[str, nn.Module]:
    """The encoders of a plan by key, as they start: without weights or vocabularies of the spec.

    `room` is asked for each before it is made.
    """
    context = BuildContext(plan.reads, plan.cell.seed)
    return {key: make_encoder(plan, key, context, room) for key in plan.encoders}


def make_encoder(
    plan: Plan, key: str, context: BuildContext | None = None, room: Room | None = None
) -> nn.Module:
    """One of them."""
    context = context or BuildContext(plan.reads, plan.cell.seed)
    named = {"modality": plan.modality(key), "context": context}
    encoder: nn.Module = _make(plan, plan.encoders[key], encoder_key(key), room, **named)
    return encoder


def encoder_key(key: str) -> str:
    """What the scopes of an encoder's randomness are called after.

    >>> encoder_key("image")
    'encoders.image'
    """
    return f"encoders.{key}"


@dataclass(frozen=True)
class FusionAndHead:
    """The fusion; the head, if the spec has one; the scorer of pairs, if a loss needs one."""

    fusion: nn.Module
    head: nn.Module | None
    scorer: nn.Module | None

    def modules(self) -> Iterator[nn.Module]:
        """Those that are there."""
        yield from (m for m in (self.fusion, self.head, self.scorer) if m is not None)

    def parameter_count(self) -> int:
        """Numbers that are learnt beside those of the encoders."""
        return sum(p.numel() for module in self.modules() for p in module.parameters())


def make_fusion_and_head(
    plan: Plan,
    dims: Sequence[int],
    token_dims: Sequence[int | None],
    outputs: int,
    room: Room | None = None,
) -> FusionAndHead:
    """Make them for encoders of these widths; `outputs` is 0 where nothing is to be predicted.

    `room` is asked for each before it is made.
    """
    widths = {"dims": dims, "token_dims": token_dims}
    fusion = _make(plan, plan.fusion, "fusion", room, **widths, outputs=outputs or None)
    head = None
    if plan.head is not None:
        head = _make(plan, plan.head, "head", room, dim=fusion.dim, outputs=outputs)
    scorer = None
    if plan.needs_similarity and not isinstance(fusion, SimilarityFusion):
        with random_scope(plan.cell.seed, "build", "scorer"):
            scorer = nn.Linear(fusion.dim, 1, bias=False)
    return FusionAndHead(fusion, head, scorer)


def make_generator(
    plan: Plan,
    dims: Sequence[int],
    token_dims: Sequence[int | None],
    fusion: nn.Module,
    room: Room | None = None,
) -> nn.Module | None:
    """The generator for encoders of these widths and their fusion, if the spec has one."""
    if plan.generator is None:
        return None
    fused = fusion.dim if isinstance(fusion, VectorFusion) else None
    widths = {"dims": dims, "token_dims": token_dims, "fused": fused}
    modality = plan.modality(GENERATED)
    made: nn.Module = _make(plan, plan.generator, "generator", room, **widths, modality=modality)
    return made


def make_losses(
    plan: Plan,
    encoders: Mapping[str, nn.Module],
    fusion: nn.Module,
    data: ReferenceData,
    room: Room | None = None,
) -> dict[str, nn.Module]:
    """The losses of a plan by name; none where it has none. `room` is asked as before."""
    if data.statistics is None:
        return {}
    shapes = _shapes(encoders, fusion, data)
    return {
        name: _make(plan, resolved, f"losses.{name}", room, shapes=shapes)
        for name, resolved in plan.losses.items()
    }


def _shapes(encoders: Mapping[str, nn.Module], fusion: nn.Module, data: ReferenceData) -> Shapes:
    known = data.statistics
    assert known is not None, "they are counted wherever there are losses"
    return Shapes(
        dims={key: cast(Encoder, encoder).dim for key, encoder in encoders.items()},
        fused=getattr(fusion, "dim", None),
        labels=data.labels,
        label_counts=known.label_counts,
        is_multi_label=data.is_multi_label,
        vocabularies=_vocabularies(encoders),
        token_dims=_token_dims(encoders),
        labelled_count=known.labelled_count,
        targets=data.targets,
        target_deviations=known.target_deviations,
    )


def _vocabularies(encoders: Mapping[str, nn.Module]) -> dict[str, Vocabulary]:
    return {
        key: encoder.vocabulary
        for key, encoder in encoders.items()
        if isinstance(encoder, Tokenized)
    }


def _token_dims(encoders: Mapping[str, nn.Module]) -> dict[str, int]:
    widths = {key: cast(Encoder, encoder).token_dim for key, encoder in encoders.items()}
    return {key: width for key, width in widths.items() if width is not None}


def _make(
    plan: Plan, resolved: Resolved, key: str, room: Room | None, **given: object
) -> Any:  # as `Resolved.make`
    """A component in the scope of its key. Raises PluginError where it would draw only later."""

    def make() -> Any:
        with random_scope(plan.cell.seed, "build", key):
            return resolved.make(**given)

    made = make() if room is None else room.making(key, resolved, make)
    if lazy := lazy_tensors(made):
        raise _draws_later(resolved, lazy)
    return made


def lazy_tensors(module: object) -> list[str]:
    """Names of the parameters and buffers that get shape and values at a first pass only."""
    if not isinstance(module, nn.Module):  # whoever takes it says so
        return []
    held = [*module.named_parameters(), *module.named_buffers()]
    return [name for name, tensor in held if is_lazy(tensor)]


def _draws_later(resolved: Resolved, lazy: Sequence[str]) -> PluginError:
    entry = resolved.entry
    return PluginError(
        explain(
            f"{name_table(resolved.document, resolved.table)}: "
            f"{entry.kind} {entry.name!r} of {entry.distribution}",
            "its parameters are lazy: they would draw their first values when data pass, from "
            "random numbers that are not the component's own",
            found=", ".join(lazy[:5]) + (", ..." if len(lazy) > 5 else ""),
            allowed="parameters that have their shapes when the component is made (torch.nn.Linear "
            "instead of LazyLinear)",
            next_step=TELL,
        )
    )


#: What a component is given, by name: (of what, which, the tensor).
Given = list[tuple[str, str, Tensor]]


def given_tensors(batch: Batch, outputs: Outputs | None = None) -> Given:
    """All tensors that a loss is given, each with its name in two parts; of a batch alone its own.

    Names are put together only where one is told: this runs at every step.
    """
    given: Given = [("batch.target", "", batch.target), ("batch.index", "", batch.index)]
    given += [("batch.inputs", key, x) for key, x in batch.inputs.items()]
    given += [("batch.present", key, x) for key, x in batch.present.items()]
    given += [("batch.views", key, x) for key, x in batch.views.items()]
    if batch.targets is not None:
        given.append(("batch.targets", "", batch.targets))
    if outputs is None:
        return given
    for name, x in (("outputs.fused", outputs.fused), ("outputs.prediction", outputs.prediction)):
        if x is not None:
            given.append((name, "", x))
    sides = {} if outputs.similarity is None else outputs.similarity.sides
    for of, by_key in (("outputs.features", outputs.features), ("outputs.similarity.sides", sides)):
        for key, features in by_key.items():
            each = (features.pooled, features.tokens, features.mask, features.present)
            given += [(of, key, x) for x in each if x is not None]
    return given


class Watch:
    """Notices changes in place of what components are given, by the tensors' version counters.

    torch counts the writes to each tensor, so that nothing is copied, compared or waited for.
    """

    def __init__(self, given: Given) -> None:
        self._given = given
        self._tensors = [x for _, _, x in given]
        self._before = [x._version for x in self._tensors]

    def require_unchanged(self, who: str) -> None:
        """Raise PluginError, naming `who` was at work, where a tensor was written to."""
        after = [x._version for x in self._tensors]
        if after == self._before:
            return
        pairs = zip(self._given, after, self._before, strict=True)
        changed = [_named(of, key) for (of, key, _), new, old in pairs if new != old]
        raise PluginError(
            explain(
                who,
                "changes in place what it was given",
                found=", ".join(dict.fromkeys(changed)),
                allowed="tensors that are only read: a copy is made first (x + 1 for x.add_(1))",
                next_step=TELL,
            )
        )


def _named(of: str, key: str) -> str:
    return f"{of}[{key!r}]" if key else of
