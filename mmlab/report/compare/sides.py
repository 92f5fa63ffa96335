"""What is compared: recipes, each with its seeds, as a person names them on the command line."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from mmlab.errors import UsageError, explain
from mmlab.store import Store, views

# Rows of frames: values of whatever type.
Row = dict[str, Any]
#: Cells that a message lists.
_SHOWN = 20


@dataclass(frozen=True)
class Side:
    """One recipe: its done runs, which differ in their seeds alone, or one run of it.

    `name` tells it from the other sides. `statuses` counts all of its runs, done or not.
    """

    name: str
    experiment: str
    cell: str
    group_hash: str
    run_ids: tuple[str, ...]
    seeds: tuple[int, ...]
    statuses: dict[str, int]
    is_imported: bool = False

    @property
    def lost(self) -> dict[str, int]:
        """How many runs are not done, by their status."""
        return {status: count for status, count in self.statuses.items() if status != "done"}


def find_sides(store: Store, names: Sequence[str]) -> list[Side]:
    """The sides that names mean, in their order; at least two.

    A name is an experiment, which is a side for each of its groups of seeds; EXPERIMENT:CELL, one
    of these; @last, or the first characters of a run's id, that run alone. Raises UsageError.
    """
    rows = _rows(store)
    found = [side for name in names for side in _sides_of(store, rows, name)]
    for place, side in enumerate(found):
        if any(set(side.run_ids) == set(other.run_ids) for other in found[:place]):
            raise UsageError(_explain_twice(side))
    if len(found) < 2:
        raise UsageError(_explain_alone(names, found))
    return _named_apart(found)


def _rows(store: Store) -> list[Row]:
    run = views.all_runs.c
    columns = (run.run_id, run.experiment, run.cell, run.seed, run.group_hash, run.status)
    query = select(*columns, run.origin).order_by(run.created_at, run.run_id)
    return store.frame(query).to_dicts()


def _sides_of(store: Store, rows: Sequence[Row], name: str) -> Iterator[Side]:
    meant = [row for row in rows if row["experiment"] == name]
    meant = meant or [row for row in rows if f"{row['experiment']}:{row['cell']}" == name]
    experiment, colon, cell = name.partition(":")
    cells = [row["cell"] for row in rows if row["experiment"] == experiment]
    if not meant and colon and cells:
        raise UsageError(_explain_no_cell(experiment, cell, list(dict.fromkeys(cells))))
    if not meant:
        run_id = store.find_run(name).run_id
        yield _side([row for row in rows if row["run_id"] == run_id], name, run_id[:8])
        return
    groups: dict[str, list[Row]] = {}
    for row in meant:
        groups.setdefault(row["group_hash"], []).append(row)
    with_results = [group for group in groups.values() if _done(group)]
    if not with_results:
        raise UsageError(_explain_unfinished(name, meant))
    for group in with_results:
        yield _side(group, name)


def _side(rows: Sequence[Row], asked: str, run: str = "") -> Side:
    done = _done(rows)
    if not done:
        raise UsageError(_explain_unfinished(asked, rows))
    first = rows[0]
    name = ":".join(filter(None, (first["experiment"], first["cell"])))
    return Side(
        name=f"{name} (run {run})" if run else name,
        experiment=first["experiment"],
        cell=first["cell"],
        group_hash=first["group_hash"],
        run_ids=tuple(row["run_id"] for row in done),
        seeds=tuple(sorted({row["seed"] for row in done})),
        statuses=dict(Counter(row["status"] for row in rows)),
        is_imported=first["origin"] is not None,
    )


def _done(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "done"]


def _named_apart(sides: Sequence[Side]) -> list[Side]:
    """Names that tell sides apart: what all share is left out, equal ones have a hash."""
    prefix = f"{sides[0].experiment}:"
    if all(side.name.startswith(prefix) for side in sides):
        sides = [replace(side, name=side.name.removeprefix(prefix)) for side in sides]
    often = Counter(side.name for side in sides)
    return [
        side
        if often[side.name] == 1
        else replace(side, name=f"{side.name} ({side.group_hash[:7]})")
        for side in sides
    ]


def _explain_twice(side: Side) -> str:
    return explain(
        f"mmlab compare: {side.name}",
        "it would be compared with itself",
        found="the same runs twice",
        allowed="each run on one side",
        next_step="name another run, group or experiment",
    )


def _explain_no_cell(experiment: str, cell: str, cells: Sequence[str]) -> str:
    alike = difflib.get_close_matches(cell, cells, n=1)
    nearest = f"; did you mean {alike[0]!r}?" if alike else ""
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    return explain(
        f"mmlab compare: {experiment}:{cell}",
        "the experiment has no such cell",
        found=f"{cell!r}{nearest}",
        allowed=", ".join(one or "''" for one in cells[:_SHOWN]) + more,
        next_step="name one of these, or the experiment alone",
    )


def _explain_alone(names: Sequence[str], found: Sequence[Side]) -> str:
    return explain(
        f"mmlab compare {' '.join(names)}",
        "there is nothing to compare it with",
        found=", ".join(side.name for side in found),
        allowed="two groups of seeds or more, each with a done run",
        next_step="name a second run, EXPERIMENT:CELL or experiment: mmlab ls shows them",
    )


def _explain_unfinished(name: str, rows: Sequence[Row]) -> str:
    counts = Counter(row["status"] for row in rows)
    return explain(
        f"mmlab compare: {name}",
        "none of its runs is done",
        found=", ".join(f"{count} {status}" for status, count in counts.items()),
        allowed="a run, group or experiment with a done run",
        next_step=f"see why: mmlab show {rows[0]['run_id'][:8]}",
    )
