"""Bounds that are stored as metrics of their own, given back to the means they belong to."""

from __future__ import annotations

import polars as pl

FEW_SHOT = "few_shot"
_BOUND = r"^(.+)_(low|high)$"


def give_bounds(board: pl.DataFrame) -> pl.DataFrame:
    """Without the rows of bounds; `draws_low` and `draws_high` of the rows they bound, else null.

    Stored bounds are cut to [0, 1]. What was cut off one of them follows from the other, as the
    interval is symmetric; with both cut off it is [0, 1].
    """
    name = pl.col("metric").str.extract(_BOUND, 1)
    is_bound = (pl.col("evaluator") == FEW_SHOT) & name.is_not_null()
    found = board.filter(is_bound).with_columns(
        name.alias("metric"), pl.col("metric").str.extract(_BOUND, 2).alias("end")
    )
    key = ["evaluation_id", "metric"]
    rest = board.filter(~is_bound)
    for end in ("low", "high"):
        ends = found.filter(pl.col("end") == end).select(*key, pl.col("mean").alias(f"draws_{end}"))
        rest = rest.join(ends, on=key, how="left", maintain_order="left")
    mean, low, high = pl.col("mean"), pl.col("draws_low"), pl.col("draws_high")
    half = pl.max_horizontal(mean - low, high - mean)
    is_open = (low <= 0) & (high >= 1)
    return rest.with_columns(
        pl.when(is_open).then(low.clip(0)).otherwise(mean - half).alias("draws_low"),
        pl.when(is_open).then(high.clip(None, 1)).otherwise(mean + half).alias("draws_high"),
    )
