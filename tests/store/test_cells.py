"""Cells in the store: once each, in their order, and several of them may be one run."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from support.store_values import claimed, dump, finish, identity

from mmlab.store import CellRow, RunIdentity, Store, views
from mmlab.store.address import parse_address
from mmlab.store.cells import add_cell, add_spec
from mmlab.store.engine import Database
from mmlab.store.tables import cells, runs

#: In an order that no sorting gives.
UNSORTED = {"encoders": {"text": {"use": "b"}, "image": {"use": "a", "crop": 0.7}}, "a": [1.0, 1]}


def submit(store: Store, identity: RunIdentity, **changes: object) -> str:
    """Submit a cell with something changed; the id of the run that it is."""
    cell = replace(identity.cell, **changes)  # type: ignore[arg-type]  # by name
    return store.submit(replace(identity, cell=cell)).run_id


def newest(store: Store, run_id: str) -> CellRow:
    """The newest cell of a run."""
    cell = store.run_detail(run_id).cell
    assert cell is not None
    return cell


def test_a_cell_comes_back_as_it_was_submitted(store: Store) -> None:
    cell = identity().cell
    assert newest(store, submit(store, identity())) == cell


def test_tables_keep_their_order(store: Store) -> None:
    axes = {"train.lr": 0.1, "fusion": {"use": "concat", "inputs": ["text"], "dim": 8}}
    spec = replace(identity().cell.spec, resolved=UNSORTED)
    run_id = submit(store, identity(), spec=spec, axes=axes, resolved=UNSORTED)
    cell = newest(store, run_id)
    for found, given in ((cell.resolved, UNSORTED), (cell.spec.resolved, UNSORTED)):
        assert repr(found) == repr(given)
    assert repr(cell.axes) == repr(axes)
    assert repr(store.find_run(run_id).axes) == repr(axes)


def test_the_order_of_tables_makes_another_cell_and_another_spec(store: Store) -> None:
    turned = dict(reversed(UNSORTED.items()))
    for resolved in (UNSORTED, turned):
        submit(store, identity(), resolved=resolved)
    assert len(store.frame(select(cells))) == 2
    for resolved in (UNSORTED, turned):
        submit(store, identity(), spec=replace(identity().cell.spec, resolved=resolved))
    assert len(store.frame(select(cells.c.spec_id).distinct())) == 3


def test_submitting_the_same_again_adds_nothing(store: Store, database_url: str) -> None:
    submit(store, identity())
    before = dump(database_url)
    submit(store, identity())
    assert dump(database_url) == before


@pytest.mark.parametrize(
    "change",
    [
        {"position": 3},
        {"position": None},
        {"label": "fusion=sum"},
        {"axes": {}},
        {"overrides": {"set": [], "files": []}},
        {"overrides": None},
        {"budget": 901},
        {"budget": None},
        {"resolved": {"name": "emoji"}},
    ],
)
def test_two_cells_may_be_one_run_which_shows_the_newer(
    store: Store, change: dict[str, object]
) -> None:
    first = submit(store, identity())
    assert submit(store, identity(), **change) == first
    assert newest(store, first) == replace(identity().cell, **change)  # type: ignore[arg-type]
    assert len(store.frame(select(cells))) == 2
    assert len(store.frame(select(runs.c.id))) == 1


def test_a_spec_that_moved_and_moved_back_is_where_it_was_submitted_last(store: Store) -> None:
    here, there = ({"data": {"path": f"/{place}"}} for place in ("here", "there"))
    for resolved in (here, there, here):
        run_id = submit(store, identity(), resolved=resolved)
        time.sleep(0.005)  # SQLite's clock counts milliseconds
    assert newest(store, run_id).resolved == here
    assert len(store.frame(select(cells))) == 2


def test_a_repetition_is_a_run_of_its_own_with_the_same_cell(store: Store) -> None:
    first = store.submit(identity())
    second = store.submit(identity(), rerun=True)
    assert first.run_id != second.run_id
    assert newest(store, first.run_id) == newest(store, second.run_id)
    found = store.frame(select(cells.c.run_id).order_by(cells.c.id))["run_id"].to_list()
    assert found == [first.run_id, second.run_id]


def test_a_cell_may_wait_for_its_run_but_only_once(store: Store, database_url: str) -> None:
    database = Database(parse_address(database_url))
    with database.write() as connection:
        spec_id = add_spec(connection, identity().cell.spec)
        for _ in range(2):
            add_cell(connection, identity().cell, spec_id, None)
        add_cell(connection, replace(identity().cell, position=5), spec_id, None)
    found = store.frame(select(cells.c.position, cells.c.run_id).order_by(cells.c.id))
    assert found.rows() == [(2, None), (5, None)]
    shown = store.frame(select(views.submitted_cells.c.status)).rows()
    assert shown == [(None,), (None,)]
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(update(cells).values(hash="one"))
    database.close()


def test_the_view_shows_cells_that_are_done_and_those_that_are_not(store: Store) -> None:
    finish(store, claimed(store, "done"))
    submit(store, identity("waits"))
    row = views.submitted_cells.c
    query = select(row.spec, row.experiment, row.position, row.cell, row.status)
    assert store.frame(query.order_by(row.cell_id)).rows() == [
        ("emoji.toml", "emoji", 2, "fusion=gating", "done"),
        ("emoji.toml", "emoji", 2, "fusion=gating", "queued"),
    ]
