"""Several processes that find one sealed spool: one of them records it, and nothing is undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.store_values import artifact, claimed, evaluation, points

from mmlab.records import MetricPoint
from mmlab.runner.spool import Finish, Header, Points, Rewind, Spool, spool_path
from mmlab.runner.sync import Synced, sync_folder
from mmlab.store import Claim, Store, open_store


def leave(folder: Path, claim: Claim) -> None:
    """The sealed spool of a process that has died: training from its start, and its end."""
    header = Header("", claim.run_id, claim.fence, claim.worker, claim.lease_seconds)
    spool = Spool(spool_path(folder, claim), header)
    result = evaluation()
    finish = Finish((result,), {result.name: "e"}, (artifact(claim.run_id),), {}, 7)
    for record in (Rewind(0), Points(tuple(points(0.5, 0.25))), finish):
        spool.append(record)
    spool.close()


def test_a_second_process_leaves_a_spool_to_the_first(
    store: Store, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(store)
    leave(tmp_path, claim)
    record, found = Store.record_points, list[Synced]()

    def record_and_look(first: Store, held: Claim, told: list[MetricPoint], *more: object) -> None:
        record(first, held, told, *more)  # type: ignore[arg-type]
        if not found:
            with open_store(database_url) as second:
                found.extend(sync_folder(second, tmp_path))

    monkeypatch.setattr(Store, "record_points", record_and_look)
    (first,) = sync_folder(store, tmp_path)

    assert (first.status, found) == ("recorded", [])
    assert store.run_detail(claim.run_id).run.status == "done"
    curve = store.frame("SELECT step FROM metrics WHERE evaluation_id IS NULL", {"step": int})
    assert sorted(curve["step"]) == [1, 2]
