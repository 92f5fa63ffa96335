"""From a plan to a built cell: encoders, fusion, head and losses made, fitted, given weights.

`build` makes the modules of a plan that `mmlab.plan.resolve` has checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from torch import nn

from mmlab.data.order import random_scope
from mmlab.data.reader import Reader, lacks_modality, make_readers, readers_of
from mmlab.data.samples import raw_values
from mmlab.data.splits import ReferenceData, Splits, output_count, reference_data, require_labels
from mmlab.errors import SpecError, WeightsError
from mmlab.model.adapters import adapt
from mmlab.model.components import (
    encoder_key,
    make_encoders,
    make_fusion_and_head,
    make_generator,
    make_losses,
)
from mmlab.model.heads import Standardized
from mmlab.model.model import Model, Step
from mmlab.model.room import Room
from mmlab.model.weights import Description, WeightsReader, describe, description_of, restore
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan, where_of
from mmlab.plugin import GENERATED, Calibrated, Calibration, Encoder, Fitted, Staged


@dataclass(frozen=True)
class BuiltCell:
    """A cell made real: everything trainable in `step`, and how each encoder's input is read.

    `data` is what the modules were made for.
    """

    plan: Plan
    step: Step
    readers: Mapping[str, Reader]
    data: ReferenceData

    @property
    def model(self) -> Model:
        """Encoders, fusion and head."""
        return self.step.model

    def description(self) -> Description:
        """What a file of its weights says beside them, so that it loads without the data."""
        return describe(self.data, self.readers)

    def calibration(self) -> Calibration | None:
        """Scale and bias of the first loss that owns one, else of the first pretrained encoder."""
        modules = [*self.step.losses.values(), *self.model.encoders.values()]
        owners = (module for module in modules if isinstance(module, Calibrated))
        return next((owner.calibration() for owner in owners), None)


@dataclass(frozen=True)
class InitialWeights:
    """Weights an encoder starts from: a file, its identity, and the encoder's key inside it.

    `key` None means the file holds the encoder alone, not a whole model. `run_id` is the run that
    left it, if one did.
    """

    path: Path
    sha256: str
    key: str | None
    run_id: str | None = None


def build(
    plan: Plan,
    splits: Splits,
    initial: Mapping[str, InitialWeights],
    *,
    trained: InitialWeights | None = None,
    files: WeightsReader | None = None,
    room: Room | None = None,
) -> BuiltCell:
    """Make the modules of a cell for its reference data: the training split, or the evaluated one.

    Every random number comes from the cell's seed, in a scope for each module ("build", "fit" and
    "lora" with its key), and the ambient generators are left as they were. `initial` gives the
    encoders that start from weights; the others learn their vocabulary from the dataset. `trained`
    is the file of a whole run, which brings everything: weights, vocabularies and what else was
    read of the data, which need not be there then. `files` knows those that were read to identify
    the cell. `room` says, before anything is made, whether it will fit. Raises DataError,
    WeightsError, PluginError, RunError or what a component raises for its options.
    """
    with random_scope(plan.cell.seed, "build"):
        return _build(plan, splits, initial, trained, files or WeightsReader(), room)


def _build(
    plan: Plan,
    splits: Splits,
    initial: Mapping[str, InitialWeights],
    trained: InitialWeights | None,
    files: WeightsReader,
    room: Room | None,
) -> BuiltCell:
    encoders, whole, known = make_encoders(plan, room), None, None
    if trained is not None:
        whole = files.read(trained.path, trained.sha256)
        known = description_of(whole, plan.reading.keys())
        initial = {key: replace(trained, key=key) for key in encoders}
    _fit(plan, encoders, splits, initial)
    for key in encoders.keys() & initial.keys():
        _restore_part(encoders[key], key, initial[key], files)
    frozen = [stage for key in encoders for stage in _frozen_stages(plan, encoders, key)]
    if trained is None:  # trained weights hold what adapters have learnt
        frozen += _adapt(plan, encoders, frozen)
    data = reference_data(plan, splits) if known is None else known.data
    model = _make_model(plan, encoders, data, frozen, room)
    if model.generator is not None and GENERATED in initial:
        _restore_part(model.generator, GENERATED, initial[GENERATED], files)
    losses = make_losses(plan, encoders, model.fusion, data, room)
    weights = {name: table.weight for name, table in plan.loss_tables.items()}
    step = Step(model, losses, weights)
    generator = {} if model.generator is None else {GENERATED: model.generator}
    readers = _make_readers(plan, {**encoders, **generator}, splits, known)
    if whole is not None:
        restore(step, whole.tensors, str(whole.path))
    return BuiltCell(plan, step, readers, data)


def _make_readers(
    plan: Plan,
    modules: Mapping[str, nn.Module],
    splits: Splits,
    known: Description | None,
) -> dict[str, Reader]:
    """How inputs are read, with placeholders as they are known or else as the data have them.

    The modules are encoders and generator: what reads samples has a `transform`.
    """
    given = cast(Mapping[str, Encoder], modules)
    modalities = {key: plan.modality(key) for key in modules}
    if known is not None:
        return readers_of(known.placeholders(), given, modalities)
    is_trained = plan.cell.spec.train is not None
    return make_readers(splits.reference(plan), given, modalities, is_trained=is_trained)


def _fit(
    plan: Plan,
    encoders: Mapping[str, nn.Module],
    splits: Splits,
    initial: Mapping[str, InitialWeights],
) -> None:
    """Let encoders learn from the training split what they must, unless weights bring it."""
    for key, encoder in encoders.items():
        if not isinstance(encoder, Fitted) or key in initial:
            continue
        if plan.cell.spec.train is None:
            raise _unfitted(plan, key)
        dataset = splits.reference(plan)
        raws = list(raw_values(splits.index(dataset), dataset, plan.modality(key)))
        if not raws:
            raise lacks_modality(dataset, plan.modality(key), key)
        with random_scope(plan.cell.seed, "fit", encoder_key(key)):
            encoder.fit(raws)


def _restore_part(
    module: nn.Module, key: str, source: InitialWeights, files: WeightsReader
) -> None:
    """Give an encoder, or the generator, the weights that it starts from."""
    state = files.read(source.path, source.sha256).tensors
    if source.key is not None:
        prefix = ".".join(("model", *where_of(source.key), ""))
        state = {n.removeprefix(prefix): x for n, x in state.items() if n.startswith(prefix)}
    restore(module, state, f"{'.'.join(where_of(key))}.weights ({source.path})")


def _adapt(
    plan: Plan, encoders: Mapping[str, nn.Module], frozen: Sequence[nn.Module]
) -> list[nn.Module]:
    """Give encoders their adapters; modules that must stay in eval mode because of that."""
    kept: list[nn.Module] = []
    for key, encoder in encoders.items():
        if (table := plan.cell.spec.encoders[key].lora) is not None:
            with random_scope(plan.cell.seed, "lora", encoder_key(key)):
                kept += adapt(encoder, table, frozen, plan.place("encoders", key, "lora"))
    return kept


def _make_model(
    plan: Plan,
    encoders: Mapping[str, nn.Module],
    data: ReferenceData,
    frozen_stages: Sequence[nn.Module],
    room: Room | None,
) -> Model:
    inputs = plan.inputs
    dims = [cast(Encoder, encoders[key]).dim for key in inputs]
    token_dims = [cast(Encoder, encoders[key]).token_dim for key in inputs]
    if plan.head is not None:
        require_labels(plan, data)
    made = make_fusion_and_head(plan, dims, token_dims, output_count(plan, data), room)
    head, statistics = made.head, data.statistics
    if head is not None and statistics is not None and plan.predicts_targets:
        head = Standardized(head, statistics.target_means, statistics.target_deviations)
    tables, generation = plan.cell.spec.encoders, plan.cell.spec.generator
    generator = make_generator(plan, dims, token_dims, made.fusion, room)
    if generator is not None and generation is not None and generation.freeze:
        frozen_stages = [*frozen_stages, generator]
    return Model(
        encoders,
        made.fusion,
        inputs,
        head=head,
        scorer=made.scorer,
        modality_dropout=plan.cell.spec.fusion.modality_dropout,
        frozen=frozenset(key for key in encoders if tables[key].freeze is True),
        gives_fused=any("fused" in one.declares("reads") for one in _readers_of_vectors(plan)),
        frozen_stages=frozen_stages,
        generator=generator,
    )


def _readers_of_vectors(plan: Plan) -> Iterator[Resolved]:
    """What may read the fusion's vector beside a head: losses, and the generator."""
    yield from plan.losses.values()
    if plan.generator is not None:
        yield plan.generator


def _frozen_stages(plan: Plan, encoders: Mapping[str, nn.Module], key: str) -> Sequence[nn.Module]:
    """The first stages of an encoder, as many as its table freezes."""
    count = plan.cell.spec.encoders[key].freeze
    if isinstance(count, bool) or count == 0:
        return ()
    encoder = encoders[key]
    stages = encoder.stages() if isinstance(encoder, Staged) else ()
    if count <= len(stages):
        return stages[:count]
    raise SpecError(
        plan.explain(
            ("encoders", key, "freeze"),
            "the encoder has fewer stages than are to be frozen",
            found=count,
            allowed=f"true, false, or 0 to {len(stages)}" if stages else "true or false",
            next_step="lower the number, or freeze the whole encoder with `true`",
        )
    )


def _unfitted(plan: Plan, key: str) -> WeightsError:
    return WeightsError(
        plan.explain(
            ("encoders", key),
            "this encoder learns its vocabulary from a training split, and nothing trains it",
            found="no [train] table and no weights",
            allowed="weights that hold the vocabulary, or a [train] table",
            next_step=f"set encoders.{key}.weights = {{ run = ... }} or {{ file = ... }}",
        )
    )
