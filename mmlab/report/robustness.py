"""Robustness: what every group of seeds reached under each condition of missing modalities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.metric import ROBUSTNESS
from mmlab.report.frames import Runs
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store
from mmlab.store.tables import evaluations


def robustness(store: Store, runs: Runs = None) -> pl.DataFrame:
    """The leaderboard's rows of the board of missing modalities, with what each condition is.

    - `condition`: "image+text" for a subset of the inputs, "text noise 0.5" for noise in one of
      them, empty for the summary, whose metrics are areas and worst cases ("top1/subset_area").
    - `present`: the inputs that were there, joined by "+"; null for the summary.
    - `noisy`, `level`: the input that was made noisy, and by how many deviations of its features;
      null without noise.

    Ordered as the leaderboard. The evaluator says how all are defined; its protocol tells the
    conditions, as the options `present` and `noise`.
    """
    return conditions_of(store, leaderboard(store, runs))


def conditions_of(store: Store, board: pl.DataFrame) -> pl.DataFrame:
    """The same, from a leaderboard that has been read already."""
    rows = board.filter(pl.col("board") == ROBUSTNESS)
    hashes = rows["protocol_hash"].unique().to_list()
    asked = pl.DataFrame(
        [_condition(hash, json.loads(text)) for hash, text in _protocols(store, hashes)],
        schema=_CONDITION,
        orient="row",
    )
    return rows.join(asked, on="protocol_hash", how="left", maintain_order="left")


_CONDITION: dict[str, pl.DataType | type[pl.DataType]] = {
    "protocol_hash": pl.String,
    "present": pl.String,
    "noisy": pl.String,
    "level": pl.Float64,
}


def _protocols(store: Store, hashes: Sequence[str]) -> list[tuple[str, str]]:
    row = evaluations.c
    query = select(row.protocol_hash, row.protocol).where(row.protocol_hash.in_(hashes)).distinct()
    return store.frame(query).rows()


# A protocol is JSON.
def _condition(protocol_hash: str, protocol: Mapping[str, Any]) -> dict[str, object]:
    options = protocol["options"]
    present, noise = options.get("present"), options.get("noise") or {}
    noisy, level = next(iter(noise.items()), (None, None))
    return {
        "protocol_hash": protocol_hash,
        "present": "+".join(present) if present else None,
        "noisy": noisy,
        "level": level,
    }
