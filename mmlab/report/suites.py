"""Suites in a leaderboard: the mean over the datasets of one evaluation, with its interval.

The estimand: these datasets, new samples of each, and new seeds. A group that lacks one of the
datasets has no mean: one over fewer would be of something else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import select

from mmlab.hashing import digest
from mmlab.metric import LEADERBOARD, OF_SUITE, SHARE
from mmlab.report.intervals import NO_MEAN, UNDEFINED, answered
from mmlab.report.outcomes import Answered, Outcomes
from mmlab.statistics.estimates import Scale, scale_of
from mmlab.statistics.suite_differences import suite_standing
from mmlab.statistics.suites import (
    OnDataset,
    board_suite_scatter,
    estimate_suite,
    joined_parts,
    measure_dataset,
    suite_parts,
)
from mmlab.statistics.variance import SeedScatter
from mmlab.store import Store
from mmlab.store.bulk import among
from mmlab.store.views import run_evaluations

# Rows of frames: values of whatever type.
Row = dict[str, Any]

#: The mean over each dataset's own main metric, where these are not one metric.
MAIN = "main metrics"
#: Rows of one suite for which ranks are told.
_MOST_RANKED = 300
#: What names a group of seeds.
_GROUP = ("experiment", "group_hash")


def mean_condition(condition: str, datasets: int) -> str:
    """What a mean over datasets is called among the conditions of its evaluation.

    >>> mean_condition("", 3), mean_condition("4 shots", 2)
    ('mean over 3 datasets', '4 shots: mean over 2 datasets')
    """
    words = f"mean over {datasets} dataset{'s' if datasets != 1 else ''}"
    return f"{condition}: {words}" if condition else words


def with_suites(store: Store, board: pl.DataFrame) -> pl.DataFrame:
    """A leaderboard with `suite` and `dataset` of each row, and with rows for the means of suites.

    `board` has a row per group, comparison and metric, with declarations, progress, intervals and
    the numbers of evaluations by seed. Only shares have a mean: other units are not the same on two
    datasets. A name with a slash in it may be another tool's, and no suite's.
    """
    declared = _declared(store, board["evaluation_id"].unique().to_list())
    parts = pl.col("evaluation").str.split_exact(OF_SUITE, 1)
    is_member = pl.col("evaluation_id").is_in(list(declared))
    suite, dataset = (
        pl.when(is_member).then(parts.struct.field(f"field_{place}")) for place in (0, 1)
    )
    told = board.with_columns(suite.alias("suite"), dataset.alias("dataset"))
    suites: dict[tuple[str, ...], list[Row]] = {}
    for row in told.filter(is_member, pl.col("board") == LEADERBOARD).to_dicts():
        key = (row["suite"], row["evaluator"], row["split"])
        suites.setdefault(key, []).append({**row, "datasets": declared[row["evaluation_id"]]})
    found = [one for each in suites.values() for one in _of_suite(store, each)]
    return pl.concat([told, pl.DataFrame(found, schema=told.schema)])


def _declared(store: Store, evaluations: Sequence[int]) -> dict[int, list[str]]:
    """The datasets that evaluations were asked together with, of those that were."""
    if not evaluations:
        return {}
    row = run_evaluations.c
    query = select(row.evaluation_id, row.suite).where(among(row.evaluation_id, evaluations))
    found = store.frame(query.where(row.suite.is_not(None))).iter_rows()
    return {number: json.loads(keys) for number, keys in found}


#: The rows of one group on each dataset that it was asked, by metric.
OfGroup = dict[str, dict[str, Row]]


def _of_suite(store: Store, rows: Sequence[Row]) -> Iterator[Row]:
    """The means of one suite, by condition and by what the datasets were asked."""
    datasets = list(dict.fromkeys(key for row in rows for key in row["datasets"]))
    by_condition: dict[str, dict[tuple[str, ...], OfGroup]] = {}
    for row in sorted(rows, key=lambda row: row["evaluation_id"]):
        groups = by_condition.setdefault(row["condition"], {})
        mine = groups.setdefault(tuple(row[name] for name in _GROUP), {})
        known = mine.setdefault(row["dataset"], {})
        if any(one["protocol_hash"] != row["protocol_hash"] for one in known.values()):
            known.clear()  # asked otherwise since
        known[row["metric"]] = row
    is_whole = {
        condition: any(len(group) == len(datasets) for group in groups.values())
        for condition, groups in by_condition.items()
    }
    for condition, groups in by_condition.items():
        # What is asked of some datasets alone, a section of one say, has no mean anywhere.
        if is_whole[condition] or not any(is_whole.values()):
            for asked, part in _by_protocols(groups, datasets).items():
                yield from _of_comparison(store, _Comparison(datasets, condition, asked), part)


def _by_protocols(
    groups: Mapping[tuple[str, ...], OfGroup], datasets: Sequence[str]
) -> dict[str, list[OfGroup]]:
    """Groups by what they were asked; one that lacks a dataset is beside those it agrees with."""
    asked = [{key: _protocol(group[key]) for key in group} for group in groups.values()]
    whole = [one for one in asked if len(one) == len(datasets)]
    found: dict[str, list[OfGroup]] = {}
    for one, group in zip(asked, groups.values(), strict=True):
        like = next((other for other in whole if one.items() <= other.items()), one)
        found.setdefault(suite_protocol(like), []).append(group)
    return found


def suite_protocol(protocols: Mapping[str, str]) -> str:
    """The hash of what the datasets of a suite were asked, by the protocol hash of each."""
    return digest(dict(protocols))


def _protocol(rows: Mapping[str, Row]) -> str:
    return str(next(iter(rows.values()))["protocol_hash"])


@dataclass(frozen=True)
class _Comparison:
    """Which means may be compared: of which datasets, under which condition, asked alike."""

    datasets: Sequence[str]
    condition: str
    protocol_hash: str
    main: str = ""


def _of_comparison(
    store: Store, comparison: _Comparison, groups: Sequence[OfGroup]
) -> Iterator[Row]:
    every = [row for group in groups for by in group.values() for row in by.values()]
    numbers = {one for row in every for seed in row["evaluations"] for one in seed["numbers"]}
    outcomes = Outcomes.read(store, numbers)
    metrics = _metrics(groups)
    for metric in metrics:
        told = replace(comparison, main=metrics[0])
        chosen = [_chosen(group, metric) for group in groups]
        means = [_Mean.of(told, metric, one, outcomes) for one in chosen if one]
        yield from _with_intervals(means)


def _metrics(groups: Sequence[OfGroup]) -> list[str]:
    """The metrics that every dataset of some group has, all shares, the main one first."""
    mains = {_main(by) for group in groups for by in group.values()}
    common = dict.fromkeys(
        name
        for group in groups
        for name in next(iter(group.values()))
        if all(name in by and by[name]["unit"] == SHARE for by in group.values())
    )
    first = next(iter(mains)) if len(mains) == 1 else MAIN
    return list(dict.fromkeys([*([first] if first in (MAIN, *common) else []), *common]))


def _main(by_metric: Mapping[str, Row]) -> str:
    """The metric by which a dataset's results are ordered: its own, else the first declared."""
    rows = sorted(by_metric.values(), key=lambda row: (row["position"] is None, row["position"]))
    quoted = rows[0]["main_metric"]
    return str(quoted if quoted in by_metric else rows[0]["metric"])


def _chosen(group: OfGroup, metric: str) -> dict[str, Row]:
    """The rows of one metric by dataset; of `MAIN` each dataset's own."""
    named = {key: _main(by) if metric == MAIN else metric for key, by in group.items()}
    return {key: group[key][name] for key, name in named.items() if name in group[key]}


@dataclass(frozen=True)
class _Mean:
    """The mean of one group: its row without an interval, and what the interval is made of."""

    row: Row
    answers: tuple[Answered, ...] | None
    reason: str | None

    @classmethod
    def of(
        cls, comparison: _Comparison, metric: str, rows: Mapping[str, Row], outcomes: Outcomes
    ) -> _Mean:
        lacking = [key for key in comparison.datasets if key not in rows]
        present = [rows[key] for key in comparison.datasets if key in rows]
        seeds = {tuple(one["seed"] for one in row["evaluations"]) for row in present}
        reason, answers = None, None
        if lacking:
            reason = f"lacks {', '.join(lacking)}: a mean over fewer datasets is another"
        elif len(seeds) > 1:
            reason = "not every seed was asked every dataset"
        elif any(row["mean"] is None for row in present):
            reason = UNDEFINED
        elif any(row["unit"] != SHARE for row in present):
            reason = "a metric of its datasets is no share, and has no mean with others"
        is_told = reason is None
        if is_told:
            found = [answered(outcomes, row) for row in present]
            known = tuple(one for one in found if one is not None)
            answers = known if len(known) == len(found) else None
            reason = None if answers else NO_MEAN
        mean = float(np.mean([row["mean"] for row in present])) if is_told else None
        return cls(_row(comparison, metric, present, mean), answers, reason)


def _row(comparison: _Comparison, metric: str, present: Sequence[Row], mean: float | None) -> Row:
    first = present[0]
    revisions = digest([row["dataset_revision"] for row in present])
    return {
        **{key: first[key] for key in first if key != "datasets"},
        "evaluation": first["suite"],
        "dataset": None,
        "condition": mean_condition(comparison.condition, len(comparison.datasets)),
        "dataset_revision": revisions,
        "test_set": None,
        "main_metric": comparison.main,
        "protocol_hash": comparison.protocol_hash,
        "metric": metric,
        "mean": mean,
        "mean_of": None,
        "draws_low": None,
        "draws_high": None,
        "undefined": max(row["undefined"] for row in present),
        "samples": sum(row["samples"] for row in present),
        "skipped": sum(row["skipped"] for row in present),
    }


def _with_intervals(means: Sequence[_Mean]) -> Iterator[Row]:
    known = [one.answers for one in means if one.answers is not None]
    scales = _scales(known)
    measured = [
        [
            measure_dataset(one.values, one.clusters, scale)
            for one, scale in zip(answers, scales, strict=True)
        ]
        for answers in known
    ]
    scatter = board_suite_scatter(joined_parts([*map(suite_parts, measured)])) if known else None
    ranks = iter(_ranks(means[0].row["better"] if means else None, known, measured))
    each = iter(measured)
    for mean in means:
        if mean.answers is None:
            yield {**mean.row, **_NONE, "reason": mean.reason}
        else:
            yield {**mean.row, **_interval(next(each), scatter), **next(ranks)}


_NAMES = ("is_tied", "rank_low", "rank_high")
_UNRANKED: Row = dict.fromkeys(_NAMES)
_NONE: Row = {**dict.fromkeys(("low", "high", "advice")), "interval": "none", **_UNRANKED}


def _scales(answers: Sequence[tuple[Answered, ...]]) -> list[Scale]:
    """What outcomes on each dataset are, over all groups."""
    return [
        scale_of(np.concatenate([one.values.ravel() for one in column]), is_share=True)
        for column in zip(*answers, strict=True)
    ]


def _interval(datasets: Sequence[OnDataset], scatter: SeedScatter | None) -> Row:
    found = estimate_suite(datasets, scatter)
    ends = {"low": found.low, "high": found.high, "interval": found.covers}
    return {**ends, "reason": found.reason, "advice": found.advice}


def _ranks(
    better: str | None,
    answers: Sequence[tuple[Answered, ...]],
    measured: Sequence[Sequence[OnDataset]],
) -> list[Row]:
    """Of each row whether it may be the best, and the ends of its rank."""
    none = [_UNRANKED] * len(answers)
    if better != "higher" or not 2 <= len(answers) <= _MOST_RANKED:
        return none
    is_alike = all(
        np.array_equal(one.samples, other.samples)
        for row in answers[1:]
        for one, other in zip(answers[0], row, strict=True)
    )
    found = suite_standing(measured) if is_alike else None
    if found is None or found.reason is not None:
        return none
    rows = zip(found.tied, found.low, found.high, strict=True)
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]
