"""Keep a database of the present revision, so that later programs are tested to upgrade it.

    python tests/old_databases/make.py

Run it once, before a revision is first released; a kept database is never made anew. It also writes
`schema.txt`, which tests compare with the schemas of SQLite and Postgres.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from sqlalchemy import create_engine  # noqa: E402
from support.snapshots import schema_lines  # noqa: E402
from support.store_values import claimed, evaluation, finish, points, queued, taken  # noqa: E402  # needs the path above

from mmlab.metric import Metric  # noqa: E402
from mmlab.store import Store, open_store  # noqa: E402
from mmlab.store.tables import REVISION  # noqa: E402


def fill(store: Store) -> None:
    """Put in runs of every status, with everything that is awkward."""
    done = claimed(store, "done")
    store.record_points(
        done, points(1.0, float("nan"), float("-inf")), [Metric("train/loss", "lower")]
    )
    finish(store, done)
    more = evaluation("again", labels=("x", "y", "z"))
    store.add_evaluations(done.run_id, [more], {"again": "again"})
    finish(store, claimed(store, "done", seed=1))
    store.fail(claimed(store, "failed"), "nan", "not finite", "Traceback")
    store.release(claimed(store, "released"))
    claimed(store, "running")
    _fill_queue(store)
    store.adopt_runs("token of a folder")


def _fill_queue(store: Store) -> None:
    """Cells without a run, as a submission leaves them and as workers do."""
    store.submit_cells([queued(seed, "queued", priority=-seed) for seed in range(5)])
    store.end_cell(taken(store), "failed", reason="a plugin is missing 🦜")
    store.end_cell(taken(store), "cancelled")
    store.died(taken(store), None, "signal 9", "it was killed", max_attempts=3)
    store.give_back(taken(store), "no such file")
    taken(store)
    store.submit_cells([queued(9, "queued", waits_for=("trained",), rerun=True)])


def main() -> None:
    """Write the dump named after the revision."""
    target = FOLDER / f"{REVISION}.sql"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mmlab.db"
        with open_store(str(path), create=True) as store:
            fill(store)
        connection = sqlite3.connect(path)
        target.write_text("\n".join(connection.iterdump()) + "\n")
        connection.close()
        lines = schema_lines(create_engine(f"sqlite:///{path}"))
        (FOLDER / "schema.txt").write_text("\n".join(lines) + "\n")
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
