"""Bounds that are stored as metrics of their own, given back to the means they belong to."""

from __future__ import annotations

import polars as pl

FEW_SHOT = "few_shot"
_BOUND = r"^(.+)_(low|high)$"


def give_bounds(board: pl.DataFrame) -> pl.DataFrame:
    """Without the rows of bounds; `draws_low` and `draws_high` of the rows they bound, else null.

    They are the stored ones, which the evaluator has cut to [0, 1].
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
    return rest
