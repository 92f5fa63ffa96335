"""Labels, samples and declarations of metrics: stored once each, and found by their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, bindparam, insert, select, update

from mmlab.metric import Metric, find
from mmlab.store.bulk import among, digest, insert_columns, lock_catalogue, to_json
from mmlab.store.tables import label_sets, labels, metric_declarations, samples

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
