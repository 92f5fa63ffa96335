"""Which runs a report is about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select

from mmlab.store import Store

#: The runs to report on by their ids; None for every run that is done.
Runs = Sequence[str] | None


# A statement of whatever columns passes through.
def of_runs(query: Select[Any], column: ColumnElement[Any], runs: Runs) -> Select[Any]:
    """The statement restricted to these runs."""
    return query if runs is None else query.where(column.in_(list(runs)))


def run_ids(store: Store, names: Collection[str]) -> list[str]:
    """Every run of the experiments, and the single runs, that are named.

    Raises UsageError for a name that no run has.
    """
    ids: list[str] = []
    for name in names:
        of_experiment = [row.run_id for row in store.runs(experiment=name)]
        ids += of_experiment or [store.find_run(name).run_id]
    return ids
