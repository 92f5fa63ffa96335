"""Which runs a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select

#: The runs to report on by their ids; None for every run that is done.
Runs = Sequence[str] | None


# A statement of whatever columns passes through.
def of_runs(query: Select[Any], column: ColumnElement[Any], runs: Runs) -> Select[Any]:
    """The statement restricted to these runs."""
    return query if runs is None else query.where(column.in_(list(runs)))
