"""What a report says: its tables as frames, and the boards that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl
from sqlalchemy import Table as View
from sqlalchemy import func, select

from mmlab.report.boards.board import Board, boards
from mmlab.report.boards.gain import gain_boards
from mmlab.report.boards.robustness import conditions_of, robustness_boards
from mmlab.report.findings import findings
from mmlab.report.frames import Runs, of_runs
from mmlab.report.gain import fusion_gain
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store, views

Table = Literal["findings", "leaderboard", "fusion_gain", "robustness", "failures"]
TABLES: tuple[Table, ...] = get_args(Table)
#: Views that are given whole, for programs.
ViewName = Literal[
    "all_runs",
    "label_results",
    "sample_outcomes",
    "box_detections",
    "box_truths",
    "live_curves",
    "artifacts",
]
VIEWS: Mapping[str, View] = {name: views.metadata.tables[name] for name in get_args(ViewName)}
_EMPTY: dict[Table, str] = {
    "findings": "no run is done, and none has failed",
    "fusion_gain": "no experiment has done runs of a fusion and of one of its inputs alone, both "
    "asked what they predict, by classification or regression, say",
    "failures": "no run has failed",
    "robustness": "no done run was asked under missing modalities, by missing_modality, say",
}


@dataclass(frozen=True)
class Contents:
    """The frames of a report; they are empty where there is nothing of the kind.

    `findings` has the sentences that a report begins with. `lacks` says why the leaderboard is
    empty where it is.
    """

    findings: pl.DataFrame
    leaderboard: pl.DataFrame
    fusion_gain: pl.DataFrame
    robustness: pl.DataFrame
    failures: pl.DataFrame
    lacks: str | None

    def table(self, name: Table) -> pl.DataFrame:
        """One of the frames."""
        frame: pl.DataFrame = getattr(self, name)
        return frame


def read_contents(store: Store, runs: Runs = None) -> Contents:
    """All frames of the done runs, or of some."""
    board, gains, failed = (
        leaderboard(store, runs),
        fusion_gain(store, runs),
        read_failures(store, runs),
    )
    lacks = _why_no_results(store, runs) if board.is_empty() else None
    found = findings(board, gains, failed, lacks)
    return Contents(found, board, gains, conditions_of(store, board), failed, lacks)


def _why_no_results(store: Store, runs: Runs) -> str:
    row = views.all_runs.c
    query = select(row.status, func.count().label("runs"))
    found = store.frame(of_runs(query, row.run_id, runs).group_by(row.status))
    counts = dict(found.iter_rows())
    if "done" in counts:
        return "no done run was asked anything: add [[evaluate]] to the spec, and mmlab run SPEC..."
    said = [f"{counts[status]:,} {status}" for status in _UNDONE if status in counts]
    which = "no run is done yet" if runs is None else "none of these runs is done yet"
    if "failed" in counts:
        why = "mmlab report --table failures says why, mmlab show RUN --log in full"
        return f"{which}: {', '.join(said)}; {why}"
    if said:
        return f"{which}: {', '.join(said)}"
    return f"{which}: mmlab run SPEC..." if runs is None else which


#: How runs stand that are not done, in the order in which they are told.
_UNDONE = ("failed", "running", "queued", "cancelled")
FAILURE_HEADINGS = ("experiment", "cell", "seed", "run", "ended", "attempts", "why")
_FAILURES: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "experiment": pl.String,
    "cell": pl.String,
    "group_hash": pl.String,
    "seed": pl.Int64,
    "replicate": pl.Int64,
    "run_id": pl.String,
    "outcome": pl.String,
    "attempts": pl.Int64,
    "error": pl.String,
}


def read_failures(store: Store, runs: Runs = None) -> pl.DataFrame:
    """One row per run that failed, and per cell that failed before it was a run.

    `outcome` is how the last attempt ended, as in `run_attempts`; `error` the first line of why.
    What is null is not known: a cell has no run and no group. Ordered by experiment, cell, seed.
    """
    row = views.all_runs.c
    columns = (row.experiment, row.cell, row.group_hash, row.seed, row.replicate, row.run_id)
    query = select(*columns, row.outcome, row.attempts, row.error).where(row.status == "failed")
    found = [store.frame(of_runs(query, row.run_id, runs))]
    if runs is None:
        found.append(_failed_cells(store))
    first_line = pl.col("error").str.extract(r"^\s*([^\r\n]*)", 1).str.strip_chars_end()
    return (
        pl.concat(found, how="diagonal_relaxed")
        .select(pl.col(name).cast(kind) for name, kind in _FAILURES.items())
        .with_columns(first_line)
        .sort("experiment", "cell", "seed", "replicate", "run_id", "error", nulls_last=True)
    )


def _failed_cells(store: Store) -> pl.DataFrame:
    place, cell = views.queue_places.c, views.whole_cells.c
    query = (
        select(cell.experiment, cell.cell, cell.seed, place.reason.label("error"))
        .join_from(views.queue_places, views.whole_cells, cell.cell_id == place.cell_id)
        .where(place.status == "failed", place.run_id.is_(None))
    )
    return store.frame(query)


def failure_cells(failures: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    """The texts of failures under FAILURE_HEADINGS, a row each."""
    for row in failures.iter_rows(named=True):
        again = f" ({row['replicate']})" if row["replicate"] else ""
        yield (
            row["experiment"],
            row["cell"],
            f"{row['seed']}{again}",
            (row["run_id"] or "")[:8],
            row["outcome"] or "",
            str(row["attempts"] or ""),
            row["error"] or "",
        )


def why_empty(contents: Contents, table: Table) -> str | None:
    """What would have to be there for a table to have rows; None where it has some."""
    if table == "leaderboard":
        return contents.lacks
    return _EMPTY[table] if contents.table(table).is_empty() else None


def all_boards(store: Store, contents: Contents, table: Table | None = None) -> Iterator[Board]:
    """Every board: comparisons, what fusions gain over single modalities, and robustness.

    Those of one table, where it is named.
    """
    if table in (None, "leaderboard"):
        yield from boards(store, contents.leaderboard)
    for name, frame, make in (
        ("fusion_gain", contents.fusion_gain, gain_boards),
        ("robustness", contents.robustness, robustness_boards),
    ):
        if table in (None, name) and not frame.is_empty():
            yield from make(frame)
