"""What the views say of runs, curves and files; their columns are tested with the migrations."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select, text
from support.store_values import claimed, finish, identity, points, queued, taken

from mmlab.store import Store, open_store, views
from mmlab.store.address import parse_address
from mmlab.store.bulk import among
from mmlab.store.engine import Database

PROVENANCE = {
    "git": {"commit": "0123abc", "is_dirty": False},
    "data": {"captions": "b", "emoji": "a", "again": "b"},
}


def test_all_runs_tell_how_each_went(store: Store) -> None:
    done = store.submit(identity("done"))
    claim = store.claim(done.run_id, "worker", 60, PROVENANCE)
    assert claim is not None
    store.finish(claim, [], {}, [], {"peak_memory_bytes": 3_000_000_000, "parameters": 12})
    failed = claimed(store, "failed")
    store.fail(failed, "nan", "not finite", "Traceback")
    claimed(store, "running")
    row = views.all_runs.c
    found = store.frame(select(views.all_runs).order_by(row.created_at, row.run_id))
    assert found["status"].to_list() == ["done", "failed", "running"]
    assert found["outcome"].to_list() == ["ok", "nan", None]
    assert found["attempts"].to_list() == [1, 1, 1]
    assert found["memory_bytes"].to_list() == [3_000_000_000, None, None]
    assert found["parameters"].to_list() == [12, None, None]
    assert found["code_revision"].to_list() == ["0123abc", None, None]
    assert found["data_revisions"].to_list() == ["a, b", None, None]
    assert found["error"].to_list() == [None, "not finite", None]
    seconds = (found["finished_at"] - found["started_at"]).dt.total_milliseconds() / 1000
    assert found["seconds"].to_list()[:2] == pytest.approx(seconds.to_list()[:2], abs=0.0021)
    assert found["seconds"][2] is None


@pytest.mark.parametrize("summary", ["{}", '{"parameters": "nan"}', '{"parameters": null}'])
def test_a_number_that_nobody_recorded_is_null(
    store: Store, database_url: str, summary: str
) -> None:
    claimed(store)
    database = Database(parse_address(database_url))
    with database.write() as connection:
        connection.execute(text("UPDATE runs SET summary = :s, provenance = '{}'"), {"s": summary})
    database.close()
    (found,) = store.frame(select(views.all_runs)).to_dicts()
    assert (found["parameters"], found["data_revisions"], found["code_revision"]) == (None,) * 3


def test_curves_of_running_runs_are_live_and_not_final(store: Store) -> None:
    held = claimed(store)
    store.record_points(held, points(1.0, float("nan")))
    live = store.frame(select(views.live_curves).order_by(views.live_curves.c.step))
    assert live["value"].to_list() == [1.0, None]
    assert live["status"].unique().to_list() == ["running"]
    assert store.frame(select(views.curves)).is_empty()
    finish(store, held)
    assert store.frame(select(views.curves)).height == 2


def test_files_of_all_runs_are_shown(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    (found,) = store.frame(select(views.artifacts)).to_dicts()
    assert (found["role"], found["path"]) == ("best", f"{held.run_id}/best.safetensors")
    assert (found["experiment"], found["status"]) == ("emoji", "done")


def test_the_queue_is_shown_with_why_a_cell_failed(store: Store) -> None:
    store.submit_cells([queued()])
    store.end_cell(taken(store), "failed", reason="a plugin is missing")
    (found,) = store.frame(select(views.queue_places)).to_dicts()
    assert (found["status"], found["reason"]) == ("failed", "a plugin is missing")


def test_two_runs_are_compared_by_an_index_alone(sqlite_url: str) -> None:
    query = "SELECT * FROM comparisons WHERE left_run_id = 'a' AND right_run_id = 'b'"
    with closing(sqlite3.connect(str(parse_address(sqlite_url).path))) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    (other,) = [step for step in plan if step.startswith("SEARCH other")]
    assert "run_id=? AND protocol_hash=?" in other
    assert not [step for step in plan if step.startswith("SCAN")]


def test_more_values_than_parameters_may_be(store: Store) -> None:
    finish(store, claimed(store))
    ids = range(70_000)
    row = views.leaderboard.c
    found = store.frame(select(row.metric).where(among(row.evaluation_id, ids)))
    texts = [f"{number} 🦜 \" \\ ' {{}}," for number in ids] + ["emoji"]
    assert found.height == 5
    assert store.frame(select(row.metric).where(among(row.experiment, texts))).height == 5
    assert store.frame(select(row.metric).where(among(row.experiment, []))).is_empty()
    assert store.best_weights([*map(str, ids), store.runs()[0].run_id])


def test_a_report_takes_more_runs_than_parameters_may_be(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        finish(store, claimed(store))
        from mmlab.report.leaderboard import leaderboard

        runs = [*map(str, range(300_000)), store.runs()[0].run_id]
        assert leaderboard(store, runs).height == leaderboard(store).height > 0
