"""Frames read from SQLite and from Postgres are equal, dtypes included."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import chain

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import Table, make_url, select
from support.store_values import claimed, evaluation, finish, identity, points, queued

from mmlab.store import Store, open_store, tables, views

#: What differs between two databases that were given the same: ids and times.
_OWN = ("run_id", "left_run_id", "right_run_id", "id", "evaluation_hash", "path", "value")
_TABLES = [*tables.metadata.sorted_tables, *views.metadata.sorted_tables]


def _fill(url: str) -> Store:
    store = open_store(url)
    for name in ("left", "right"):
        held = claimed(store, name)
        store.record_points(held, points(1.0, math.nan, -math.inf))
        finish(store, held)
        more = evaluation("again", labels=("x", "y", "z"))
        store.add_evaluations(held.run_id, [more], {"again": f"again-{name}"})
    store.submit_cells([queued()])
    return store


def _comparable(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    times += [name for name in ("seconds",) if name in frame.columns]
    own = [name for name in _OWN if frame.schema.get(name) == pl.String]
    frame = frame.with_columns(pl.lit("own").alias(name) for name in own)
    frame = frame.with_columns(pl.col(name).is_null().alias(name) for name in times)
    return frame.sort(frame.columns, nulls_last=True)


def test_every_table_and_view_reads_equally_from_both(sqlite_url: str, postgres_url: str) -> None:
    with _fill(sqlite_url) as sqlite, _fill(postgres_url) as postgres:
        assert _TABLES
        for table in _TABLES:
            left, right = sqlite.frame(select(table)), postgres.frame(select(table))
            assert left.schema == right.schema, table.name
            assert_frame_equal(_comparable(left), _comparable(right))


def test_the_views_and_results_are_not_empty(store: Store, database_url: str) -> None:
    _fill(database_url).close()
    shown = chain(views.metadata.sorted_tables, [tables.rankings, tables.label_metrics])
    assert not [table.name for table in shown if store.frame(select(table)).is_empty()]


@pytest.mark.parametrize("table", _TABLES, ids=lambda table: table.name)
def test_an_empty_frame_has_its_dtypes(sqlite_url: str, table: Table) -> None:
    with open_store(sqlite_url) as store:
        empty = store.frame(select(table).where(table.c[0] != table.c[0]))
        assert empty.schema == store.frame(select(table)).schema


def test_dtypes_are_as_narrow_as_the_columns(store: Store) -> None:
    finish(store, claimed(store))
    ranked = store.frame(select(views.label_rankings)).schema
    assert (ranked["rank"], ranked["score"], ranked["is_truth"]) == (
        pl.Int16,
        pl.Float32,
        pl.Boolean,
    )
    assert store.frame(select(tables.runs)).schema["created_at"] == pl.Datetime("us", "UTC")


def test_conditions_are_bound_and_not_pasted(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    view = views.leaderboard
    hostile = ["'; DROP TABLE runs; --", "emoji", "100%s $1 :x"]
    query = select(view.c.metric).where(view.c.experiment.in_(hostile), view.c.seed == 0).limit(2)
    assert store.frame(query).height == 2
    assert store.frame(query.where(view.c.metric == hostile[0])).is_empty()


def test_a_text_query_takes_a_schema(store: Store) -> None:
    claimed(store)
    frame = store.frame(
        "SELECT count(*) AS n, max(seed) AS seed FROM runs", {"n": pl.Int64, "seed": pl.Int32}
    )
    assert_frame_equal(
        frame, pl.DataFrame({"n": [1], "seed": [0]}, schema={"n": pl.Int64, "seed": pl.Int32})
    )


def test_times_are_in_utc(store: Store) -> None:
    run = store.submit(identity())
    assert store.frame(select(tables.runs.c.created_at)).item() == run.created_at
    assert abs((datetime.now(UTC) - run.created_at).total_seconds()) < 300


def test_options_with_spaces_hold_for_frames_too(postgres_url: str) -> None:
    setting = {"options": "-c application_name=my\\ frames -c statement_timeout=7s"}
    url = make_url(postgres_url).update_query_dict(setting)
    with open_store(url.render_as_string(hide_password=False)) as store:
        said = "SELECT current_setting('application_name') || current_setting('statement_timeout')"
        assert store.frame(f"{said} AS said", {"said": pl.String}).item().endswith("7s")
