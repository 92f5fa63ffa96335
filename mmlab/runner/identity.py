"""The hashes that decide what is run, what is skipped, and what may be compared.

The train hash covers the experiment's name and everything that can change the weights: not the
device, not worker counts, not absolute paths, not what is evaluated afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmlab import NUMERICS
from mmlab.data.splits import Splits
from mmlab.hashing import digest
from mmlab.model.build import InitialWeights
from mmlab.plan.content import Content, hashed
from mmlab.plan.plan import Plan
from mmlab.plan.spec_content import SpecContent
from mmlab.runner.score import learnt_data
from mmlab.spec.faults import Where


@dataclass(frozen=True)
class Hashes:
    """`train` identifies a run; `group` is the same without the seed, so seeds can be averaged."""

    train: str
    group: str


def hash_cell(
    plan: Plan, revisions: Mapping[str, str], sources: Mapping[str, InitialWeights]
) -> Hashes:
    """Hashes of a cell, given dataset revisions by split and the weights encoders start from."""
    return hash_content(hashed(describe_training(plan, revisions, sources)), plan.cell.seed)


def hash_content(content: Mapping[str, object], seed: int) -> Hashes:
    """Hashes of plain content, with the seed and without."""
    return Hashes(train=digest({**content, "seed": seed}), group=digest(content))


def describe_training(
    plan: Plan, revisions: Mapping[str, str], sources: Mapping[str, InitialWeights]
) -> dict[str, Content]:
    """All that a train hash covers, the seed aside; keys that were added later are marked.

    Every key of the spec is part of it unless its table declares it `WithoutEffect`. Encoders and
    losses count in their order: modules are made in it, from one stream of random numbers, and the
    first loss with a temperature gives the probabilities.
    """
    of, spec = SpecContent(dict(plan.components())), plan.cell.spec
    known = spec.model_copy(update={"encoders": {key: spec.encoders[key] for key in plan.encoders}})
    content: dict[str, Any] = of.table(known, ())  # Any: JSON
    return {
        **content,
        "mmlab": NUMERICS,
        "dataset": {**content["dataset"], "revisions": dict(revisions)},
        "encoders": [
            {
                **described,
                "key": key,
                "modality": plan.modality(key),
                "weights": _weights(described["weights"], sources.get(key)),
            }
            for key, described in content["encoders"].items()
        ],
        "fusion": {
            **content["fusion"],
            "inputs": list(plan.inputs),
            "budget": plan.cell.budget,
        },
        "losses": [
            {**described, "name": name}
            for name, described in zip(plan.losses, content["losses"], strict=True)
        ],
        "judge": _judge(plan),
    }


def describe_evaluations(
    plan: Plan, train_hash: str, splits: Splits, names: Iterable[str] | None = None
) -> dict[str, dict[str, Content]]:
    """All that the hashes of evaluations of a run cover, by name; later keys are marked.

    Each has its evaluator, options, split and data. Of all of the plan unless some are named.
    """
    return {
        name: {
            **_evaluation(plan, name),
            "train": train_hash,
            "revision": splits.evaluated(plan, name).revision,
            **_learnt(plan, name, splits),
        }
        for name in (plan.evaluators if names is None else names)
    }


def _weights(described: Content, source: InitialWeights | None) -> Content:
    """The bytes that an encoder starts from, and the encoder there; None where it has none."""
    if source is None or not isinstance(described, dict):
        return None
    return {**described, "sha256": source.sha256, "encoder": source.key}


def _evaluation(plan: Plan, name: str) -> dict[str, Content]:
    """An evaluation, and the dataset of its own if it has one: the train hash has the spec's."""
    components, table = dict(plan.components()), plan.evaluate_tables[name]
    where: Where = ("evaluate", list(plan.evaluators).index(name))
    own = components.get((*where, "dataset"))
    # Its dataset may come from a file that asks more, which has one for all its evaluations.
    bare = SpecContent(components).table(table.model_copy(update={"dataset": None}), where)
    return {**bare, "name": name, "dataset": own.content() if own else None}


def _learnt(plan: Plan, name: str, splits: Splits) -> dict[str, object]:
    """Revisions of the further splits that an evaluation learns from, if it does."""
    found = {split: data.revision for split, data in learnt_data(plan, name, splits).items()}
    return {"learns_from": found} if found else {}


def _judge(plan: Plan) -> dict[str, Content] | None:
    """The evaluation that says which weights are best, if it is one."""
    table = plan.cell.spec.train
    name = table.best.partition("/")[0] if table else ""
    if name not in plan.evaluators:
        return None
    asked = _evaluation(plan, name)
    return {key: value for key, value in asked.items() if key != "split"}  # it is validation
