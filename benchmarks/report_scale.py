"""What reports take of databases with many curve points, protocols, labels and rankings.

    python benchmarks/report_scale.py [--runs 1000] [--points 1000] [--rounds 1]

The size that reports are made for is `--runs 10000`: ten million points. CPU time and peak memory
of fresh processes, imports included, on SQLite. Four ratios, which do not depend on the machine:

- a page over all points beside one over a tenth of them: 1 where only what is drawn is read;
- a page over twice as many protocols of one name: 2 where no board is compared with every other;
- `results.labels()` beside its means made in the database, as they were before;
- `comparisons` of two runs without its index beside with it.

The text report is over an evaluation with a million ranking rows (200,000 samples).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from interleaved import keep

from mmlab.store.bulk import digest
from mmlab.store.migrate import upgrade

GOAL = "10,000 runs x 10 M points: a page under 5 s CPU and 500 MB; a text under 2 s, cold"
SEEDS, TIME, SAMPLES, DEPTH = 5, "2026-01-01 00:00:00.000", 200_000, 5
Rows = Iterable[tuple[object, ...]]

RUN = """INSERT INTO runs (id, experiment, cell, axes, resolved, train_hash, group_hash, seed,
    replicate, status, fence, created_at, started_at, finished_at, provenance, summary)
    VALUES (?, ?, ?, '{}', '{}', ?, ?, ?, 0, 'done', 1, ?, ?, ?, ?, '{}')"""
EVALUATION = """INSERT INTO evaluations (id, run_id, name, evaluator, condition, split,
    dataset_revision, evaluation_hash, protocol_hash, protocol, subject_hash, subject, templates,
    label_set_id, sample_count, skipped_count, created_at)
    VALUES (?, ?, 'zero_shot', 'zero_shot', '', 'test', 'r', ?, ?, ?, '', '{}', '[]', ?, ?, 0, ?)"""
OLD_LABELS = """SELECT r.experiment, r.cell, r.group_hash, e.name, e.condition, e.protocol_hash,
    l.position, l.text, m.name, avg(m.value), count(DISTINCT r.id)
    FROM label_metrics m JOIN evaluations e ON e.id = m.evaluation_id
    JOIN runs r ON r.id = e.run_id JOIN labels l ON l.id = m.label_id WHERE r.status = 'done'
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"""
COMPARED = "SELECT * FROM comparisons WHERE left_run_id = ? AND right_run_id = ?"
INDEX = "ix_evaluations_run_id_protocol_hash_condition"
PROVENANCE = '{"git": {"commit": "0123abc"}, "machine": {"device": "cpu"}, "python": "3.11"}'


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1000, help="of each run's curves")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options)
    for name, found in results.items():
        print(f"{name:42} {found}")
    keep("report-scale", GOAL, results, **vars(options))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    empty = folder / "empty.db"
    upgrade(str(empty))

    def made(name: str, *fills: Callable[[sqlite3.Connection], None]) -> Path:
        path = Path(shutil.copy(empty, folder / name))
        with closing(sqlite3.connect(path)) as connection:
            for fill in fills:
                fill(connection)
            connection.commit()
        return path

    runs, points = options.runs, options.points
    evaluated = [lambda c: add_runs(c, runs), lambda c: add_finals(c, runs)]
    few = made("few.db", *evaluated, lambda c: add_points(c, runs, max(points // 10, 1)))
    many = made("many.db", *evaluated, lambda c: add_points(c, runs, points))
    ranked = made("ranked.db", lambda c: add_runs(c, 1), add_rankings)
    apart = [
        made(f"{count}.db", lambda c, n=count: add_runs(c, n), lambda c, n=count: add_apart(c, n))
        for count in (200, 400)
    ]
    labelled = made("labels.db", lambda c: add_runs(c, 20), lambda c: add_labels(c, 20))
    page = ("report", "--out", str(folder / "report.html"))
    best = lambda path, *verb: min(spent(path, *verb) for _ in range(options.rounds))  # noqa: E731
    of_few, of_many = best(few, *page), best(many, *page)
    text, board = best(ranked, "report"), best(many, "report")
    boards = [best(path, *page) for path in apart]
    return {
        "page, CPU s and MB": of_many,
        "the same over a tenth of the points": of_few,
        "ratio": round(of_many[0] / of_few[0], 2),
        "text of all those runs, CPU s and MB": board,
        "text over a million ranking rows, CPU s, MB": text,
        "page of 200 / 400 protocols, CPU s and MB": boards,
        "ratio of 400 to 200 protocols": round(boards[1][0] / boards[0][0], 2),
        "labels of 200,000 rows: old / now, CPU s": labels(labelled),
        "comparisons without / with the index, CPU s": compared(many),
    }


def spent(path: Path, *verb: str) -> tuple[float, int]:
    """CPU seconds and peak MB of a fresh process."""
    command = [sys.executable, "-m", "mmlab", *verb, "--db", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return round(used.ru_utime + used.ru_stime, 2), used.ru_maxrss // 1024


def labels(path: Path) -> tuple[float, float]:
    import mmlab

    with closing(sqlite3.connect(path)) as connection:
        old = seconds(lambda: connection.execute(OLD_LABELS).fetchall())
    with mmlab.results(path) as results:
        return old, seconds(results.labels)


def compared(path: Path) -> tuple[float, float]:
    with closing(sqlite3.connect(path)) as connection:
        pair = (run_id(0), run_id(SEEDS))
        found = seconds(lambda: connection.execute(COMPARED, pair).fetchall())
        connection.execute(f"DROP INDEX {INDEX}")
        return seconds(lambda: connection.execute(COMPARED, pair).fetchall()), found


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return round(time.process_time() - started, 4)


def run_id(number: int) -> str:
    return f"{number:032x}"


def add_runs(connection: sqlite3.Connection, count: int) -> None:
    """Runs of one experiment, so many seeds a group."""
    same = (TIME, TIME, TIME, PROVENANCE)
    rows: Rows = (
        (run_id(n), "many", f"cell={n // SEEDS}", f"t{n}", f"g{n // SEEDS}", n % SEEDS, *same)
        for n in range(count)
    )
    connection.executemany(RUN, rows)


def add_finals(connection: sqlite3.Connection, count: int) -> None:
    """An evaluation of one protocol for each run, of ten samples, and its top1."""
    number = {name: f"s{name}" for name in range(10)}
    connection.executemany(
        "INSERT INTO samples (id, dataset_revision, split, stable_id) VALUES (?, 'r', 'test', ?)",
        ((n + 1, name) for n, name in number.items()),
    )
    add_evaluations(connection, [(n, "{}") for n in range(count)], samples=10)
    rows: Rows = ((n + 1, s + 1, 1 + (n + s) % 3) for n in range(count) for s in number)
    connection.executemany(
        "INSERT INTO sample_results (evaluation_id, sample_id, rank, has_tie, outcome)"
        " VALUES (?, ?, ?, 0, 1.0)",
        rows,
    )


def add_evaluations(
    connection: sqlite3.Connection, asked: Iterable[tuple[int, str]], samples: int
) -> None:
    """An evaluation of this protocol for each numbered run, with a declared top1."""
    connection.execute(
        "INSERT OR IGNORE INTO metric_declarations"
        " (id, hash, name, better, unit, position, mean_of, board, has_gain)"
        " VALUES (1, 'h', 'top1', 'higher', 'share', 0, 'rank<=1', 'leaderboard', 1)"
    )
    for n, protocol in asked:
        row = (n + 1, run_id(n), f"e{n}", digest(protocol), protocol, None, samples, TIME)
        connection.execute(EVALUATION, row)
        connection.execute(
            "INSERT INTO metrics VALUES (?, ?, 'top1', NULL, ?, 'finite', 1)",
            (run_id(n), n + 1, 0.5 + (n % 97) / 200),
        )


def add_points(connection: sqlite3.Connection, runs: int, points: int) -> None:
    """Two curves for each run, so many points in all."""
    rows: Rows = (
        (run_id(n), name, step, 1.0 / (step + 1 + n % 7))
        for n in range(runs)
        for name in ("train/loss", "validation/top1")
        for step in range(points // 2)
    )
    connection.executemany("INSERT INTO metrics VALUES (?, NULL, ?, ?, ?, 'finite', NULL)", rows)


def add_rankings(connection: sqlite3.Connection) -> None:
    """One evaluation that ranked a million labels of 200,000 samples."""
    add_evaluations(connection, [(0, "{}")], samples=SAMPLES)
    add_label_set(connection, 1000)
    connection.executemany(
        "INSERT INTO samples (id, dataset_revision, split, stable_id) VALUES (?, 'r', 'test', ?)",
        ((n + 1, f"sample {n}") for n in range(SAMPLES)),
    )
    connection.executemany(
        "INSERT INTO sample_results (evaluation_id, sample_id, rank, has_tie, outcome)"
        " VALUES (1, ?, ?, 0, ?)",
        ((n + 1, 1 + n % 3, float(n % 3 == 0)) for n in range(SAMPLES)),
    )
    connection.executemany(
        "INSERT INTO rankings VALUES (1, ?, ?, ?, 0.5)",
        ((n + 1, k + 1, 1 + (n + k) % 1000) for n in range(SAMPLES) for k in range(DEPTH)),
    )


def add_apart(connection: sqlite3.Connection, count: int) -> None:
    """As many protocols of one name as there are runs."""
    protocols = ((n, f'{{"options": {{"k": {n}}}, "split": "test"}}') for n in range(count))
    add_evaluations(connection, protocols, samples=0)


def add_labels(connection: sqlite3.Connection, evaluations: int) -> None:
    """Ten metrics of a thousand labels for each evaluation."""
    add_evaluations(connection, [(n, "{}") for n in range(evaluations)], samples=0)
    add_label_set(connection, 1000)
    connection.executemany(
        "INSERT INTO label_metrics VALUES (?, ?, ?, 0.5, NULL)",
        (
            (n + 1, label + 1, f"metric{m}")
            for n in range(evaluations)
            for label in range(1000)
            for m in range(10)
        ),
    )


def add_label_set(connection: sqlite3.Connection, count: int) -> None:
    connection.execute("INSERT INTO label_sets VALUES (1, 'h', ?)", (count,))
    connection.executemany(
        "INSERT INTO labels VALUES (?, 1, ?, ?, ?)",
        ((n + 1, n, f"label {n}", digest(f"label {n}")) for n in range(count)),
    )


if __name__ == "__main__":
    main()
