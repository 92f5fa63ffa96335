"""The hashes that decide what is run, what is skipped, and what may be compared.

The train hash covers the experiment's name and everything that can change the weights: not the
device, not worker counts, not absolute paths, not what is evaluated afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmlab import __version__
from mmlab.data.splits import Splits
from mmlab.hashing import digest
from mmlab.model.build import InitialWeights
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.runner.score import learnt_data
from mmlab.spec import LoraTable, TrainTable

#: Keys of [train] that change how fast or how visibly a run goes, never its numbers.
_WITHOUT_EFFECT = frozenset({"workers", "emit_every", "parallel", "checkpoint_activations"})


@dataclass(frozen=True)
class Hashes:
    """`train` identifies a run; `group` is the same without the seed, so seeds can be averaged."""

    train: str
    group: str


def hash_cell(
    plan: Plan, revisions: Mapping[str, str], sources: Mapping[str, InitialWeights]
) -> Hashes:
    """Hashes of a cell, given dataset revisions by split and the weights encoders start from."""
    content = describe_training(plan, revisions, sources)
    return Hashes(train=digest({**content, "seed": plan.cell.seed}), group=digest(content))


def describe_training(
    plan: Plan, revisions: Mapping[str, str], sources: Mapping[str, InitialWeights]
) -> dict[str, object]:
    """All that a train hash covers, the seed aside.

    Encoders and losses count in their order: modules are made in it, from one stream of random
    numbers, and the first loss with a temperature gives the probabilities.
    """
    spec = plan.cell.spec
    return {
        "mmlab": __version__,
        "experiment": plan.cell.experiment,
        "dataset": {**_component(plan.dataset), "revisions": dict(revisions)},
        "encoders": [
            {
                **_component(resolved),
                "key": key,
                "modality": plan.modality(key),
                "freeze": spec.encoders[key].freeze,
                "lr_scale": spec.encoders[key].lr_scale,
                "lora": _dumped(spec.encoders[key].lora),
                "weights": [sources[key].sha256, sources[key].key] if key in sources else None,
            }
            for key, resolved in plan.encoders.items()
        ],
        "fusion": {
            **_component(plan.fusion),
            "inputs": list(plan.inputs),
            "modality_dropout": spec.fusion.modality_dropout,
            "budget": plan.cell.budget,
        },
        "head": _component(plan.head) if plan.head else None,
        "losses": [
            {**_component(resolved), "name": name, "weight": plan.loss_tables[name].weight}
            for name, resolved in plan.losses.items()
        ],
        "train": _training_settings(spec.train),
        "judge": _judge(plan),
    }


def evaluation_hashes(
    plan: Plan, train_hash: str, splits: Splits, names: Iterable[str] | None = None
) -> dict[str, str]:
    """Identity of evaluations of a run, by name: each evaluator, its options, split and data.

    Of all evaluations of the plan unless some are named.
    """
    return {
        name: digest(
            {
                "train": train_hash,
                "name": name,
                "evaluator": _evaluator(plan, name),
                "split": plan.evaluate_tables[name].split,
                "dataset": splits.evaluated(plan, name).revision,
                **_learnt(plan, name, splits),
            }
        )
        for name in (plan.evaluators if names is None else names)
    }


def _dumped(table: LoraTable | None) -> dict[str, object] | None:
    return None if table is None else table.model_dump(mode="json")


def _component(resolved: Resolved) -> dict[str, object]:
    return {**resolved.identity(), "source": resolved.entry.source_hash}


def _evaluator(plan: Plan, name: str) -> dict[str, object]:
    """An evaluator, and the dataset of its own if it has one: the train hash has the spec's."""
    resolved, dataset = plan.evaluators[name], plan.evaluate_datasets.get(name)
    own = _component(dataset) if dataset is not None else None
    return {**_component(resolved), "revision": resolved.factory.version, "dataset": own}


def _learnt(plan: Plan, name: str, splits: Splits) -> dict[str, object]:
    """Revisions of the further splits that an evaluation learns from, if it does."""
    found = {split: data.revision for split, data in learnt_data(plan, name, splits).items()}
    return {"learns_from": found} if found else {}


def _judge(plan: Plan) -> dict[str, object] | None:
    """The evaluation that says which weights are best, if it is one."""
    table = plan.cell.spec.train
    name = table.best.partition("/")[0] if table else ""
    return _evaluator(plan, name) if name in plan.evaluators else None


def _training_settings(table: TrainTable | None) -> dict[str, object] | None:
    if table is None:
        return None
    return {
        key: value
        for key, value in table.model_dump(mode="json").items()
        if key not in _WITHOUT_EFFECT
    }
