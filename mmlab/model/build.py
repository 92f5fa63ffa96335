"""From a plan to a built cell: encoders, fusion, head and losses made, fitted, given weights.

`build` makes the modules of a plan that `mmlab.plan.resolve` has checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

from torch import nn

from mmlab.data.order import derive_seed, seed_generators
from mmlab.data.reader import Reader, lacks_modality, make_readers
from mmlab.data.samples import (
    LabelStatistics,
    label_statistics,
    output_count,
    raw_values,
    require_labels,
    target_names,
)
from mmlab.data.splits import Splits
from mmlab.errors import SpecError, WeightsError
from mmlab.model.adapters import adapt
from mmlab.model.heads import Standardized
from mmlab.model.model import Model, Step
from mmlab.model.weights import load_weights, restore
from mmlab.plan.plan import Plan
from mmlab.plugin import (
    Calibrated,
    Calibration,
    Dataset,
    Encoder,
    Fitted,
    Shapes,
    SimilarityFusion,
    Staged,
    Tokenized,
    Vocabulary,
)

T = TypeVar("T")


@dataclass(frozen=True)
class BuiltCell:
    """A cell made real: everything trainable in `step`, and how each encoder's input is read."""

    plan: Plan
    step: Step
    readers: Mapping[str, Reader]

    @property
    def model(self) -> Model:
        """Encoders, fusion and head."""
        return self.step.model

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
    sources: Mapping[str, InitialWeights],
    *,
    trained: InitialWeights | None = None,
) -> BuiltCell:
    """Make the modules of a cell for its reference data: the training split, or the evaluated one.

    Randomness comes from the cell's seed in the scope "build". `sources` gives the encoders that
    start from weights; the others learn their vocabulary from the dataset. `trained` is the file
    of a whole run, which brings everything: weights and vocabularies. Raises DataError,
    WeightsError or what a component raises for its options.
    """
    dataset = splits.reference(plan)
    seed_generators(derive_seed(plan.cell.seed, "build"))
    encoders = make_encoders(plan)
    if trained is not None:
        sources = {key: replace(trained, key=key) for key in encoders}
    _fit(plan, encoders, splits, sources)
    for key, source in sources.items():
        _restore_encoder(encoders[key], key, source)
    frozen = [stage for key in encoders for stage in _frozen_stages(plan, encoders, key)]
    if trained is None:  # trained weights hold what adapters have learnt
        frozen += _adapt(plan, encoders, frozen)
    truths = label_statistics(splits.outline(dataset), dataset) if plan.losses else None
    model = _make_model(plan, encoders, dataset, truths, frozen)
    losses = _make_losses(plan, model, dataset, truths)
    weights = {name: table.weight for name, table in plan.loss_tables.items()}
    modalities = {key: plan.modality(key) for key in encoders}
    is_trained = plan.cell.spec.train is not None
    readers = make_readers(
        dataset, cast(Mapping[str, Encoder], encoders), modalities, is_trained=is_trained
    )
    step = Step(model, losses, weights)
    if trained is not None:
        restore(step, load_weights(trained.path, trained.sha256), str(trained.path))
    return BuiltCell(plan, step, readers)


@dataclass(frozen=True)
class _Context:
    """What encoders share while one model is built."""

    reads: frozenset[str]
    _made: dict[str, object] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


def make_encoders(plan: Plan) -> dict[str, nn.Module]:
    """The encoders of a plan by key, as they start: without weights or vocabularies of the spec."""
    context = _Context(plan.reads)
    return {
        key: resolved.make(modality=plan.modality(key), context=context)
        for key, resolved in plan.encoders.items()
    }


def _fit(
    plan: Plan,
    encoders: Mapping[str, nn.Module],
    splits: Splits,
    sources: Mapping[str, InitialWeights],
) -> None:
    """Let encoders learn from the training split what they must, unless weights bring it."""
    for key, encoder in encoders.items():
        if not isinstance(encoder, Fitted) or key in sources:
            continue
        if plan.cell.spec.train is None:
            raise _unfitted(plan, key)
        dataset = splits.reference(plan)
        raws = list(raw_values(splits.outline(dataset), dataset, plan.modality(key)))
        if not raws:
            raise lacks_modality(dataset, plan.modality(key), key)
        encoder.fit(raws)


def _restore_encoder(encoder: nn.Module, key: str, source: InitialWeights) -> None:
    state = load_weights(source.path, source.sha256)
    if source.key is not None:
        prefix = f"model.encoders.{source.key}."
        state = {n.removeprefix(prefix): x for n, x in state.items() if n.startswith(prefix)}
    restore(encoder, state, f"encoders.{key}.weights ({source.path})")


def _adapt(
    plan: Plan, encoders: Mapping[str, nn.Module], frozen: Sequence[nn.Module]
) -> list[nn.Module]:
    """Give encoders their adapters; modules that must stay in eval mode because of that."""
    kept: list[nn.Module] = []
    for key, encoder in encoders.items():
        if (table := plan.cell.spec.encoders[key].lora) is not None:
            kept += adapt(encoder, table, frozen, plan.place("encoders", key, "lora"))
    return kept


def _make_model(
    plan: Plan,
    encoders: Mapping[str, nn.Module],
    dataset: Dataset,
    truths: LabelStatistics | None,
    frozen_stages: Sequence[nn.Module],
) -> Model:
    inputs = plan.inputs
    dims = [cast(Encoder, encoders[key]).dim for key in inputs]
    token_dims = [cast(Encoder, encoders[key]).token_dim for key in inputs]
    if plan.head is not None:
        require_labels(plan, dataset, truths)
    joint = make_fusion_and_head(plan, dims, token_dims, output_count(plan, dataset))
    head = joint.head
    if head is not None and truths is not None and plan.predicts_targets:
        head = Standardized(head, truths.target_means, truths.target_deviations)
    tables = plan.cell.spec.encoders
    return Model(
        encoders,
        joint.fusion,
        inputs,
        head=head,
        scorer=joint.scorer,
        modality_dropout=plan.cell.spec.fusion.modality_dropout,
        frozen=frozenset(key for key in encoders if tables[key].freeze is True),
        gives_fused=any("fused" in loss.declares("reads") for loss in plan.losses.values()),
        frozen_stages=frozen_stages,
    )


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


def _make_losses(
    plan: Plan, model: Model, dataset: Dataset, truths: LabelStatistics | None
) -> dict[str, nn.Module]:
    if truths is None:
        return {}
    shapes = Shapes(
        dims={key: cast(Encoder, encoder).dim for key, encoder in model.encoders.items()},
        fused=getattr(model.fusion, "dim", None),
        labels=dataset.labels,
        label_counts=truths.label_counts,
        is_multi_label=dataset.is_multi_label,
        vocabularies=_vocabularies(model),
        token_dims=_token_dims(model),
        labelled_count=truths.labelled_count,
        targets=target_names(dataset),
        target_deviations=truths.target_deviations,
    )
    return {name: resolved.make(shapes=shapes) for name, resolved in plan.losses.items()}


def _vocabularies(model: Model) -> dict[str, Vocabulary]:
    return {
        key: encoder.vocabulary
        for key, encoder in model.encoders.items()
        if isinstance(encoder, Tokenized)
    }


def _token_dims(model: Model) -> dict[str, int]:
    widths = {key: cast(Encoder, encoder).token_dim for key, encoder in model.encoders.items()}
    return {key: width for key, width in widths.items() if width is not None}


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
    plan: Plan, dims: Sequence[int], token_dims: Sequence[int | None], outputs: int
) -> FusionAndHead:
    """Make them for encoders of these widths; `outputs` is 0 where nothing is to be predicted."""
    fusion = plan.fusion.make(dims=dims, token_dims=token_dims, outputs=outputs or None)
    head = plan.head.make(dim=fusion.dim, outputs=outputs) if plan.head is not None else None
    scorer = None
    if plan.needs_similarity and not isinstance(fusion, SimilarityFusion):
        scorer = nn.Linear(fusion.dim, 1, bias=False)
    return FusionAndHead(fusion, head, scorer)
