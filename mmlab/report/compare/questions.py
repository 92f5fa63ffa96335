"""What the sides of a comparison were all asked, and what each answered for every sample.

Results compare only where their protocols are equal: data, samples, labels, templates and options.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from sqlalchemy import select

from mmlab.errors import UsageError, explain
from mmlab.metric import MEDIAN_RANK, SHARE
from mmlab.report.boards.protocols import tell_differences
from mmlab.report.boards.words import comparison_label, listed
from mmlab.report.compare.sides import Side
from mmlab.report.outcomes import Array, BySeed, Numbers, Outcomes
from mmlab.statistics.estimates import Scale, scale_of
from mmlab.store import Store, views
from mmlab.store.bulk import among

#: Sides that a message names.
_SHOWN = 3
# Rows of frames: values of whatever type.
Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One metric of one evaluation that the first side and others were asked.

    `places` are those sides', the first one's in front; `evaluations` has, for each of them, the
    numbers of its evaluations by seed, repetitions included. `forced` says in what the protocols
    differ where they do.
    """

    evaluation: str
    condition: str
    split: str
    dataset_revision: str
    metric: str
    unit: str
    better: str
    mean_of: str
    places: tuple[int, ...]
    evaluations: tuple[BySeed, ...]
    forced: str | None = None

    @property
    def name(self) -> str:
        """The evaluation and the metric, in words."""
        return f"{comparison_label(self.evaluation, self.condition, self.split)} · {self.metric}"

    @property
    def numbers(self) -> list[int]:
        """The evaluations of all sides."""
        return [one for side in self.evaluations for ids in side.values() for one in ids]


@dataclass(frozen=True)
class Answers:
    """Values of a question's metric for the samples that all sides answered, in one order.

    `values` has an array (seeds, samples) a side, `ranks` the best rank of a truth in the same
    shape, None where some have none; `samples` are the ids, `clusters` numbers what of them was
    drawn together, None where each was drawn alone. `dropped` counts the samples of which not all
    sides have a value.
    """

    question: Question
    samples: tuple[str, ...]
    values: tuple[Array, ...]
    ranks: tuple[Array, ...] | None
    scale: Scale
    dropped: int
    clusters: Numbers | None = None


def find_questions(
    store: Store,
    sides: Sequence[Side],
    metric: str | None = None,
    *,
    force: bool = False,
    is_needed: bool = True,
) -> list[Question]:
    """Every question that the first side and another one were asked, by its main metric.

    `metric` is another one's name. Raises UsageError where there is no question, unless none is
    needed, saying in what the protocols differ; with `force` evaluations of one name are compared
    in spite of that.
    """
    asked = _asked(store, sides)
    names = ("condition", "split", "evaluation") if force else ("condition", "split")
    keys = (*names, *(() if force else ("protocol_hash",)))
    by_key: dict[tuple[str, ...], list[list[Row]]] = {}
    for place, rows in enumerate(asked):
        for row in rows:
            key = tuple(row[name] for name in keys)
            by_key.setdefault(key, [[] for _ in sides])[place].append(row)
    shared = [rows for rows in by_key.values() if rows[0] and any(rows[1:])]
    if not shared and not is_needed:
        return []
    if not shared:
        raise UsageError(_explain_unlike(sides, asked))
    first = [rows[0][-1]["evaluation_id"] for rows in shared]
    declared = _declared(store, first)
    found = [_question(rows, declared, metric) for rows in shared]
    questions = [question for question in found if question is not None]
    if not questions and is_needed:
        raise UsageError(_explain_no_metric(metric, declared))
    return questions


def _asked(store: Store, sides: Sequence[Side]) -> list[list[Row]]:
    """The evaluations of each side's samples; of one that a run was asked twice the newest."""
    row = views.run_evaluations.c
    columns = (row.run_id, row.seed, row.evaluation_id, row.evaluation, row.condition, row.split)
    more = (row.protocol_hash, row.protocol, row.dataset_revision, row.main_metric)
    ids = [run_id for side in sides for run_id in side.run_ids]
    query = select(*columns, *more).where(among(row.run_id, ids), row.sample_count > 0)
    newest: dict[tuple[str, ...], Row] = {}
    for one in store.frame(query.order_by(row.evaluation_id)).to_dicts():
        key = (one["run_id"], one["evaluation"], one["condition"], one["protocol_hash"])
        newest[key] = one
    of_run: dict[str, list[Row]] = {}
    for one in newest.values():
        of_run.setdefault(one["run_id"], []).append(one)
    return [[one for run in side.run_ids for one in of_run.get(run, ())] for side in sides]


def _declared(store: Store, evaluations: Sequence[int]) -> dict[int, list[Row]]:
    """The metrics of evaluations that are means over samples, in the order of their declaration."""
    row, told = views.leaderboard.c, views.declared_metrics.c
    query = (
        select(row.evaluation_id, row.metric, told.unit, told.better, told.mean_of)
        .join(views.declared_metrics, told.metric_declaration_id == row.metric_declaration_id)
        .where(among(row.evaluation_id, evaluations), told.mean_of.is_not(None))
        .where(told.better.is_not(None), told.mean_of != MEDIAN_RANK)
        .order_by(told.position, row.metric)
    )
    found: dict[int, list[Row]] = {}
    for one in store.frame(query).to_dicts():
        found.setdefault(one["evaluation_id"], []).append(one)
    return found


def _question(
    rows: Sequence[Sequence[Row]], declared: Mapping[int, Sequence[Row]], metric: str | None
) -> Question | None:
    places = tuple(place for place, side in enumerate(rows) if side)
    first = rows[0][-1]
    known = declared.get(first["evaluation_id"], ())
    wanted = metric or first["main_metric"]
    chosen = next((one for one in known if one["metric"] == wanted), None)
    if chosen is None and metric is None:
        chosen = next(iter(known), None)
    if chosen is None:
        return None
    unlike = [
        tell_differences(json.loads(first["protocol"]), json.loads(side[-1]["protocol"]))
        for side in rows[1:]
        if side and side[-1]["protocol_hash"] != first["protocol_hash"]
    ]
    return Question(
        evaluation=first["evaluation"],
        condition=first["condition"],
        split=first["split"],
        dataset_revision=first["dataset_revision"],
        metric=chosen["metric"],
        unit=chosen["unit"],
        better=chosen["better"],
        mean_of=chosen["mean_of"],
        places=places,
        evaluations=tuple(_by_seed(rows[place]) for place in places),
        forced=listed(list(dict.fromkeys(unlike))) or None,
    )


def _by_seed(rows: Sequence[Row]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        found.setdefault(row["seed"], []).append(row["evaluation_id"])
    return found


def read_answers(store: Store, question: Question) -> Answers:
    """What every side answered. Raises UsageError where they share no sample."""
    outcomes = Outcomes.read(store, question.numbers)
    found = [outcomes.answered(side, question.mean_of) for side in question.evaluations]
    sides = [one for one in found if one is not None]
    shared = reduce(np.intersect1d, [side.samples for side in sides])
    if len(sides) < len(found) or not len(shared):
        raise UsageError(_explain_no_sample(question))
    names, shared = _in_order(store, question, shared)
    values = tuple(side.on(shared) for side in sides)
    ranks = [outcomes.ranks(side) for side in question.evaluations]
    known = [one for one in ranks if one is not None and np.isin(shared, one.samples).all()]
    asked = reduce(np.union1d, [side.samples for side in sides])
    return Answers(
        question,
        names,
        values,
        tuple(one.on(shared) for one in known) if len(known) == len(sides) else None,
        scale_of(np.concatenate([one.ravel() for one in values]), is_share=question.unit == SHARE),
        len(asked) - len(shared),
        sides[0].clusters_on(shared),
    )


def _in_order(
    store: Store, question: Question, samples: Numbers
) -> tuple[tuple[str, ...], Numbers]:
    """Samples by the dataset's own ids, which do not depend on the database, and their numbers."""
    row = views.sample_outcomes.c
    query = select(row.sample_id, row.sample).where(row.evaluation_id == question.numbers[0])
    names = dict(store.frame(query).iter_rows())
    ordered = sorted((names[int(one)], int(one)) for one in samples)
    return tuple(name for name, _ in ordered), np.array([one for _, one in ordered])


def _explain_unlike(sides: Sequence[Side], asked: Sequence[Sequence[Row]]) -> str:
    """Why nothing compares: in what the protocols of one evaluation differ, if there is one."""
    told = [
        f"{one['evaluation']} differs in {tell_differences(*map(_protocol, (one, other)))}"
        for one in asked[0]
        for rows in asked[1:]
        for other in rows
        if (one["evaluation"], one["condition"]) == (other["evaluation"], other["condition"])
    ]
    were = "; ".join(
        f"{side.name} was asked {listed(sorted({row['evaluation'] for row in rows})) or 'nothing'}"
        for side, rows in zip(sides[:_SHOWN], asked, strict=False)
    )
    forced = "; --force compares evaluations of one name all the same" if told else ""
    more = f" and {len(sides) - _SHOWN} more" if len(sides) > _SHOWN else ""
    return explain(
        f"mmlab compare: {', '.join(side.name for side in sides[:_SHOWN])}{more}",
        "they were not asked the same",
        found="; ".join(dict.fromkeys(told)) or were,
        allowed="evaluations of one protocol",
        next_step=f"ask both the same: mmlab evaluate RUN FILE{forced}",
    )


def _protocol(row: Row) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(row["protocol"])
    return found


def _explain_no_metric(metric: str | None, declared: Mapping[int, Sequence[Row]]) -> str:
    known = dict.fromkeys(row["metric"] for rows in declared.values() for row in rows)
    return explain(
        f"mmlab compare --metric {metric}" if metric else "mmlab compare",
        "no such metric of the sides' samples",
        found=repr(metric) if metric else "evaluations whose metrics are no means over samples",
        allowed=", ".join(known) or "metrics declared with mean_of",
        next_step="choose one of these" if known else "compare another evaluation",
    )


def _explain_no_sample(question: Question) -> str:
    return explain(
        question.name,
        "the sides share no sample",
        found="none that all of them have a value of",
        allowed="evaluations on the same samples",
        next_step="ask both the same samples: mmlab evaluate RUN FILE",
    )
