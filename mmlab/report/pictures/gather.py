"""The pictures of a report: each that the stored results have something for, in a fixed order."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from mmlab.errors import UsageError, explain
from mmlab.metric import LEADERBOARD
from mmlab.report.boards.robustness import robustness_parts
from mmlab.report.boards.words import comparison_label, counted
from mmlab.report.contents import Contents, read_contents
from mmlab.report.costs import read_costs
from mmlab.report.frames import Runs, curve_metrics, done_runs, drawn_curves
from mmlab.report.leaderboard import comparisons, leaders, main_metric
from mmlab.report.pictures.cost import cost_pictures
from mmlab.report.pictures.curves import CHARTS, curve_pictures, ordered_quantities, quantity_of
from mmlab.report.pictures.drawing import COLOURS
from mmlab.report.pictures.evaluations import (
    newest_evaluations,
    read_calibration,
    read_confusions,
)
from mmlab.report.pictures.missing import missing_pictures
from mmlab.report.pictures.names import group_names
from mmlab.report.pictures.picture import Picture, named_apart
from mmlab.report.pictures.prompts import prompts_picture
from mmlab.report.pictures.ranks import ranks_picture
from mmlab.report.pictures.standings import (
    one_dataset,
    over_datasets,
    over_words,
    read_dataset,
    same_recipes,
)
from mmlab.store import Store

#: Groups of an experiment whose curves are drawn: those that lead, beside the chosen ones.
LEADERS = 6
#: Of how many experiments curves are drawn, and of how many seeds a group.
CURVED, DRAWN_SEEDS = 24, 10
#: Comparisons that are drawn, and recipes whose confusions and calibration are.
COMPARED, DETAILED = 6, 4

# Rows of frames: values of whatever column.
Row = dict[str, Any]


def gather_pictures(
    store: Store, found: pl.DataFrame, contents: Contents, runs: Runs = None, chosen: Runs = None
) -> list[Picture]:
    """All pictures of a report on `found`, the done runs, and its contents.

    `runs` are those that were asked for. Of the runs that are `chosen` the groups are drawn in
    curves, confusions and reliability, also where they do not lead. Raises UsageError where none
    of these is done and reported on.
    """
    groups = _groups_of(found, chosen or ())
    board = contents.leaderboard.filter(pl.col("board") == LEADERBOARD)
    board = board.filter(~pl.col("evaluator").eq("prompts"))
    pictures = [
        *_of_comparisons(store, found, board, runs),
        *_of_recipes(store, board, runs, groups),
        *_of_missing(contents.robustness),
        *_of_prompts(contents.leaderboard),
        *_of_curves(store, found, contents.leaderboard, groups),
    ]
    return named_apart(pictures)


def read_pictures(store: Store, runs: Runs = None, chosen: Runs = None) -> list[Picture]:
    """All pictures of a report on the done runs, or on some."""
    found, contents = done_runs(store, runs), read_contents(store, runs)
    return gather_pictures(store, found, contents, runs, chosen)


def _groups_of(found: pl.DataFrame, chosen: Sequence[str]) -> list[str]:
    rows = found.filter(pl.col("run_id").is_in(list(chosen)))
    if chosen and rows.is_empty():
        raise UsageError(
            explain(
                "--curves",
                "nothing of these runs can be drawn",
                found=", ".join(run[:8] for run in chosen[:LEADERS]),
                allowed="done runs that the report is about",
                next_step="name a run that is done: mmlab ls; or report on its experiment too",
            )
        )
    return rows["group_hash"].unique(maintain_order=True).to_list()


def _of_comparisons(
    store: Store, found: pl.DataFrame, board: pl.DataFrame, runs: Runs
) -> Iterator[Picture]:
    """What is told apart, and quality against cost."""
    parts = [part.filter(pl.col("metric") == main_metric(part)) for part in comparisons(board)]
    parts = [part for part in parts if len(part) > 1 and part["better"][0] is not None][:COMPARED]
    read = [read_dataset(store, part, runs) for part in parts]
    datasets = [one for one in read if one is not None]
    for several in same_recipes(datasets):
        standings = over_datasets(several)
        if standings is not None:
            title = f"{several[0].part['metric'][0]} over {counted(len(several), 'dataset')}"
            yield ranks_picture(standings, title, over_words(several))
    for one in datasets:
        yield ranks_picture(
            one_dataset(one), _title(one.part.row(0, named=True)), over_words([one])
        )
    costs = read_costs(found) if parts else {}
    for part in parts:
        yield from cost_pictures(part, costs, _title(part.row(0, named=True)))


def _of_recipes(
    store: Store, board: pl.DataFrame, runs: Runs, groups: Collection[str]
) -> Iterator[Picture]:
    """Confusions and reliability: of the leaders, and of the chosen ones."""
    first = leaders(board)[:DETAILED]
    is_chosen = pl.col("group_hash").is_in(list(groups))
    others = leaders(board.filter(is_chosen)) if groups else []
    known = {(row["group_hash"], row["evaluation"], row["condition"]) for row in first}
    more = [
        row
        for row in others
        if (row["group_hash"], row["evaluation"], row["condition"]) not in known
    ]
    for row in (*first, *more[:COLOURS]):
        (name,) = group_names([row]).values()
        title = f"{_title(row)} · {name}"
        by_group = newest_evaluations(store, row, runs, is_group=True)
        numbers = [n for seeds in by_group.values() for ids in seeds.values() for n in ids]
        made = (read_confusions(store, numbers, title), read_calibration(store, numbers, title))
        yield from (picture for picture in made if picture is not None)


def _of_missing(robustness: pl.DataFrame) -> Iterator[Picture]:
    for summary, rows in list(robustness_parts(robustness))[:COMPARED]:
        first = summary.row(0, named=True)
        metric = first["metric"].partition("/")[0]
        leading = summary.filter(pl.col("metric") == first["metric"]).sort("place", nulls_last=True)
        order = leading.select("experiment", "group_hash").with_row_index("drawn")
        conditions = rows.filter((pl.col("condition") != "") & (pl.col("metric") == metric))
        conditions = conditions.join(
            order, on=["experiment", "group_hash"], how="left", maintain_order="left"
        ).sort("drawn", nulls_last=True, maintain_order=True)
        title = comparison_label(first["evaluation"], "", first["split"])
        yield from missing_pictures(conditions, metric, title)


def _of_prompts(board: pl.DataFrame) -> Iterator[Picture]:
    """A study for each evaluation: that of the group which leads with the selected templates."""
    studies = board.filter(pl.col("evaluator") == "prompts")
    for study in studies.partition_by(["evaluation", "split"], maintain_order=True)[:COMPARED]:
        together = study.filter(pl.col("condition").is_in(["selected", "all"]))
        if together.is_empty():
            continue
        first = together.sort("condition", descending=True, maintain_order=True).row(0, named=True)
        same = ("experiment", "group_hash", "metric")
        rows = study.filter(*(pl.col(name) == first[name] for name in same))
        (name,) = group_names([first]).values()
        title = comparison_label(first["evaluation"], "", first["split"])
        picture = prompts_picture(rows, name, title)
        if picture is not None:
            yield picture


def _of_curves(
    store: Store, found: pl.DataFrame, board: pl.DataFrame, groups: Sequence[str]
) -> Iterator[Picture]:
    parts = found.partition_by("experiment", maintain_order=True)
    parts.sort(key=lambda part: part.filter(pl.col("group_hash").is_in(groups)).is_empty())
    for part in parts[:CURVED]:
        shown = drawn_groups(part, board, groups)
        names = group_names(part.to_dicts())
        drawn = {group: names[part["experiment"][0], group] for group in shown}
        seeds = pl.col("seed").rank("dense").over("group_hash")
        rows = part.filter(pl.col("group_hash").is_in(shown)).filter(seeds <= DRAWN_SEEDS)
        more = _left_out(part, shown)
        if part is parts[0] and len(parts) > CURVED:
            more += f" Curves of {counted(len(parts) - CURVED, 'more experiment')} are not drawn."
        yield from _curves(store, part, board, rows["run_id"].to_list(), drawn, more)


def drawn_groups(part: pl.DataFrame, board: pl.DataFrame, chosen: Sequence[str]) -> list[str]:
    """The groups of an experiment whose curves are drawn: the chosen, then those that lead."""
    every = dict.fromkeys(part["group_hash"])
    row = main_row(part["experiment"][0], board)
    placed = [] if row is None else row["group_hash"].to_list()
    order = list(dict.fromkeys([*(one for one in placed if one in every), *every]))
    first = [one for one in chosen if one in every]
    return list(dict.fromkeys([*first, *order[:LEADERS]]))[:COLOURS]


def main_row(experiment: str, board: pl.DataFrame) -> pl.DataFrame | None:
    """An experiment's rows of the first comparison it is in, by its main metric and place."""
    own = board.filter(pl.col("experiment") == experiment)
    if own.is_empty():
        return None
    part = comparisons(own)[0]
    return part.filter(pl.col("metric") == main_metric(part))


def _curves(
    store: Store,
    part: pl.DataFrame,
    board: pl.DataFrame,
    runs: Sequence[str],
    names: dict[str, str],
    more: str,
) -> Iterable[Picture]:
    experiment, main = part["experiment"][0], _main_curve(part, board)
    metrics = curve_metrics(store, runs)["metric"].to_list()
    quantities = ordered_quantities(metrics, main)
    if not quantities:
        return ()
    shown = [one for one in metrics if quantity_of(one) in quantities[:CHARTS]]
    if len(quantities) > CHARTS:
        more += f" {len(quantities) - CHARTS} more curves are not drawn."
    points = drawn_curves(store, runs, metrics=shown)
    return curve_pictures(experiment, points, names, main, more.strip())


def _main_curve(part: pl.DataFrame, board: pl.DataFrame) -> str | None:
    """What an experiment's runs were selected by, else their main metric, as curves call it."""
    best = json.loads(part["summary"][0] or "{}").get("best")
    if best:
        return str(best)
    rows = main_row(part["experiment"][0], board)
    if rows is None:
        return None
    first = rows.row(0, named=True)
    return "/".join(filter(None, (first["evaluation"], first["condition"], first["metric"])))


def _left_out(part: pl.DataFrame, shown: Sequence[str]) -> str:
    """What of an experiment is not drawn."""
    hidden = part["group_hash"].n_unique() - len(shown)
    drawn = part.filter(pl.col("group_hash").is_in(list(shown)))
    seeds = drawn.group_by("group_hash").agg(pl.col("seed").n_unique())
    most = max(seeds["seed"], default=0)
    told = f" {hidden} more groups are not drawn: --curves RUN chooses one." * (hidden > 0)
    return told + f" Of each group the {DRAWN_SEEDS} lowest seeds are drawn." * (most > DRAWN_SEEDS)


def _title(row: Row) -> str:
    return comparison_label(row["evaluation"], row["condition"], row["split"])
