"""Boxes that detections find and those that are there: rows, views, and pictures' sizes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from support.store_values import boxes, claimed, evaluation, finish

from mmlab.errors import DataError, StoreError
from mmlab.store import Store, tables, views
from mmlab.store import boxes as module
from mmlab.store.write import delete_results


def test_every_box_comes_back_as_it_was_found(store: Store) -> None:
    finish(store, claimed(store))
    row = views.box_detections.c
    columns = row.sample, row.rank, row.label, row.x0, row.y1, row.score, row.truth
    found = store.frame(select(*columns, row.is_right, row.is_ignored).order_by(row.score.desc()))
    first, second = (evaluation().labels[place] for place in (0, 1))
    assert found.rows() == [
        ("a", 1, first, 0.0, 10.0, 0.9, None, False, False),
        ("b 🦜", 1, first, 5.0, 6.0, 1 / 3, 0, False, True),
        ("a", 2, second, 1 / 3, 40.5, 0.1, 1, True, False),
    ]


def test_so_does_every_true_box(store: Store) -> None:
    finish(store, claimed(store))
    row = views.box_truths.c
    columns = row.sample, row.number, row.x1, row.area, row.is_crowd, row.is_difficult
    found = store.frame(select(*columns).order_by(row.sample, row.number))
    assert found.rows() == [
        ("a", 0, 60.0, 100.0, False, False),
        ("a", 1, 30.0, 900.5, False, False),
        ("b 🦜", 0, 640.0, 307200.0, True, False),
    ]


def test_a_picture_has_its_size(store: Store) -> None:
    finish(store, claimed(store))
    row = views.sample_pictures.c
    assert store.frame(select(row.sample, row.width, row.height)).rows() == [("a", 640, 480)]


def test_blocks_make_no_difference(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    finish(store, claimed(store))
    row = tables.detections.c
    assert sorted(store.frame(select(row.sample_id, row.rank))["rank"]) == [1, 1, 2]
    assert store.frame(select(tables.true_boxes.c.number)).height == 3


def test_results_that_are_removed_take_their_boxes_with_them(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    with store._database.write() as connection:
        delete_results(connection, held.run_id)
    for table in (tables.detections, tables.true_boxes):
        assert store.frame(select(table.c.x0)).height == 0


def test_a_picture_is_named_once(store: Store) -> None:
    twice = dataclasses.replace(evaluation(), boxes=boxes(("a", "a", "c")))
    with pytest.raises(DataError, match="picture ids of zero_shot: the same text is there twice"):
        finish(store, claimed(store), twice)
    assert store.frame(select(tables.detections.c.x0)).height == 0


def test_a_box_without_extent_is_refused_by_the_database(store: Store) -> None:
    row = {"evaluation_id": 1, "sample_id": 1, "rank": 1, "label_id": 1, "score": 0.5}
    flat = {"x0": 1.0, "y0": 0.0, "x1": 1.0, "y1": 1.0}
    with pytest.raises((IntegrityError, StoreError)), store._database.write() as connection:
        connection.execute(insert(tables.detections), [{**row, **flat}])


def test_places_count_from_0_in_each_picture() -> None:
    assert module.places(np.array([], np.int32)).tolist() == []
    assert module.places(np.array([1, 1, 4], np.int32)).tolist() == [0, 1, 0]
