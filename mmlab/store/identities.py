"""The values that hashes stand for, kept from when a hash is first used."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from mmlab.store.bulk import insert_into
from mmlab.store.tables import identities


def read_contents(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """Contents as JSON texts, by hash; hashes of which nothing is kept are left out."""
    query = select(identities).where(identities.c.hash.in_(hashes))
    return {row.hash: row.content for row in connection.execute(query)}


def keep_contents(connection: Connection, contents: Mapping[str, str]) -> None:
    """Keep contents by hash, in place of what was kept."""
    rows = [{"hash": key, "content": content} for key, content in sorted(contents.items())]
    statement = insert_into(connection, identities)
    changed = {"content": statement.excluded.content}
    connection.execute(statement.on_conflict_do_update(index_elements=["hash"], set_=changed), rows)
