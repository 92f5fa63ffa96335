"""Small pictures: each once, in no more than their room, and whoever brings them the same ones."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select
from support.report_values import ranked, record

from mmlab.errors import UsageError
from mmlab.store import Store, views
from mmlab.store.catalogue import ROOM, place_of, room_bytes
from mmlab.store.tables import pictures

COUNT = 20


def ids() -> list[str]:
    return [f"sample-{number:04d}" for number in range(COUNT)]


def bring(store: Store, chosen: Sequence[str], cell: str, size: int = 100) -> None:
    """A run with pictures of some samples, each of its own and of so many bytes."""
    brought = {one: one.encode().ljust(size, b".") for one in chosen}
    record(store, replace(ranked([1, 2] * (COUNT // 2)), thumbnails=brought), cell=cell)


def kept(store: Store) -> dict[str, bytes]:
    row = views.sample_pictures.c
    return dict(store.frame(select(row.sample, row.image)).iter_rows())


@pytest.mark.parametrize(
    ("text", "found"),
    [("64 MiB", 64 * 2**20), ("0", 0), ("1.5 kB", 1500), ("7", 7), ("2GiB", 2**31), ("10 b", 10)],
)
def test_a_room_is_a_number_of_bytes_with_a_unit(text: str, found: int) -> None:
    assert room_bytes(text) == found


@pytest.mark.parametrize("text", ["", "much", "-1", "1 TB", "64 MiBs", "1e3", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"no size(.|\n)*found(.|\n)*allowed(.|\n)*next"):
        room_bytes(text)


def test_all_pictures_are_kept_where_there_is_room(store: Store) -> None:
    bring(store, ids(), "one")
    found = kept(store)
    assert sorted(found) == ids()
    assert found["sample-0003"] == b"sample-0003".ljust(100, b".")


def test_where_there_is_none_for_all_the_lowest_hashes_stay_whoever_brings_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOM, "850")
    lowest = sorted(ids(), key=lambda one: hashlib.sha256(one.encode()).digest())[:8]
    bring(store, ids()[::2], "some")
    bring(store, ids()[::-1], "all")
    assert sorted(kept(store)) == sorted(lowest)
    bring(store, ids(), "again")
    assert sorted(kept(store)) == sorted(lowest)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[:4])
def test_the_order_of_runs_does_not_matter(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    monkeypatch.setenv(ROOM, "1 kB")
    parts = [ids()[:9], ids()[5:14], ids()[12:]]
    for place in order:
        bring(sqlite_store, parts[place], f"cell {place}", size=100 + 7 * 3)
    lowest = sorted(ids(), key=place_of)[:8]
    assert sorted(kept(sqlite_store)) == sorted(lowest)


def test_equal_pictures_are_stored_once(store: Store) -> None:
    record(store, replace(ranked([1, 2] * 10), thumbnails=dict.fromkeys(ids(), b"the same")))
    assert kept(store) == dict.fromkeys(ids(), b"the same")
    assert store.frame(select(pictures.c.size_bytes)).rows() == [(8,)]


def test_no_room_keeps_none(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOM, "0")
    bring(sqlite_store, ids(), "one")
    assert kept(sqlite_store) == {}
    assert sqlite_store.wanted_pictures("revision-1", "test", ids()).samples == []


def test_what_is_wanted_has_no_picture_and_would_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = sorted(ids(), key=place_of)
    wanted = store.wanted_pictures("revision-1", "test", ids())
    assert (list(wanted.samples), wanted.room_bytes) == (ordered, 64 * 2**20)
    bring(store, ordered[:3], "one")
    assert store.wanted_pictures("revision-1", "test", ids()).samples == ordered[3:]
    assert store.wanted_pictures("another", "test", ids()).samples == ordered
    monkeypatch.setenv(ROOM, "350")  # it holds those three, and one more is too many
    assert store.wanted_pictures("revision-1", "test", ids()).samples == []
    bring(store, ordered[10:11], "two")
    assert sorted(kept(store)) == sorted(ordered[:3])
