"""Values of before metrics were declared mean what the names of their metrics meant to reports."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, text

from alembic import command
from mmlab.store import open_store, tables, views
from mmlab.store.address import create_file, parse_address
from mmlab.store.engine import Database
from mmlab.store.migrate import alembic_config, upgrade

#: (evaluator, metric) -> better, unit, mean_of, low_of, high_of, board, has_gain.
FINALS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("classification", "top1"): ("higher", "share", "outcome", None, None, "leaderboard", True),
    ("zero_shot", "top1"): ("higher", "share", "outcome", None, None, "leaderboard", False),
    ("zero_shot", "top5"): ("higher", "share", "rank<=5", None, None, "leaderboard", False),
    ("zero_shot", "mAP"): ("higher", "share", None, None, None, "leaderboard", False),
    ("zero_shot", "mean_rank"): ("lower", "rank", None, None, None, "leaderboard", False),
    ("zero_shot", "ece"): ("lower", "", None, None, None, "leaderboard", False),
    ("retrieval", "recall@1"): ("higher", "share", "outcome", None, None, "leaderboard", False),
    ("retrieval", "recall@10"): ("higher", "share", "rank<=10", None, None, "leaderboard", False),
    ("retrieval", "mean_recall@1"): ("higher", "share", None, None, None, "leaderboard", False),
    ("regression", "mse"): ("lower", "", "-outcome", None, None, "leaderboard", True),
    ("regression", "age/mae"): ("lower", "", None, None, None, "leaderboard", False),
    ("regression", "r2"): ("higher", "", None, None, None, "leaderboard", False),
    ("few_shot", "top1_low"): ("higher", "", None, "top1", None, "leaderboard", False),
    ("few_shot", "top5_high"): ("higher", "", None, None, "top5", "leaderboard", False),
    ("stranger", "top1_low"): ("higher", "", None, None, None, "leaderboard", False),
    ("missing_modality", "top1"): ("higher", "share", "outcome", None, None, "robustness", False),
    ("missing_modality", "r2/subset_area"): (
        "higher",
        "",
        None,
        None,
        None,
        "robustness",
        False,
    ),
    ("stranger", "x/error"): ("lower", "", None, None, None, "leaderboard", False),
    ("stranger", "perplexity"): ("lower", "", None, None, None, "leaderboard", False),
    ("stranger", "x/rank"): ("higher", "", None, None, None, "leaderboard", False),
}
#: By curve: better and place.
CURVES = {
    "validation/zero_shot/top1": ("higher", 0),
    "train/loss": ("lower", 1),
    "validation/info_nce/loss": ("lower", 1),
    "train/cross_entropy/accuracy": ("higher", 2),
    "train/lr": (None, 3),
    "train/grad_norm": (None, 3),
    "train/samples_per_second": ("higher", 3),
}
LABELS = {
    "support": (None, "samples"),
    "recall": ("higher", "share"),
    "mean_rank": ("lower", "rank"),
}


@pytest.fixture
def old_database(empty_database_url: str) -> str:
    """A database of the revision before, with a value of every name above."""
    address = parse_address(empty_database_url)
    if address.path is not None:
        create_file(address)
    database = Database(address)
    command.upgrade(alembic_config(database), "0002")
    with database.write() as connection:
        for statement in (_RUN, _LABEL_SET, _LABEL):
            connection.execute(text(statement))
        common = {"run_id": "r", "value": 0.5, "value_kind": "finite"}
        for number, evaluator in enumerate(sorted({name for name, _ in FINALS}), start=1):
            connection.execute(text(_EVALUATION), {"id": number, "evaluator": evaluator})
            named = [
                {**common, "name": m, "evaluation_id": number} for e, m in FINALS if e == evaluator
            ]
            connection.execute(insert(tables.metrics), named)
        points = [{**common, "name": name, "step": 1} for name in CURVES]
        connection.execute(insert(tables.metrics), points)
        of_labels = [{"evaluation_id": 1, "label_id": 1, "name": name} for name in LABELS]
        connection.execute(insert(tables.label_metrics), of_labels)
    database.close()
    return empty_database_url


_RUN = """
INSERT INTO runs (id, experiment, cell, axes, resolved, train_hash, group_hash, seed, replicate,
    status, fence, created_at, finished_at, provenance, summary)
VALUES ('r', 'old', '', '{}', '{}', 't', 'g', 0, 0, 'done', 1, '2026-01-01 00:00:00.000000',
    '2026-01-01 00:00:00.000000', '{}', '{}')
"""
_LABEL_SET = "INSERT INTO label_sets (id, hash, label_count) VALUES (1, 'h', 1)"
_LABEL = (
    "INSERT INTO labels (id, label_set_id, position, text, text_hash) VALUES (1, 1, 0, 'a', 'h')"
)
_EVALUATION = """
INSERT INTO evaluations (id, run_id, name, evaluator, condition, split, dataset_revision,
    evaluation_hash, protocol_hash, protocol, subject_hash, subject, templates, sample_count,
    skipped_count, created_at)
VALUES (:id, 'r', :evaluator, :evaluator, '', 'test', 'd', :evaluator, :evaluator, '{}', 's', '{}',
    '[]', 0, 0, '2026-01-01 00:00:00.000000')
"""


def test_every_name_gets_what_it_meant(old_database: str) -> None:
    upgrade(old_database)
    view, declared, rows = views.leaderboard.c, tables.metric_declarations, tables.label_metrics
    row = declared.c
    is_it = row.id == view.metric_declaration_id
    parts = (row.better, row.unit, row.mean_of, row.low_of, row.high_of, row.board, row.has_gain)
    with open_store(old_database) as store:
        finals = store.frame(select(view.evaluator, view.metric, *parts).join(declared, is_it))
        curve, is_it = views.curves.c, row.id == views.curves.c.metric_declaration_id
        curves = store.frame(select(curve.metric, row.better, row.position).join(declared, is_it))
        labels = store.frame(select(rows.c.name, row.better, row.unit).join(declared))
    assert {found[:2]: found[2:] for found in finals.rows()} == FINALS
    assert {found[0]: found[1:] for found in curves.rows()} == CURVES
    assert {found[0]: found[1:] for found in labels.rows()} == LABELS


def test_going_back_leaves_the_values(old_database: str) -> None:
    upgrade(old_database)
    database = Database(parse_address(old_database))
    command.downgrade(alembic_config(database), "0002")
    with database.read() as connection:
        names = connection.scalars(text("SELECT metric FROM leaderboard")).all()
        curves = connection.scalars(text("SELECT metric FROM curves")).all()
    database.close()
    assert sorted(names) == sorted(metric for _, metric in FINALS)
    assert sorted(curves) == sorted(CURVES)
