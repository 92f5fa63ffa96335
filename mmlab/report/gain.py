"""Fusion gain: how much better a fusion is than the best of its modalities alone, and at what cost.

Both have been asked the same samples, so the comparison is paired: a sample that both get right
says nothing of their difference, and its noise cancels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from mmlab.metric import SHARE
from mmlab.report.frames import Runs
from mmlab.report.gain_runs import Family, SeedGroup, costs_of, read_answers, read_families
from mmlab.report.leaderboard import SEED_GROUP, progress
from mmlab.report.outcomes import Answered, Array, Numbers
from mmlab.statistics.estimates import COVERS, scale_of
from mmlab.statistics.standing import JointDifference, joint_differences
from mmlab.store import Store

#: Outcomes by group hash.
Answers = Mapping[str, Answered]

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "experiment": pl.String,
    "cell": pl.String,
    "group_hash": pl.String,
    "fusion": pl.String,
    "inputs": pl.String,
    "evaluation": pl.String,
    "condition": pl.String,
    "split": pl.String,
    "dataset_revision": pl.String,
    "measure": pl.String,
    "unit": pl.String,
    "mean": pl.Float64,
    "best_unimodal": pl.String,
    "best_cell": pl.String,
    "best_mean": pl.Float64,
    "unimodal_missing": pl.String,
    "chosen_on": pl.String,
    "gain": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "single_low": pl.Float64,
    "single_high": pl.Float64,
    "interval": pl.Enum(COVERS),
    "reason": pl.String,
    "seeds": pl.Int64,
    "samples": pl.Int64,
    "parameters": pl.Int64,
    "flops": pl.Int64,
    "samples_per_second": pl.Float64,
    "budget": pl.Int64,
    "gap": pl.Float64,
    "width": pl.String,
    "function_class": pl.String,
    "planned": pl.Int64,
    "done": pl.Int64,
    "failed": pl.Int64,
    "running": pl.Int64,
    "failures": pl.String,
}
_PROGRESS = ("planned", "done", "failed", "running", "failures")
_ORDER = ("experiment", "evaluation", "condition", "split", "dataset_revision")


def fusion_gain(store: Store, runs: Runs = None) -> pl.DataFrame:
    """One row per fusion of several inputs, and question that single inputs were asked too.

    A question is an evaluation, condition and split of one experiment; protocols are equal but for
    the samples, and only samples that both were asked are paired. Columns:

    - `gain`: mean over samples and seeds of the fusion's outcome minus the best unimodal's, above 0
      where the fusion is better. `measure` is the metric whose outcomes they are, as its evaluator
      declares: "top1", a share of samples by its `unit`, or "-mse", minus an error. `mean` and
      `best_mean` are the two sides, over the paired samples.
    - `best_unimodal`: the single input that is best among those of the fusion, in cells whose sweep
      does not differ in anything but fusion and head. `chosen_on` says by what: "validation", the
      metric that chose the weights, averaged over seeds; where a run has none, the evaluated split
      itself, which makes the best unimodal look better than it is, and gains smaller.
    - `unimodal_missing`: those of its inputs that no such cell has alone, joined by "+"; null where
      every one was asked. One of them might be better than the best of the others.
    - `low`, `high`: 95 % over new samples and new seeds, for all fusions of the question that were
      asked these samples together: with 95 % none of them is wrong. `single_low` and `single_high`
      are of this row alone, as if no other had been looked at. Samples are paired and seeds are
      not: seed 1 of both shares nothing but a number. `interval`, `reason`: what they cover and
      what marks them, as in the leaderboard. `seeds` are the fewer of both sides.
    - `parameters` and `flops` (of one sample's forward pass) of fusion and head, `budget`, `gap`
      and `width` where a sweep was matched, `samples_per_second` of training: `Costs`.
    - `function_class`: fusions of one class can express the same functions.

    - `planned`, `done`, `failed`, `running`, `failures`: as in the leaderboard.

    Ordered by question, then by gain, groups of which seeds have failed last. Repetitions of a seed
    count as that seed, with their mean.
    """
    rows = [row for family in read_families(store, runs) for row in _gains(store, family)]
    known = {name: kind for name, kind in SCHEMA.items() if name not in _PROGRESS}
    gains = pl.DataFrame(rows, schema=known, orient="row")
    if gains.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    gains = gains.join(progress(store, runs), on=list(SEED_GROUP), how="left")
    has_failed = pl.col("failed") > 0
    return gains.sort(
        *_ORDER, has_failed, "gain", "cell", descending=[False] * (len(_ORDER) + 1) + [True, False]
    ).select(*SCHEMA)


@dataclass(frozen=True)
class _Best:
    """The best of a fusion's modalities alone, on which split it was found to be, and of which.

    `missing` are inputs of the fusion that were not asked alone.
    """

    group: SeedGroup
    chosen_on: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Pair:
    """A fusion beside the best of its inputs alone, on the samples that both were asked."""

    group: SeedGroup
    best: _Best
    samples: tuple[int, ...]
    left: Array
    right: Array
    clusters: Numbers | None


def _gains(store: Store, family: Family) -> list[dict[str, object]]:
    answers = read_answers(store, family.groups)
    known = [group for group in family.groups if group.group_hash in answers]
    pairs = list[_Pair]()
    for group in known:
        rivals = [other for other in known if _is_rival(other, group)]
        if len(group.inputs) > 1 and rivals:
            best = _best(rivals, group, answers, family.split)
            pairs += _pair(group, best, answers)
    by_samples: dict[tuple[int, ...], list[_Pair]] = {}
    for pair in pairs:
        by_samples.setdefault(pair.samples, []).append(pair)
    return [row for alike in by_samples.values() for row in _together(family, alike)]


def _together(family: Family, pairs: Sequence[_Pair]) -> Iterator[dict[str, object]]:
    """The rows of pairs on the same samples, whose intervals hold together."""
    tables: dict[str, Array] = {}
    for pair in pairs:
        tables[pair.group.group_hash], tables[pair.best.group.group_hash] = pair.left, pair.right
    places = {key: place for place, key in enumerate(tables)}
    wanted = [(places[p.group.group_hash], places[p.best.group.group_hash]) for p in pairs]
    values = list(tables.values())
    every = np.concatenate([one.ravel() for one in values])
    scale = scale_of(every, is_share=family.unit == SHARE)
    found = joint_differences(values, wanted, pairs[0].clusters, scale=scale)
    for pair, difference in zip(pairs, found, strict=True):
        yield _gain(family, pair, difference)


def _is_rival(other: SeedGroup, group: SeedGroup) -> bool:
    """Whether a group is one of a fusion's inputs alone, all else in the sweep being equal."""
    if len(other.inputs) != 1 or other.inputs[0] not in group.inputs:
        return False
    shared = other.settings.keys() & group.settings.keys()
    return all(other.settings[key] == group.settings[key] for key in shared)


def _best(rivals: Sequence[SeedGroup], fusion: SeedGroup, answers: Answers, split: str) -> _Best:
    asked = {rival.inputs[0] for rival in rivals}
    missing = tuple(key for key in fusion.inputs if key not in asked)
    validated = [_validated(group) for group in rivals]
    known = [value for value in validated if value is not None]
    if len(known) == len(rivals) and len({name for name, _ in known}) == 1:
        place = max(range(len(rivals)), key=lambda i: known[i][1])
        return _Best(rivals[place], "validation", missing)
    best = max(rivals, key=lambda group: float(answers[group.group_hash].values.mean()))
    return _Best(best, split, missing)


def _validated(group: SeedGroup) -> tuple[str, float] | None:
    """The metric that chose a group's weights, and its mean over seeds, higher being better."""
    values = [summary.get("best_value") for summary in group.summaries]
    known = [value for value in values if isinstance(value, (int, float))]  # "inf" is a text
    if not known or len(known) < len(values):
        return None
    first = group.summaries[0]
    sign = -1 if first["best_direction"] == "min" else 1
    return first["best"], sign * math.fsum(known) / len(known)


def _gain(family: Family, pair: _Pair, found: JointDifference) -> dict[str, object]:
    group, best, single = pair.group, pair.best, found.single
    return {
        "experiment": family.experiment,
        "cell": group.cell,
        "group_hash": group.group_hash,
        "fusion": group.fusion,
        "inputs": "+".join(group.inputs),
        "evaluation": family.evaluation,
        "condition": family.condition,
        "split": family.split,
        "dataset_revision": family.dataset_revision,
        "measure": family.measure,
        "unit": family.unit,
        "mean": float(pair.left.mean()),
        "best_unimodal": best.group.inputs[0],
        "best_cell": best.group.cell,
        "best_mean": float(pair.right.mean()),
        "unimodal_missing": "+".join(best.missing) or None,
        "chosen_on": best.chosen_on,
        "gain": single.value,
        "low": found.low,
        "high": found.high,
        "single_low": single.low,
        "single_high": single.high,
        "interval": single.covers,
        "reason": single.reason,
        "seeds": min(single.seeds),
        "samples": single.samples,
        **asdict(costs_of(group.summaries)),
        "function_class": group.summaries[0].get("function_class"),
    }


def _pair(group: SeedGroup, best: _Best, answers: Answers) -> list[_Pair]:
    """Two groups on the samples that both were asked, (seeds, samples) each; none without any."""
    left, right = answers[group.group_hash], answers[best.group.group_hash]
    shared = np.intersect1d(left.samples, right.samples)
    if not len(shared):
        return []
    values = left.on(shared), right.on(shared)
    return [_Pair(group, best, tuple(shared.tolist()), *values, left.clusters_on(shared))]
