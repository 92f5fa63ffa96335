"""Cards from the store: which samples are shown, and all that is known about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Select, and_, func, or_, select

from mmlab.report.cards import Bar, Card, no_cards, not_asked, not_done, prompt_parts, spread
from mmlab.store import Store
from mmlab.store.bulk import among
from mmlab.store.views import (
    label_rankings,
    run_evaluations,
    sample_outcomes,
    sample_pictures,
    true_labels,
)

#: Stands for a rank that is not known, behind all others.
_LAST = 2**31 - 1

#: How cards are chosen, for the reader of a report.
SELECTION = (
    "Not the best ones: of the samples that have a picture (of all if none has one), ordered by "
    "the rank of their truth, some are taken at equal distances, so that hits and misses appear "
    "about as often as among those samples."
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Ranked:
    """An evaluation whose rankings were stored."""

    evaluation_id: int
    run_id: str
    experiment: str
    cell: str
    seed: int
    evaluation: str
    condition: str
    templates: tuple[str, ...]
    label_count: int


def choose_cards(
    store: Store, run: str, evaluation: str, condition: str = "", count: int = 12
) -> list[Card]:
    """Up to `count` cards of a run's evaluation, fairly spread over ranks: see SELECTION.

    The choice depends on the stored results alone. Samples of equal rank stand in the order
    in which they were first stored, the dataset's. Samples without a truth are left out.
    """
    found = [it for it in _ranked(store, run, evaluation) if it.condition == condition]
    if not found:
        return []
    return _cards(store, found[-1], _chosen(store, found[-1].evaluation_id, count))


def sample_cards(store: Store, run: str, sample: str, evaluation: str | None = None) -> list[Card]:
    """The cards of one sample, one per evaluation of the run that ranked labels for it.

    `sample` is the dataset's own id. Raises UsageError if nothing was ranked for it.
    """
    found_run = store.find_run(run)
    if found_run.status != "done":
        raise not_done(found_run)
    evaluated = _ranked(store, run, evaluation)
    if not evaluated:
        raise no_cards(store, run, evaluation)
    cards = []
    for ranked in evaluated:
        row = sample_outcomes.c
        query = select(row.sample_id).where(row.evaluation_id == ranked.evaluation_id)
        found = store.frame(query.where(row.sample == sample))
        cards += _cards(store, ranked, found["sample_id"].to_list())
    if not cards:
        raise not_asked(store, run, sample, [it.evaluation_id for it in evaluated])
    return cards


def _ranked(store: Store, run: str, evaluation: str | None) -> list[Ranked]:
    row = run_evaluations.c
    is_ranked = label_rankings.c.evaluation_id == row.evaluation_id
    query = (
        select(
            row.evaluation_id,
            row.run_id,
            row.experiment,
            row.cell,
            row.seed,
            row.evaluation,
            row.condition,
            row.templates,
            row.label_count,
        )
        .where(row.run_id == run, row.label_set_id.is_not(None))
        .where(select(label_rankings.c.rank).where(is_ranked).exists())
        .order_by(row.evaluation_id)
    )
    if evaluation is not None:
        query = query.where(row.evaluation == evaluation)
    found = store.frame(query).to_dicts()
    assert all(it["label_count"] is not None for it in found), "a label set knows its size"
    return [Ranked(**it | {"templates": tuple(json.loads(it["templates"]))}) for it in found]


def _chosen(store: Store, evaluation_id: int, count: int) -> list[int]:
    """Ids of the samples to show, by the rank of their truth."""
    result = sample_outcomes.c
    has_truth = or_(result.rank.is_not(None), result.outcome.is_not(None))
    known = and_(result.evaluation_id == evaluation_id, has_truth)
    rank = func.coalesce(result.rank, _LAST)  # unknown behind the first labels of others
    picture = sample_pictures.c
    pictured = select(picture.sample_id).where(picture.sample_id == result.sample_id)
    for condition in (and_(known, pictured.exists()), known):
        total = int(store.frame(select(func.count().label("n")).where(condition))["n"][0])
        if total:
            order = func.row_number().over(order_by=(rank, result.sample_id)) - 1
            ordered = select(result.sample_id, order.label("place")).where(condition).subquery()
            query = select(ordered.c.sample_id).where(among(ordered.c.place, spread(total, count)))
            return store.frame(query.order_by(ordered.c.place))["sample_id"].to_list()
    return []


def _cards(store: Store, ranked: Ranked, ids: Sequence[int]) -> list[Card]:
    if not ids:
        return []
    found = {row["sample_id"]: row for row in store.frame(_results(ranked, ids)).to_dicts()}
    truths = _by_sample(store.frame(_truths(ranked, ids)))
    bars = _by_sample(store.frame(_first_labels(ranked, ids)))
    return [_card(ranked, found[i], truths.get(i, []), bars.get(i, [])) for i in ids]


def _results(ranked: Ranked, ids: Sequence[int]) -> Select[Any]:
    row, picture = sample_outcomes.c, sample_pictures
    return (
        select(
            row.sample_id,
            row.sample,
            row.rank,
            row.probability,
            row.top_probability,
            row.has_tie,
            picture.c.image,
        )
        .outerjoin(picture, picture.c.sample_id == row.sample_id)
        .where(row.evaluation_id == ranked.evaluation_id, among(row.sample_id, ids))
    )


def _truths(ranked: Ranked, ids: Sequence[int]) -> Select[Any]:
    row = true_labels.c
    return (
        select(row.sample_id, row.label)
        .where(row.evaluation_id == ranked.evaluation_id, among(row.sample_id, ids))
        .order_by(row.sample_id, row.position)
    )


def _first_labels(ranked: Ranked, ids: Sequence[int]) -> Select[Any]:
    row = label_rankings.c
    return (
        select(row.sample_id, row.rank, row.label, row.score, row.is_truth)
        .where(row.evaluation_id == ranked.evaluation_id, among(row.sample_id, ids))
        .order_by(row.sample_id, row.rank)
    )


def _by_sample(rows: pl.DataFrame) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = {}
    for row in rows.iter_rows(named=True):
        grouped.setdefault(row["sample_id"], []).append(row)
    return grouped


def _card(ranked: Ranked, result: Row, truths: list[Row], first: list[Row]) -> Card:
    before, after = prompt_parts(ranked.templates)
    bars = [
        Bar(row["rank"], (row["label"],), before, after, row["score"], row["is_truth"])
        for row in first
    ]
    texts = tuple(row["label"] for row in truths)
    if result["rank"] is not None and result["rank"] > len(first):
        beyond = Bar(result["rank"], texts, before, after, result["probability"], True, True)
        bars.append(beyond)
    return Card(
        run_id=ranked.run_id,
        experiment=ranked.experiment,
        cell=ranked.cell,
        seed=ranked.seed,
        evaluation=ranked.evaluation,
        condition=ranked.condition,
        sample=result["sample"],
        truths=texts,
        rank=result["rank"],
        label_count=ranked.label_count,
        probability=result["probability"],
        top_probability=result["top_probability"],
        has_tie=result["has_tie"],
        bars=tuple(bars),
        picture=result["image"],
    )
