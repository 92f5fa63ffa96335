"""Cells that need no torch: what each is, and all that its run must leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmlab.hashing import digest
from mmlab.metric import Metric
from mmlab.records import EvaluationResult, MetricPoint
from mmlab.store import CellRow, RunIdentity, SpecRow, Submission
from support.store_values import LABELS, evaluation

#: Optimiser steps of a cell, and after how many of them it writes a checkpoint.
STEPS, CHECKPOINT_EVERY = 10, 5
#: The two specs that ask for the same runs, and one that starts when the first has ended.
NAMES, LATER = ("storm", "twin"), "later"
#: Curves: the same whoever made them; which attempt made a step; and a point that only some make.
LOSS, TRACE, LONE = "train/loss", "kit/trace", "kit/lone"
CURVES = tuple(Metric(name, "lower") for name in (LOSS, TRACE, LONE))
EVALUATION = "zero_shot"


def submissions(first: int, count: int) -> list[Submission]:
    """Cells with these seeds, each of them asked for by two specs."""
    return [Submission(_cell(name, seed)) for seed in range(first, first + count) for name in NAMES]


def later_submissions(count: int) -> list[Submission]:
    """Cells that wait for the first experiment."""
    return [Submission(_cell(LATER, seed), waits_for=[NAMES[0]]) for seed in range(count)]


def _cell(name: str, seed: int) -> CellRow:
    spec = SpecRow(f"{name}.toml", f'name = "{name}"\n', {"name": name})
    asked = {"steps": STEPS, "seed": seed, "later": name == LATER}
    return CellRow(spec, name, 0, seed, "", {}, {"set": [], "files": []}, None, asked)


def identity_of(cell: CellRow) -> RunIdentity:
    """The run that a cell is; its experiment's name is no part of that."""
    return RunIdentity(cell, cell.resolved, digest(cell.resolved), digest(["group", cell.resolved]))


def points_of(seed: int, step: int, fence: int) -> list[MetricPoint]:
    """What an attempt of this fence emits after a step."""
    points = [MetricPoint(LOSS, step, seed + 1 / step), MetricPoint(TRACE, step, float(fence))]
    return points + ([MetricPoint(LONE, step, 1.0)] if is_lone(step, fence) else [])


def is_lone(step: int, fence: int) -> bool:
    """Whether an attempt of this fence emits the lone point at a step; the next one does not."""
    return (step + fence) % 2 == 0


def results_of(seed: int) -> Sequence[EvaluationResult]:
    """The evaluations of a run."""
    result = evaluation(EVALUATION, labels=LABELS[:4])
    return [replace(result, metrics={**result.metrics, "top1": seed / 1000}, thumbnails={})]
