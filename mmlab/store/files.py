"""The SQLite file: made only when asked for, and never mistaken for something else."""

from __future__ import annotations

import os

from mmlab.errors import StoreError, explain
from mmlab.store.address import Address


def check_file(address: Address) -> Address:
    """The address again; StoreError if it names a SQLite file that is not there or is none."""
    path = address.path
    if path is None or os.path.isfile(path):
        return address
    raise StoreError(
        explain(
            address.display,
            "there is no database",
            found="a folder" if os.path.isdir(path) else "no such file",
            allowed="an existing SQLite file, or a Postgres URL",
            next_step=f"correct --db or MMLAB_DB, or make it: mmlab db init --db {address.display}",
        )
    )


def is_yet_to_be_made(address: Address) -> bool:
    """Whether a SQLite file is missing, or was left empty when its making was cut short."""
    path = address.path
    if path is None:
        return False
    # Unlike pathlib's, these say no where a name is too long, and making the file says why.
    return not os.path.exists(path) or (os.path.isfile(path) and not path.stat().st_size)


def create_file(address: Address) -> None:
    """Make the empty file of a SQLite database; StoreError if its folder does not take it."""
    path = address.path
    assert path is not None, "only SQLite has a file"
    try:
        path.touch()
    except OSError as error:
        raise StoreError(
            explain(
                address.display,
                "the database file cannot be made",
                found=error.strerror or str(error),
                allowed="a path in an existing folder that this user may write",
                next_step="make the folder, or name another path with --db or MMLAB_DB",
            )
        ) from error
