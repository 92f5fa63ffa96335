"""A mixture from its spec to its results: joint, of each part alone, and back from the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lab import CLASSIFICATION, CONCAT, ENCODERS, TRAIN, Lab

import mmlab
from mmlab.data.splits import Splits
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.runner.cells import plan_of
from mmlab.runner.identity import hash_cell
from mmlab.store import open_store

MIX = """
[dataset]
use = "mix"
parts = [
    { use = "clusters", name = "small", count = 12, weight = 1 },
    { use = "clusters", name = "large", count = 24, weight = 1 },
]
"""
LOSS = '[[losses]]\nuse = "cross_entropy"\n'


@pytest.fixture
def mixed(lab: Lab) -> tuple[Lab, Path]:
    spec = lab.write("mixed", (MIX, ENCODERS, CONCAT, LOSS, TRAIN, CLASSIFICATION))
    return lab, spec


def test_each_part_is_judged_alone_beside_the_whole(mixed: tuple[Lab, Path]) -> None:
    lab, spec = mixed
    detail = lab.run_one(spec)
    with mmlab.results(lab.db) as results:
        board = results.leaderboard()
    top1 = board.filter(board["metric"] == "top1").select("condition", "mean", "samples", "place")
    rows = {row[0]: row[1:] for row in top1.rows()}
    assert rows.keys() == {"", "small", "large"}
    assert [rows[name][1] for name in ("", "small", "large")] == [36, 12, 24]
    joint = (12 * rows["small"][0] + 24 * rows["large"][0]) / 36
    assert rows[""][0] == pytest.approx(joint, abs=1e-12)
    assert all(place == 1 for _, _, place in rows.values())
    assert lab.statuses(spec) == ["skipped"]
    with open_store(lab.db) as store:
        plan = plan_of(store.run_detail(detail.run.run_id), Registry.discover(BUILTINS))
    assert hash_cell(plan, Splits().revisions(plan), {}).train == detail.run.train_hash


def test_a_weight_is_part_of_the_identity_of_a_run(mixed: tuple[Lab, Path]) -> None:
    lab, spec = mixed
    assert lab.statuses(spec) == ["done"]
    assert lab.statuses(spec, "dataset.parts.1.weight=2") == ["done"]
    assert lab.statuses(spec, "dataset.parts.1.weight=1") == ["skipped"]


def test_a_part_that_cannot_be_judged_alone_is_told(mixed: tuple[Lab, Path]) -> None:
    lab, spec = mixed
    assert lab.statuses(spec, "dataset.parts.0.known=0") == ["done"]
    (note,) = [note for note in lab.shown.notes if "no result of its own" in note]
    assert "evaluate.classification: small has no result of its own" in note
    assert "no sample can take part" in note
