"""The further splits that an evaluation learns from, such as a probe's training samples."""

from __future__ import annotations

from mmlab.evaluate import learnt_splits
from mmlab.plan import Plan
from mmlab.plugin import Dataset, Split
from mmlab.splits import Splits, lacks_split


def learnt_data(plan: Plan, name: str, splits: Splits) -> dict[Split, Dataset]:
    """Those of one evaluation that have samples.

    Raises DataError where one that it needs has none.
    """
    found: dict[Split, Dataset] = {}
    for learnt in learnt_splits(plan.evaluators[name].make()):
        dataset = splits.of_evaluation(plan, name, learnt.split)
        if len(dataset):
            found[learnt.split] = dataset
        elif learnt.is_needed:
            raise lacks_split(plan, name, learnt.split, learnt.instead)
    return found


def lacking_splits(plan: Plan, name: str, splits: Splits) -> frozenset[Split]:
    """Those of one evaluation that have no samples, and are not needed."""
    wanted = {learnt.split for learnt in learnt_splits(plan.evaluators[name].make())}
    return frozenset(wanted - learnt_data(plan, name, splits).keys())
