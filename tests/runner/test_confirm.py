"""What stands under a hash is kept, and compared when the hash is met again."""

from __future__ import annotations

import polars as pl

from mmlab.plan.content import Later
from mmlab.runner.identity import Confirmer
from mmlab.store import Store


def test_a_hit_is_confirmed_by_all_values(store: Store) -> None:
    told: list[str] = []
    confirmer = Confirmer(store, told.append)

    def confirm(value: float, neutral: float) -> dict[str, object]:
        content = {"use": "vit", "floor": Later(value, neutral)}
        chosen = confirmer.confirm({"cell": content})["cell"]
        confirmer.keep()
        return chosen

    assert confirm(0.0, 0.0) == {"use": "vit"}
    assert confirm(0.5, 0.0) == {"use": "vit", "floor": 0.5}
    assert confirm(0.5, 0.5) == {"use": "vit", "floor": 0.5, "leaves_out": []}
    assert confirm(0.5, 0.5) == {"use": "vit", "floor": 0.5, "leaves_out": []}
    assert told == [
        "cell: what is stored under the same hash differs, so this runs as new: "
        "floor was 0.0 and is 0.5"
    ]


def test_a_key_that_is_missing_without_being_neutral_is_told(store: Store) -> None:
    """Two contents of one hash cannot be made: what is kept is changed by hand."""
    told: list[str] = []
    confirmer = Confirmer(store, told.append)
    (chosen,) = confirmer.confirm({"cell": {"use": "vit", "dim": 8}}).values()
    confirmer.keep()
    assert chosen == {"use": "vit", "dim": 8}
    with_hash = store.contents(_hashes(store))
    store.keep_contents({key: '{"use":"vit"}' for key in with_hash})
    (chosen,) = confirmer.confirm({"cell": {"use": "vit", "dim": 8}}).values()
    confirmer.keep()
    assert "leaves_out" in chosen
    assert told == [
        "cell: what is stored under the same hash differs, so this runs as new: "
        "dim was missing and is 8"
    ]


def _hashes(store: Store) -> list[str]:
    return store.frame("SELECT hash FROM identities", {"hash": pl.String})["hash"].to_list()
