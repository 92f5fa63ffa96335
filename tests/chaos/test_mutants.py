"""With one of its guards taken out, mmlab does not come through a storm: each is needed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from support.chaos.cells import submissions
from support.chaos.run_storm import database, storm

from mmlab.store import CellClaim, StoreAway, engine, open_store


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "kind", "kills", "freezes", "noticed"),
    [
        ("fence", "sqlite", 1, 8, "stale writes"),
        ("fence", "postgres", 1, 8, "stale writes"),
        ("condition", "sqlite", 1, 8, "done 2 times|rows too many"),
        ("condition", "postgres", 1, 8, "done 2 times|rows too many"),
        ("rewind", "sqlite", 30, 0, "has lone points"),
        ("rewind", "postgres", 30, 0, "has lone points"),
        # SQLite has one writer at a time, and needs no index for this.
        ("unique", "postgres", 5, 0, "a cell has several runs"),
    ],
)
def test_a_storm_notices_what_is_missing(
    mutant: str, kind: str, kills: int, freezes: int, noticed: str, request: pytest.FixtureRequest
) -> None:
    # Two processes must come to one place at one time, which not every storm brings about.
    where, reports = database(kind, request), []
    for seed in range(3, 7):
        told = storm(*where, mutant=mutant, kills=kills, freezes=freezes, seed=seed)
        if re.search(noticed, told.faults):
            return
        reports.append(told.report)
    pytest.fail(f"no storm noticed it: {reports}")


# --- BEGIN IMMEDIATE ----------------------------------------------------------------------------


@contextmanager
def claims_of_two(url: str) -> Iterator[list[CellClaim | None]]:
    """Two processes that claim at once: the second begins when the first has read, not written.

    Gives both claims at the end. Raises StoreAway where the first finds the database locked.
    """
    with open_store(url) as first, open_store(url) as second:
        first.submit_cells(submissions(0, 2))
        found = list[CellClaim | None]()
        other = threading.Thread(target=lambda: found.append(second.claim_cell("second", 60)))

        def begin_second(connection: object, cursor: object, statement: str, *more: object) -> None:
            if other.ident is None and statement.startswith("SELECT"):
                other.start()
                other.join(timeout=0.3)  # it waits for the first, or it is through

        event.listen(first._database.engine, "after_cursor_execute", begin_second)
        try:
            found.insert(0, first.with_patience(0).claim_cell("first", 60))
        finally:
            other.join()
        yield found


def test_who_claims_has_the_file_for_itself_from_its_first_look(sqlite_url: str) -> None:
    with claims_of_two(sqlite_url) as (first, second):
        assert first is not None
        assert second is not None
        assert first.id != second.id


def test_without_begin_immediate_it_has_not(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_WRITE", {})
    with pytest.raises(StoreAway, match="locked"), claims_of_two(sqlite_url):
        pass
