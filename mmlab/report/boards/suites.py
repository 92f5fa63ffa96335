"""The board of a suite: the mean over its datasets, and a column for each of them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mmlab.report.boards.words import group_labels, listed
from mmlab.report.leaderboard import ordered_metrics

#: What a mean over datasets is of, below its board.
ESTIMAND = "means are of these datasets, with new samples of each and new seeds"


def members(board: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """The rows of a leaderboard that the means of a comparison are of, by all metrics."""
    row = part.row(0, named=True)
    condition = row["condition"].rpartition(": ")[0]
    key = {"suite": row["suite"], "split": row["split"], "condition": condition}
    named = pl.all_horizontal(pl.col(name) == value for name, value in key.items())
    groups = part.select("experiment", "group_hash").unique()
    found = board.filter(named & pl.col("dataset").is_not_null())
    return found.join(groups, on=["experiment", "group_hash"], how="semi", maintain_order="left")


def dataset_columns(board: pl.DataFrame, part: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows of each dataset by the metric of the mean, called as the dataset is."""
    found = members(board, part)
    means = ordered_metrics(part)
    columns = []
    for (dataset,), rows in found.group_by(["dataset"], maintain_order=True):
        known = ordered_metrics(rows)
        metric = means[0] if means[0] in known else known[0]
        name = f"{dataset} {metric}" if dataset in means else str(dataset)
        own = rows.filter(pl.col("metric") == metric).unique(
            ["experiment", "group_hash"], keep="last", maintain_order=True
        )
        columns.append(own.with_columns(pl.lit(name).alias("metric")))
    return columns


def told_of(part: pl.DataFrame) -> tuple[str, ...]:
    """What must be known of means over datasets: of what they are, and which there are not."""
    main = part.filter(pl.col("metric") == ordered_metrics(part)[0])
    labels = group_labels(main.iter_rows(named=True))
    lacking: dict[str, list[str]] = {}
    for row in main.iter_rows(named=True):
        if row["mean"] is None and row["reason"]:
            label = labels[row["experiment"], row["group_hash"]]
            lacking.setdefault(row["reason"], []).append(label)
    without = [f"no mean of {listed(names)}: it {why}" for why, names in lacking.items()]
    return (ESTIMAND, *without)


def protocol_of(board: pl.DataFrame, part: pl.DataFrame) -> Mapping[str, object]:
    """What the datasets of a suite were asked, by the protocol hash of each."""
    row = members(board, part).unique("dataset", keep="last", maintain_order=True)
    return {
        f"dataset {key}": hash for key, hash in row.select("dataset", "protocol_hash").iter_rows()
    }
