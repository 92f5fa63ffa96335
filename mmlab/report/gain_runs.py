"""What a comparison of fusions with single modalities needs: runs, and what they cost."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select

from mmlab.report.frames import Runs, of_runs
from mmlab.report.outcomes import Answered, Outcomes
from mmlab.store import Store, views

# Rows of frames, and JSON of the store: values of whatever type.
Row = dict[str, Any]


@dataclass
class SeedGroup:
    """Runs of one experiment that differ in the seed only, under one question.

    `evaluations` holds, for each seed, the newest evaluation of each repetition of it.
    """

    experiment: str
    cell: str
    group_hash: str
    fusion: str
    inputs: tuple[str, ...]
    settings: Mapping[str, object]
    evaluations: dict[int, list[int]] = field(default_factory=dict)
    summaries: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Family:
    """The groups of one experiment that were asked one question, of whatever samples.

    `measure` is the metric that outcomes are of, with a minus in front where they are minus it.
    """

    experiment: str
    evaluation: str
    condition: str
    split: str
    measure: str
    unit: str
    dataset_revision: str
    groups: tuple[SeedGroup, ...]


def read_families(store: Store, ids: Runs = None) -> list[Family]:
    """Every question that both a single modality and a fusion of several have answered.

    Questions are equal where the protocol is, the list of samples aside: a modality that some
    samples lack is asked of fewer, and the pairs are then those that both were asked.
    """
    rows = store.frame(of_runs(_answers(), views.run_evaluations.c.run_id, ids)).to_dicts()
    questions: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        questions.setdefault(_question(row), []).append(row)
    families = (_family(found) for found in questions.values())
    return [family for family in families if family is not None]


# A select of columns of several types.
def _answers() -> Select[Any]:
    """Evaluations with a metric that is declared to tell gains: of several the first declared."""
    run, row, declared = views.all_runs.c, views.run_evaluations.c, views.declared_metrics.c
    final = views.leaderboard.c
    return (
        select(
            row.run_id,
            row.experiment,
            row.cell,
            row.axes,
            row.group_hash,
            row.seed,
            run.resolved,
            run.summary,
            row.evaluation_id,
            row.evaluation,
            row.condition,
            row.split,
            row.dataset_revision,
            row.protocol,
            declared.metric,
            declared.mean_of,
            declared.unit,
        )
        .join(views.all_runs, run.run_id == row.run_id)
        .join(views.leaderboard, final.evaluation_id == row.evaluation_id)
        .join(views.declared_metrics, declared.metric_declaration_id == final.metric_declaration_id)
        .where(row.sample_count > 0, declared.has_gain)
        .order_by(
            run.created_at, row.run_id, row.evaluation_id, declared.position.desc(), declared.metric
        )
    )


def _question(row: Row) -> tuple[str, ...]:
    protocol = {
        key: value for key, value in json.loads(row["protocol"]).items() if key != "samples"
    }
    keys = ("experiment", "evaluation", "condition", "split", "dataset_revision")
    return (*(row[key] for key in keys), json.dumps(protocol, sort_keys=True))


def _family(rows: Sequence[Row]) -> Family | None:
    newest = {row["run_id"]: row for row in rows}  # in the order of evaluations, first metric last
    groups: dict[str, SeedGroup] = {}
    for row in newest.values():
        group = groups.setdefault(row["group_hash"], _group(row))
        group.evaluations.setdefault(row["seed"], []).append(row["evaluation_id"])
        group.summaries.append(json.loads(row["summary"]))
    sizes = {len(group.inputs) for group in groups.values()}
    if 1 not in sizes or max(sizes) < 2:
        return None
    first = next(reversed(newest.values()))
    sign = "-" if first["mean_of"].startswith("-") else ""
    return Family(
        experiment=first["experiment"],
        evaluation=first["evaluation"],
        condition=first["condition"],
        split=first["split"],
        measure=f"{sign}{first['metric']}",
        unit=first["unit"],
        dataset_revision=first["dataset_revision"],
        groups=tuple(groups.values()),
    )


def _group(row: Row) -> SeedGroup:
    fusion = json.loads(row["resolved"]).get("fusion", {})
    axes = json.loads(row["axes"])
    return SeedGroup(
        experiment=row["experiment"],
        cell=row["cell"],
        group_hash=row["group_hash"],
        fusion=fusion.get("use", ""),
        inputs=tuple(fusion.get("inputs") or ()),
        settings={k: v for k, v in axes.items() if k.split(".")[0] not in ("fusion", "head")},
    )


def read_answers(store: Store, groups: Sequence[SeedGroup]) -> dict[str, Answered]:
    """Outcomes by group hash, of the groups whose seeds all have those of the same samples."""
    numbers = [one for group in groups for ids in group.evaluations.values() for one in ids]
    outcomes = Outcomes.read(store, numbers)
    found = {one.group_hash: outcomes.answered(one.evaluations, "outcome") for one in groups}
    return {key: answered for key, answered in found.items() if answered is not None}


# JSON of the store: whatever a summary holds.
Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Costs:
    """Parameters and operations of fusion and head, encoders aside; None where not recorded.

    `flops` are those of one sample's forward pass. `gap` is the share by which `parameters` miss
    the matched `budget`, below 0 where they stay under it; `width` is the option that was set.
    """

    parameters: int | None
    flops: int | None
    samples_per_second: float | None
    budget: int | None
    gap: float | None
    width: str | None


def costs_of(summaries: Sequence[Summary]) -> Costs:
    """Of the runs of one group: they are built alike, and differ in their speed alone."""
    first = summaries[0]
    match = first.get("match") or {}
    budget, matched = match.get("budget"), match.get("parameters")
    rates = [s["samples_per_second"] for s in summaries if s.get("samples_per_second") is not None]
    return Costs(
        parameters=_joint(first.get("parameters_by_part")),
        flops=_joint(first.get("flops_per_sample")),
        samples_per_second=statistics.median(rates) if rates else None,
        budget=budget,
        gap=matched / budget - 1 if budget and matched is not None else None,
        width=f"{match['option']} = {match['value']}" if match.get("option") else None,
    )


def _joint(parts: Mapping[str, int] | None) -> int | None:
    """The sum over fusion and head."""
    return None if parts is None else parts["fusion"] + parts["head"]
