"""What recipes cost: parameters, FLOPs, time and memory, and the Pareto front of quality."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import polars as pl

# What names a group: experiment and group hash.
Key = tuple[str, str]


@dataclass(frozen=True)
class Cost:
    """One kind of cost: its name, as files and titles call it, and its axis."""

    name: str
    axis: str


COSTS = (
    Cost("parameters", "parameters of the whole model"),
    Cost("FLOPs", "FLOPs of a sample, forward"),
    Cost("time", "seconds of training"),
    Cost("memory", "peak memory, bytes"),
)


def read_costs(runs: pl.DataFrame) -> dict[Key, dict[str, float]]:
    """Of each group of `done_runs` the costs that were measured: the median over its runs.

    The first run on a machine takes longer than those behind it, so it is no mean.
    """
    found: dict[Key, list[str | None]] = {}
    for experiment, group, summary in runs.select("experiment", "group_hash", "summary").rows():
        found.setdefault((experiment, group), []).append(summary)
    return {key: median_costs(summaries) for key, summaries in found.items()}


def median_costs(summaries: Iterable[str | None]) -> dict[str, float]:
    """The costs that were measured in some runs, by name: their medians. Summaries are JSON."""
    found: dict[str, list[float]] = {}
    for summary in summaries:
        for name, value in _costs(json.loads(summary or "{}")):
            found.setdefault(name, []).append(value)
    return {name: median(values) for name, values in found.items()}


# A summary is JSON.
def _costs(summary: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    flops = summary.get("flops_per_sample")
    values = {
        "parameters": summary.get("parameters"),
        "FLOPs": sum(flops.values()) if isinstance(flops, dict) else None,
        "time": summary.get("seconds"),
        "memory": summary.get("peak_memory_bytes"),
    }
    return ((k, float(v)) for k, v in values.items() if isinstance(v, int | float) and v > 0)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Pareto front: places of the points (cost, goodness) that none beats, in the order of cost.

    A point beats another that is worse in one of both, and better in none. Equal ones both stay.
    """
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1]))
    front: list[int] = []
    for place in order:
        if (
            not front
            or points[place][1] > points[front[-1]][1]
            or points[place] == points[front[-1]]
        ):
            front.append(place)
    return front
