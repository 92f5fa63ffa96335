"""Labels, samples, declarations of metrics and pictures: stored once each, found by their content.

Small pictures of samples (thumbnails) have a room that they may not exceed. Where it does not hold
all, those stay whose samples' ids have the lowest hashes: which these are depends on neither the
run nor the order in which runs bring them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from mmlab.errors import UsageError, explain
from mmlab.metric import Metric, find
from mmlab.records import WantedPictures
from mmlab.store.bulk import (
    among,
    digest,
    insert_columns,
    insert_missing,
    lock_catalogue,
    to_json,
)
from mmlab.store.tables import (
    label_sets,
    labels,
    metric_declarations,
    pictures,
    samples,
    thumbnails,
)

Ids = npt.NDArray[np.int64]


def label_set(connection: Connection, texts: Sequence[str]) -> tuple[int | None, Ids]:
    """Number of the label set with these texts in this order, and its labels' by position.

    No texts are no label set: None.
    """
    if not texts:
        return None, np.empty(0, dtype=np.int64)
    set_hash = digest(to_json(list(texts)))
    query = select(label_sets.c.id).where(label_sets.c.hash == set_hash)
    set_id = connection.scalar(query)
    if set_id is None:
        lock_catalogue(connection)
        set_id = connection.scalar(query) or _insert_label_set(connection, set_hash, texts)
    ids = select(labels.c.id).where(labels.c.label_set_id == set_id).order_by(labels.c.position)
    return set_id, np.array(connection.scalars(ids).all(), dtype=np.int64)


def _insert_label_set(connection: Connection, set_hash: str, texts: Sequence[str]) -> int:
    row = {"hash": set_hash, "label_count": len(texts)}
    set_id = connection.execute(insert(label_sets).values(row)).inserted_primary_key
    assert set_id is not None, "the database numbers label sets"
    columns = {
        "label_set_id": [set_id[0]] * len(texts),
        "position": range(len(texts)),
        "text": texts,
        "text_hash": [digest(text) for text in texts],
    }
    insert_columns(connection, labels, columns)
    return int(set_id[0])


def sample_ids(
    connection: Connection, dataset_revision: str, split: str, stable_ids: Sequence[str]
) -> Ids:
    """The numbers of samples, in the given order; new ones are added."""
    find = _finder(connection, dataset_revision, split)
    known = find()
    if not known.keys() >= set(stable_ids):
        lock_catalogue(connection)
        known = find()
        new = [stable_id for stable_id in stable_ids if stable_id not in known]
        columns = {
            "dataset_revision": [dataset_revision] * len(new),
            "split": [split] * len(new),
            "stable_id": new,
        }
        insert_columns(connection, samples, columns)
        known = find()
    return np.array([known[stable_id] for stable_id in stable_ids], dtype=np.int64)


def name_clusters(connection: Connection, ids: Ids, clusters: Sequence[str | None]) -> None:
    """Say what samples were drawn together with, where that is not known yet."""
    found = [
        {"sample": number, "with": cluster}
        for number, cluster in zip(ids.tolist(), clusters, strict=True)
        if cluster is not None
    ]
    row = samples.c
    query = update(samples).where(row.id == bindparam("sample"), row.cluster.is_(None))
    if found:
        connection.execute(query.values(cluster=bindparam("with")), found)


def _finder(
    connection: Connection, dataset_revision: str, split: str
) -> Callable[[], dict[str, int]]:
    query = select(samples.c.stable_id, samples.c.id).where(
        samples.c.dataset_revision == dataset_revision, samples.c.split == split
    )
    return lambda: {stable_id: number for stable_id, number in connection.execute(query)}


def declaration_ids(
    connection: Connection, declared: Sequence[Metric], names: Iterable[str], condition: str = ""
) -> dict[str, int]:
    """The numbers of what is declared of metrics, by name; new declarations are added.

    A name that nobody declares is left out.
    """
    rows = {name: _declaration(declared, name, condition) for name in names}
    hashes = {name: str(row["hash"]) for name, row in rows.items() if row}
    known = _known_declarations(connection, hashes.values())
    if not known.keys() >= set(hashes.values()):
        lock_catalogue(connection)
        known = _known_declarations(connection, hashes.values())
        new = [row for row in rows.values() if row and row["hash"] not in known]
        if new:
            connection.execute(insert(metric_declarations), new)
        known = _known_declarations(connection, hashes.values())
    return {name: known[hash] for name, hash in hashes.items()}


def _declaration(
    declared: Sequence[Metric], name: str, condition: str
) -> Mapping[str, object] | None:
    """The row of a declaration: the metric by its own name, whatever the condition."""
    found = find(declared, name, condition)
    if found is None:
        return None
    position, metric = found
    row = {key: value for key, value in asdict(metric).items() if key != "condition"}
    row["position"] = position
    return {**row, "hash": digest(to_json(row))}


def _known_declarations(connection: Connection, hashes: Iterable[str]) -> dict[str, int]:
    row = metric_declarations.c
    query = select(row.hash, row.id).where(among(row.hash, set(hashes)))
    return {hash: number for hash, number in connection.execute(query)}


#: Names the room; `report.thumbnails` in mmlab.toml.
ROOM = "MMLAB_THUMBNAILS"
DEFAULT_ROOM = "64 MiB"
_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def room_bytes(text: str | None = None) -> int:
    """How many bytes a text means, or what the environment names. Raises UsageError.

    >>> room_bytes("64 MiB"), room_bytes("0"), room_bytes("1.5kB")
    (67108864, 0, 1500)
    """
    written = os.environ.get(ROOM) or DEFAULT_ROOM if text is None else text
    found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([kmg]i?b|b|)\s*", written.lower())
    if found is None:
        raise UsageError(
            explain(
                f"report.thumbnails, {ROOM}",
                "this is no size of the room for small pictures",
                found=ascii(written[:40]),
                allowed='a number of bytes, or one with a unit: "64 MiB", "1 GB", "0"',
                next_step=f'write thumbnails = "{DEFAULT_ROOM}" below [report], say',
            )
        )
    unit = found[2].upper() if found[2] != "b" else ""
    return int(float(found[1]) * _UNITS[unit])


def place_of(stable_id: str) -> int:
    """Where a sample stands among those whose pictures stay: 63 bits of its id's sha256."""
    return int.from_bytes(hashlib.sha256(stable_id.encode()).digest()[:8], "big") >> 1


def wanted_pictures(
    connection: Connection, dataset_revision: str, split: str, stable_ids: Sequence[str]
) -> WantedPictures:
    """Those of some samples that have no picture and would keep one, lowest hashes first."""
    room = room_bytes()
    sample = samples.c
    mine = sample.dataset_revision == dataset_revision, sample.split == split
    query = select(sample.stable_id).join(thumbnails, thumbnails.c.sample_id == sample.id)
    known = set(connection.scalars(query.where(*mine)))
    limit = _cut(connection, room)
    places = {one: place_of(one) for one in stable_ids if one not in known}
    wanted = [one for one, place in places.items() if limit is None or place < limit]
    return WantedPictures(sorted(wanted, key=places.__getitem__) if room else [], room)


def _cut(connection: Connection, room: int) -> int | None:
    """From which place on no picture stays; None where there is room for more."""
    row = pictures.c
    query = select(func.sum(row.size_bytes), func.max(row.size_bytes))
    total, largest = connection.execute(query).one()
    if total is None or int(total) + int(largest) <= room:
        return None
    highest = connection.scalar(select(func.max(thumbnails.c.place)))
    return None if highest is None else int(highest)


def keep_pictures(
    connection: Connection,
    numbers: Mapping[str, int],
    found: Mapping[str, bytes],
    sizes: Mapping[str, tuple[int, int]],
) -> None:
    """Add pictures by their samples' own ids, whose numbers are given, as far as there is room.

    `sizes` are width and height of the whole pictures, where they are known.
    """
    room = room_bytes()
    if not found or not room:
        return
    lock_catalogue(connection)
    query = select(thumbnails.c.sample_id)
    ids = [numbers[one] for one in found]
    known = set(connection.scalars(query.where(among(thumbnails.c.sample_id, ids))))
    new = {one: image for one, image in found.items() if numbers[one] not in known}
    if not new:
        return
    hashes = _add_pictures(connection, new)
    rows = []
    for one, image in new.items():
        width, height = sizes.get(one, (None, None))
        row = {
            "sample_id": numbers[one],
            "place": place_of(one),
            "picture_id": hashes[_hash(image)],
        }
        rows.append({**row, "width": width, "height": height})
    insert_missing(connection, thumbnails, rows)
    _make_room(connection, room)


def _hash(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


def _add_pictures(connection: Connection, found: Mapping[str, bytes]) -> dict[str, int]:
    """The numbers of pictures by their hashes; new ones are added."""
    by_hash = {_hash(image): image for image in found.values()}
    known = _numbers(connection, [*by_hash])
    rows = [
        {"hash": key, "size_bytes": len(image), "image": image}
        for key, image in by_hash.items()
        if key not in known
    ]
    insert_missing(connection, pictures, rows)
    return known if not rows else _numbers(connection, [*by_hash])


def _numbers(connection: Connection, hashes: Sequence[str]) -> dict[str, int]:
    query = select(pictures.c.hash, pictures.c.id).where(among(pictures.c.hash, hashes))
    return {key: number for key, number in connection.execute(query)}


def _make_room(connection: Connection, room: int) -> None:
    """Remove the pictures of the highest places, until the others fit."""
    total = connection.scalar(select(func.sum(pictures.c.size_bytes)))
    if int(total or 0) <= room:
        return
    thumb, size = thumbnails.c, pictures.c.size_bytes
    query = select(thumb.sample_id, thumb.picture_id, size)
    ordered = query.join(pictures, pictures.c.id == thumb.picture_id)
    held, used, fits, gone = set[int](), 0, True, list[int]()
    for sample_id, picture, size_bytes in connection.execute(
        ordered.order_by(thumb.place, thumb.sample_id)
    ):
        used += 0 if picture in held else size_bytes
        held.add(picture)
        fits = fits and used <= room
        if not fits:
            gone.append(sample_id)
    connection.execute(delete(thumbnails).where(among(thumb.sample_id, gone)))
    is_used = exists(select(thumb.sample_id).where(thumb.picture_id == pictures.c.id))
    connection.execute(delete(pictures).where(~is_used))
