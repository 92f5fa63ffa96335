"""Workers are killed and frozen at random, and their server crashes: every cell is done once."""

from __future__ import annotations

import pytest
from support.chaos.run_storm import database, storm

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_cell_is_done_once_in_a_hundred_kills(
    kind: str, request: pytest.FixtureRequest
) -> None:
    where = database(kind, request)
    told = storm(*where, kills=100, freezes=6, outages=2 if "--postgres" in where else 0)
    assert told.faults == "", told.log
    assert (told.report["kills"], told.report["freezes"]) == (100, 6)
    assert told.report["lost_attempts"] >= 10, "it has met hardly anybody at work"
