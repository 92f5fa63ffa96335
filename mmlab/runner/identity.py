"""The hashes that decide what is run, what is skipped, and what may be compared.

The train hash covers the experiment's name and everything that can change the weights: not the
device, not worker counts, not absolute paths, not what is evaluated afterwards.

A hit by hash is confirmed: every value is compared with those that the hash stood for before. A
hash leaves out options at their neutral value. Where an author moved a neutral value, or two values
were mistaken for one, the cell, or the evaluation, is identified by all its values, so that it runs
as if it were new.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pydantic.fields import FieldInfo

from mmlab import NUMERICS
from mmlab.data.splits import Splits
from mmlab.hashing import canonical_json, digest
from mmlab.model.build import InitialWeights
from mmlab.plan.component import Resolved
from mmlab.plan.content import Content, Difference, Later, differences, hashed, merged, whole
from mmlab.plan.describe import added, describe, neutral_value, neutrals
from mmlab.plan.plan import Plan
from mmlab.plugin import GENERATED
from mmlab.runner.score import learnt_data
from mmlab.spec import Component, Table, WithoutEffect
from mmlab.spec.faults import Where


@dataclass(frozen=True)
class SpecContent:
    """Describes tables, given the components of a plan by the places of their tables."""

    components: Mapping[Where, Resolved]

    def table(self, table: Table, where: Where) -> dict[str, Content]:
        """The content of the table at a place, those inside it included."""
        described = {
            key: self._key(table, key, (*where, key))
            for key, field in type(table).model_fields.items()
            if not _is_without_effect(field)
        }
        if not isinstance(table, Component):
            return described
        return {**described, **self.components[where].content()}

    def _key(self, table: Table, key: str, where: Where) -> Content:
        content = self._value(getattr(table, key), where)
        if added(type(table).model_fields[key]) is None:
            return content
        return Later(content, self._neutral(type(table), key, where))

    def _value(self, value: object, where: Where) -> Content:
        if isinstance(value, Table):
            return self.table(value, where)
        if isinstance(value, Mapping):
            return {str(key): self._value(inner, (*where, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(inner, (*where, i)) for i, inner in enumerate(value)]
        return describe(value)

    def _neutral(self, model: type[Table], key: str, where: Where) -> object:
        """A key's neutral content; that of a component as the plan's of the same name says it."""
        neutral, value = neutrals(model)[key], neutral_value(model, key)
        found = self.components.get(where)
        if not isinstance(value, Component) or found is None or found.entry.name != value.use:
            return neutral
        assert isinstance(neutral, dict), "a table's content is an object"
        own = {name: neutral[name] for name in neutral if name in type(value).model_fields}
        return {**own, **found.neutral_content(value.options)}


def _is_without_effect(field: FieldInfo) -> bool:
    return any(isinstance(mark, WithoutEffect) for mark in field.metadata)


@dataclass(frozen=True)
class Hashes:
    """`train` identifies a run; `group` is the same without the seed, so seeds can be averaged."""

    train: str
    group: str


def hash_cell(
    plan: Plan, revisions: Mapping[str, str], initial: Mapping[str, InitialWeights]
) -> Hashes:
    """Hashes of a cell, given dataset revisions by split and the weights encoders start from."""
    return hash_content(hashed(describe_training(plan, revisions, initial)), plan.cell.seed)


def hash_content(content: Mapping[str, object], seed: int) -> Hashes:
    """Hashes of plain content, with the seed and without."""
    return Hashes(train=digest({**content, "seed": seed}), group=digest(content))


def describe_training(
    plan: Plan, revisions: Mapping[str, str], initial: Mapping[str, InitialWeights]
) -> dict[str, Content]:
    """All that a train hash covers, the seed aside; keys that were added later are marked.

    Every key of the spec is part of it unless its table declares it `WithoutEffect`. Encoders and
    losses count in their order: the first loss with a temperature gives the probabilities, and the
    first of such encoders where no loss has one.
    """
    of, spec = SpecContent(dict(plan.components())), plan.cell.spec
    known = spec.model_copy(update={"encoders": {key: spec.encoders[key] for key in plan.encoders}})
    content: dict[str, Any] = of.table(known, ())  # Any: JSON
    return {
        **content,
        **_generator(content["generator"], initial),
        "mmlab": NUMERICS,
        "dataset": {**content["dataset"], "revisions": dict(revisions)},
        "encoders": [
            {
                **described,
                "key": key,
                "modality": plan.modality(key),
                "weights": _weights(described["weights"], initial.get(key)),
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


def _generator(described: Later, initial: Mapping[str, InitialWeights]) -> dict[str, Later]:
    """The generator with the bytes that it starts from; nothing else of a spec without one."""
    content = described.content
    if not isinstance(content, dict):
        return {}
    weights = _weights(content["weights"], initial.get(GENERATED))
    return {"generator": replace(described, content={**content, "weights": weights})}


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
    where: Where = ("evaluate", plan.asked[name].position)
    own = plan.evaluate_datasets.get(name)
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


#: Differences that a message lists.
_SHOWN = 5


class Contents(Protocol):
    """Where the values behind hashes are kept: a store, or a coordinator."""

    def contents(self, hashes: Sequence[str]) -> dict[str, str]:
        """The values that hashes stand for, JSON texts by hash, of those that are kept."""

    def keep_contents(self, contents: Mapping[str, str]) -> None:
        """Keep the values that hashes stand for."""


@dataclass(frozen=True)
class Confirmer:
    """Hashes what is described, and keeps the values in the store; tells what differs, once.

    Nothing is written before `keep`: a cell may still turn out to be one that cannot run.
    """

    store: Contents
    tell: Callable[[str], None]
    _news: dict[str, str] = field(default_factory=dict)

    def cell(self, plan: Plan, content: Mapping[str, Content]) -> Hashes:
        """The hashes of a cell that is described so.

        The group's, of all that seeds share, is confirmed: what is averaged differs in nothing.
        """
        label = f"{plan.cell.experiment} {plan.cell.label}".strip()
        return hash_content(self.confirm({label: content})[label], plan.cell.seed)

    def evaluations(
        self, plan: Plan, train_hash: str, splits: Splits, names: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Hashes of evaluations of a run by name, of all of the plan unless some are named."""
        contents = describe_evaluations(plan, train_hash, splits, names)
        return {name: digest(chosen) for name, chosen in self.confirm(contents).items()}

    def confirm(self, contents: Mapping[str, Mapping[str, Content]]) -> dict[str, dict[str, Any]]:
        """What is to be hashed of contents, by any names."""
        plain = {name: digest(hashed(content)) for name, content in contents.items()}
        known = self.store.contents(sorted(set(plain.values())))
        chosen = dict[str, dict[str, Any]]()
        for name, content in contents.items():
            stored = json.loads(known.get(plain[name], "{}"))
            found = list(differences(stored, content)) if stored else []
            chosen[name] = self._told_apart(name, content, found) if found else hashed(content)
            everything = whole(content) if found else merged(stored, whole(content))
            key, text = digest(chosen[name]), canonical_json(everything)
            if known.get(key) != text:
                self._news[key] = text
        return chosen

    def keep(self) -> None:
        """Store the values behind the hashes that were given."""
        if self._news:
            self.store.keep_contents(self._news)
        self._news.clear()

    def _told_apart(
        self, name: str, content: Mapping[str, Content], found: list[Difference]
    ) -> dict[str, Any]:
        """All values, and a key that nothing else has: the hash is new in any case."""
        chosen = {**whole(content), "leaves_out": []}
        if not self.store.contents([digest(chosen)]):
            self.tell(f"{name}: {_describe(found)}")
        return chosen


def _describe(found: list[Difference]) -> str:
    listed = list_differences(found)
    return f"what is stored under the same hash differs, so this runs as new: {listed}"


def list_differences(found: Sequence[Difference]) -> str:
    """The first few of them in a line, and how many more there are."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(str(one) for one in found[:_SHOWN]) + more
