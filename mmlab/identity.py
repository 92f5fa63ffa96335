"""The hashes that decide what is run, what is skipped, and what may be compared.

The train hash covers everything that can change the weights, and nothing else: not the device, not
worker counts, not absolute paths, not what is evaluated afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmlab import __version__
from mmlab.plan import Plan, Resolved
from mmlab.spec import TrainTable, digest

#: Keys of [train] that change how fast or how visibly a run goes, never its numbers.
_WITHOUT_EFFECT = frozenset({"workers", "emit_every"})


@dataclass(frozen=True)
class Hashes:
    """`train` identifies a run; `group` is the same without the seed, so seeds can be averaged."""

    train: str
    group: str


def hash_cell(
    plan: Plan, revisions: Mapping[str, str], weights: Mapping[str, str | None]
) -> Hashes:
    """Hashes of a cell, given dataset revisions by split and the sha256 of initial weights."""
    content = describe_training(plan, revisions, weights)
    return Hashes(train=digest({**content, "seed": plan.cell.seed}), group=digest(content))


def describe_training(
    plan: Plan, revisions: Mapping[str, str], weights: Mapping[str, str | None]
) -> dict[str, object]:
    """All that a train hash covers, the seed aside."""
    spec = plan.cell.spec
    return {
        "mmlab": __version__,
        "dataset": {**_component(plan.dataset), "revisions": dict(revisions)},
        "encoders": {
            key: {
                **_component(resolved),
                "modality": plan.modality(key),
                "freeze": spec.encoders[key].freeze,
                "weights": weights.get(key),
            }
            for key, resolved in plan.encoders.items()
        },
        "fusion": {**_component(plan.fusion), "inputs": list(plan.inputs)},
        "head": _component(plan.head) if plan.head else None,
        "losses": {
            name: {**_component(resolved), "weight": plan.loss_tables[name].weight}
            for name, resolved in plan.losses.items()
        },
        "train": _training_settings(spec.train),
    }


def hash_evaluation(plan: Plan, name: str, train_hash: str, dataset_revision: str) -> str:
    """Identity of one evaluation of one run: its evaluator, options, split and data."""
    table, resolved = plan.evaluate_tables[name], plan.evaluators[name]
    own = plan.evaluate_datasets.get(name)
    return digest(
        {
            "train": train_hash,
            "name": name,
            "evaluator": {**_component(resolved), "revision": resolved.factory.version},
            "split": table.split,
            "dataset": _component(own) if own else None,
            "revision": dataset_revision,
        }
    )


def _component(resolved: Resolved) -> dict[str, object]:
    return {**resolved.identity(), "source": resolved.entry.source_hash}


def _training_settings(table: TrainTable | None) -> dict[str, object] | None:
    if table is None:
        return None
    return {
        key: value
        for key, value in table.model_dump(mode="json").items()
        if key not in _WITHOUT_EFFECT
    }
