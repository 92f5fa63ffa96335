"""Samples of one group as one sample: the copies of a picture that several captions came with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmlab.plugin import DataError, explain


def join_groups(frame: pl.DataFrame, paths: Sequence[Path]) -> pl.DataFrame:
    """One row for each group, that of its first sample with a picture, with all captions in order.

    A sample without a group stays alone. Raises DataError where samples of one group have other
    pictures or labels, and names two.
    """
    alone = pl.concat_str(pl.lit("alone "), pl.int_range(pl.len()).cast(pl.String))
    group = pl.concat_str(pl.lit("group "), "group")
    grouped = frame.with_columns(pl.coalesce(group, alone).alias("together"))
    _require_one(grouped, pl.col("picture_hash").cast(pl.String), "picture", paths)
    labels = pl.col("labels").cast(pl.List(pl.String)).list.join(" ")
    _require_one(grouped, labels, "label", paths)
    has_none = pl.col("picture_offset").is_null()
    others = pl.exclude("together", "texts", "labels")
    joined = grouped.group_by("together", maintain_order=True).agg(
        others.sort_by(has_none, maintain_order=True).first(),
        pl.col("texts").explode().drop_nulls(),
        pl.col("labels").drop_nulls().first(),
    )
    texts = pl.when(pl.col("texts").list.len() > 0).then(pl.col("texts"))
    return joined.with_columns(texts.alias("texts")).select(frame.columns)


def _require_one(grouped: pl.DataFrame, said: pl.Expr, what: str, paths: Sequence[Path]) -> None:
    columns = ("together", "id", "group", "shard")
    known = grouped.select(*columns, said.alias("said")).filter(pl.col("said").is_not_null())
    first = known.group_by("together", maintain_order=True).first()
    pairs = known.join(first, on="together", suffix="_first", maintain_order="left")
    wrong = pairs.filter(pl.col("said") != pl.col("said_first"))
    if wrong.is_empty():
        return
    row = wrong.row(0, named=True)
    raise DataError(
        explain(
            f"{paths[row['shard']]}: {row['id']}",
            f"it has another {what} than a sample of its group",
            found=f"{row['id']} and {row['id_first']}, both of group {row['group'][:80]!r}",
            allowed="samples of a group with the same picture, and the same labels",
            next_step="name another field in dataset.group_field, or correct the shards",
        )
    )
