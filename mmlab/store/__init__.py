"""The store: every run and result in one SQL database, SQLite or Postgres.

with open_store("mmlab.db", create=True) as store:
    run = store.submit(identity)
    claim = store.claim(run.run_id, worker, lease_seconds=60)
    store.record_points(claim, points)
    store.finish(claim, results, hashes, artifacts)

Migrations are in `mmlab.store.migrate`, which is slow to import.
"""

from __future__ import annotations

from mmlab.store.engine import DatabaseReplaced, StoreAway
from mmlab.store.rows import (
    ArtifactRow,
    AttemptRow,
    BestWeights,
    CellClaim,
    CellRow,
    CellState,
    Claim,
    Evaluating,
    EvaluationRow,
    ImportedRun,
    LeaseLost,
    Part,
    QueuedCell,
    RunDetail,
    RunIdentity,
    RunRow,
    SpecRow,
    Submission,
)
from mmlab.store.runs import require_done
from mmlab.store.store import Store, open_store

__all__ = [
    "ArtifactRow",
    "AttemptRow",
    "BestWeights",
    "CellClaim",
    "CellRow",
    "CellState",
    "Claim",
    "DatabaseReplaced",
    "Evaluating",
    "EvaluationRow",
    "ImportedRun",
    "LeaseLost",
    "Part",
    "QueuedCell",
    "RunDetail",
    "RunIdentity",
    "RunRow",
    "SpecRow",
    "Store",
    "StoreAway",
    "Submission",
    "open_store",
    "require_done",
]
