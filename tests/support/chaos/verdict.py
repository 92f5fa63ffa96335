"""What must hold after a storm: every cell done once, with the rows of a run that nobody disturbed.

Each fault is a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text

from mmlab.runner.sync import sync_folder
from mmlab.store import open_store
from mmlab.store.address import parse_address
from support.chaos.cells import LATER, LONE, NAMES, STEPS, TRACE, is_lone
from support.chaos.undisturbed import run_undisturbed

#: What a run leaves, apart from numbers that databases choose and times. `{run}` is its identity.
_ROWS = {
    "curves": f"""SELECT r.train_hash, m.name, m.step, m.value, m.value_kind, d.better
        FROM metrics m JOIN runs r ON r.id = m.run_id
        LEFT JOIN metric_declarations d ON d.id = m.metric_declaration_id
        WHERE m.evaluation_id IS NULL AND m.name NOT IN ('{TRACE}', '{LONE}')""",
    "evaluations": """SELECT r.train_hash, e.name, e.evaluator, e.condition, e.split,
        e.dataset_revision, e.step, e.evaluation_hash, e.protocol, e.subject, e.templates,
        e.sample_count, e.skipped_count, s.hash
        FROM evaluations e JOIN runs r ON r.id = e.run_id
        LEFT JOIN label_sets s ON s.id = e.label_set_id""",
    "metrics": """SELECT r.train_hash, e.name, m.name, m.value, m.value_kind
        FROM metrics m JOIN runs r ON r.id = m.run_id
        JOIN evaluations e ON e.id = m.evaluation_id""",
    "rankings": """SELECT r.train_hash, e.name, s.stable_id, k.rank, l.text, k.score
        FROM rankings k JOIN evaluations e ON e.id = k.evaluation_id JOIN runs r ON r.id = e.run_id
        JOIN samples s ON s.id = k.sample_id JOIN labels l ON l.id = k.label_id""",
    "samples": """SELECT r.train_hash, e.name, s.stable_id, x.rank, x.probability, l.text, x.outcome
        FROM sample_results x JOIN evaluations e ON e.id = x.evaluation_id
        JOIN runs r ON r.id = e.run_id JOIN samples s ON s.id = x.sample_id
        LEFT JOIN labels l ON l.id = x.top_label_id""",
    "artifacts": """SELECT r.train_hash, a.role, replace(a.path, r.id, 'RUN'), a.sha256,
        a.size_bytes FROM artifacts a JOIN runs r ON r.id = a.run_id""",
    "runs": """SELECT train_hash, group_hash, experiment IN ('later'), resolved, seed, replicate,
        status, summary, error FROM runs""",
}


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All that runs have left, by identity, in order."""
    with _connected(url) as connection:
        return {
            name: sorted(map(_plain, connection.execute(text(query))), key=repr)
            for name, query in _ROWS.items()
        }


def _plain(row: Any) -> tuple[object, ...]:
    """Numbers of four bytes have seven digits; each database gives others after these."""
    return tuple(float(f"{v:.6g}") if isinstance(v, float) else v for v in row)


def differences(found: str, expected: str) -> list[str]:
    """What two databases have not in common."""
    ours, theirs = rows_of(found), rows_of(expected)
    return [
        line for name in _ROWS for line in _differ(name, Counter(ours[name]), Counter(theirs[name]))
    ]


def _differ(name: str, ours: Counter[Any], theirs: Counter[Any]) -> Iterator[str]:
    for what, rows in (("too many", ours - theirs), ("missing", theirs - ours)):
        if rows:
            yield f"{name}: {rows.total()} rows {what}, such as {next(iter(rows))}"


def state_faults(url: str, seeds: int, later: int) -> list[str]:
    """What is wrong with the state of the queue, and with how often things were done."""
    with _connected(url) as connection:
        return [*_state_faults(connection, seeds, later)]


def _state_faults(connection: Connection, seeds: int, later: int) -> Iterator[str]:
    def rows(query: str) -> Sequence[Any]:
        return connection.execute(text(query)).all()

    for row in rows("SELECT experiment, status, reason FROM queue WHERE status <> 'done'"):
        yield f"a cell is not done: {tuple(row)}"
    cells = rows("SELECT experiment, count(DISTINCT run_id), count(*) FROM queue GROUP BY 1")
    if sorted(map(tuple, cells)) != sorted(
        [*((name, seeds, seeds) for name in NAMES), (LATER, later, later)]
    ):
        yield f"cells, runs of them: {cells}"
    for row in rows("SELECT train_hash, count(*) FROM runs GROUP BY 1 HAVING count(*) > 1"):
        yield f"a cell has several runs: {tuple(row)}"
    often = "SELECT run_id, count(*) FROM kit_done GROUP BY 1 HAVING count(*) <> 1"
    for row in rows(
        f"{often} UNION ALL SELECT id, 0 FROM runs WHERE id NOT IN (SELECT run_id FROM kit_done)"
    ):
        yield f"a run was recorded as done {row[1]} times"
    for row in rows(
        "SELECT run_id, count(*) FROM attempts WHERE outcome = 'ok' GROUP BY 1 HAVING count(*) <> 1"
    ):
        yield f"a run has {row[1]} attempts that went well"
    for row in rows(
        "SELECT outcome, count(*) FROM attempts "
        "WHERE outcome IS NULL OR outcome NOT IN ('ok', 'lost', 'interrupted') "
        "GROUP BY 1"
    ):
        yield f"attempts ended as {row[0]}: {row[1]}"
    for row in rows("SELECT place, count(*), min(writer), min(present) FROM kit_stale GROUP BY 1"):
        yield f"stale writes: {tuple(row)}"
    for row in rows(
        f"SELECT a.run_id FROM attempts a JOIN runs r ON r.id = a.run_id WHERE "
        f"r.experiment = '{LATER}' AND a.started_at < (SELECT max(finished_at) FROM "
        f"runs WHERE experiment = '{NAMES[0]}')"
    ):
        yield f"run {row[0]} began before what it waits for had ended"


def curve_faults(url: str) -> list[str]:
    """Curves have no gap and no double: every step is there, and all of it from one attempt."""
    with _connected(url) as connection:
        query = "SELECT run_id, name, step, value FROM metrics WHERE evaluation_id IS NULL"
        points = connection.execute(text(query)).all()
        runs = connection.scalars(text("SELECT id FROM runs")).all()
    made: dict[str, dict[int, int]] = {run: {} for run in runs}
    lone: dict[str, set[int]] = {run: set() for run in runs}
    for run, name, step, value in points:
        if name == TRACE:
            made[run][step] = int(value)
        elif name == LONE:
            lone[run].add(step)
    return [line for run in runs for line in _curve_faults(run, made[run], lone[run])]


def _curve_faults(run: str, made: dict[int, int], lone: Collection[int]) -> Iterator[str]:
    if sorted(made) != [*range(1, STEPS + 1)]:
        yield f"run {run} has the steps {sorted(made)}"
    expected = {step for step, fence in made.items() if is_lone(step, fence)}
    if expected != lone:
        yield f"run {run}, made by attempts {made}, has lone points {sorted(lone)}"


def _connected(url: str) -> Any:
    return create_engine(parse_address(url).url).connect()


def faults_of(url: str, folder: Path, seeds: int, later: int) -> list[str]:
    """All that is wrong after a storm."""
    expected = run_undisturbed(folder / "undisturbed", seeds, later)
    return [
        *state_faults(url, seeds, later),
        *curve_faults(url),
        *differences(url, expected),
        *file_faults(url, folder / "runs"),
    ]


def file_faults(url: str, runs: Path) -> list[str]:
    """What is left of attempts that have ended, apart from what the next command clears."""
    with open_store(url) as store:
        wrong = [one for one in sync_folder(store, runs) if one.status != "removed"]
    left = [path.name for path in runs.glob("spool/*") if path.is_file()]
    return [*(f"a spool was {one.status}: {one.reason}" for one in wrong), *left]
