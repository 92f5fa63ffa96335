"""A hit by hash is confirmed: every value is compared with those that the hash stood for before.

A hash leaves out options at their neutral value. Where an author moved a neutral value, or two
values were mistaken for one, what is stored under an equal hash is something else: the cell, or the
evaluation, is then identified by all its values, so that it runs as if it were new.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmlab.data.splits import Splits
from mmlab.hashing import canonical_json, digest
from mmlab.plan.content import Content, Difference, differences, hashed, merged, whole
from mmlab.plan.plan import Plan
from mmlab.runner.identity import Hashes, describe_evaluations, hash_content
from mmlab.store import Store

#: Differences that a message lists.
_SHOWN = 5


@dataclass(frozen=True)
class Confirmer:
    """Hashes what is described, and keeps the values in the store; tells what differs, once."""

    store: Store
    tell: Callable[[str], None]

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
        known = self.store.contents(set(plain.values()))
        chosen, kept = dict[str, dict[str, Any]](), dict[str, str]()
        for name, content in contents.items():
            stored = json.loads(known.get(plain[name], "{}"))
            found = list(differences(stored, content)) if stored else []
            chosen[name] = self._told_apart(name, content, found) if found else hashed(content)
            everything = whole(content) if found else merged(stored, whole(content))
            kept[digest(chosen[name])] = canonical_json(everything)
        if news := {key: text for key, text in kept.items() if known.get(key) != text}:
            self.store.keep_contents(news)
        return chosen

    def _told_apart(
        self, name: str, content: Mapping[str, Content], found: list[Difference]
    ) -> dict[str, Any]:
        """All values, and a key that nothing else has: the hash is new in any case."""
        chosen = {**whole(content), "leaves_out": []}
        if not self.store.contents({digest(chosen)}):
            self.tell(f"{name}: {_describe(found)}")
        return chosen


def _describe(found: list[Difference]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    shown = ", ".join(str(one) for one in found[:_SHOWN])
    return f"what is stored under the same hash differs, so this runs as new: {shown}{more}"
