"""Which weights are kept and judged: the best by validation; and the numbers about a training."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest
import torch
from support.lab import DATASET, PAIRED, RETRIEVAL, TOY, Lab

import mmlab
from mmlab.model.weights import load_weights

LR_SCALE = "encoders.text.lr_scale"
NO_VALIDATION = DATASET + 'empty = ["validation"]\n'


def test_test_is_scored_with_the_best_weights_where_the_last_are_worse(sqlite_lab: Lab) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.script("10 turn")
    detail = sqlite_lab.run_one(spec, script, "train.epochs=8")
    with mmlab.results(sqlite_lab.db) as results:
        curve = results.curves("toy").filter(pl.col("metric") == "validation/loss")
    best_step = curve.sort("value")["step"][0]
    assert best_step in (9, 12)  # the optimiser keeps its direction for a while
    assert detail.summary["best_step"] == detail.evaluations[0].step == best_step
    assert detail.summary["best_value"] == curve["value"].min()
    assert detail.summary["steps"] == 24
    stopped = sqlite_lab.run_one(spec, script, "train.epochs=8", "train.patience=2")
    assert stopped.summary["steps"] == best_step + 6
    assert stopped.evaluations[0].metrics == detail.evaluations[0].metrics
    best, final = (mmlab.load("toy", sqlite_lab.db, weights=w) for w in ("best", "final"))
    one, other = (e.model.state_dict()["encoders.image.first.weight"] for e in (best, final))
    assert not one.equal(other)


def test_the_factor_of_an_encoder_scales_its_steps_and_no_others(sqlite_lab: Lab) -> None:
    """AdamW's first step is the rate times a direction, so a half is twice as far as a quarter."""
    spec = sqlite_lab.write("pairs", PAIRED)
    one, half, quarter = (
        sqlite_lab.weights(sqlite_lab.run_one(spec, "train.max_steps=1", f"{LR_SCALE}={scale}"))
        for scale in (1.0, 0.5, 0.25)
    )
    for name, weight in one.items():
        far, near = weight - half[name], half[name] - quarter[name]
        torch.testing.assert_close(far, 2 * near, rtol=1e-3, atol=1e-7)
        assert bool(near.any()) == name.startswith("model.encoders.text."), name


def test_the_recorded_files_are_there_with_the_recorded_bytes(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("toy"))
    assert {artifact.role for artifact in detail.artifacts} == {"best", "final"}
    for artifact in detail.artifacts:
        data = (sqlite_lab.runs / artifact.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == artifact.sha256
        assert len(data) == artifact.size_bytes


def test_without_validation_the_final_weights_are_the_best(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("toy", [NO_VALIDATION, *TOY[1:]]))
    best, final = detail.artifacts
    assert best.sha256 == final.sha256
    assert detail.summary["best_step"] == detail.evaluations[0].step == 6
    assert detail.summary["best_value"] is None


@pytest.mark.parametrize("setting", ['train.best="classification/top1"', "train.patience=2"])
def test_what_asks_for_validation_needs_a_split_for_it(sqlite_lab: Lab, setting: str) -> None:
    spec = sqlite_lab.write("toy", [NO_VALIDATION, *TOY[1:]])
    before = sqlite_lab.kept()
    (outcome,) = sqlite_lab.run(spec, setting)
    assert outcome.status == "failed"
    assert "validation split is empty" in (outcome.error or "")
    assert sqlite_lab.kept() == before


def test_the_best_may_be_chosen_by_an_evaluation(lab: Lab) -> None:
    spec = lab.write("pairs", PAIRED, RETRIEVAL)
    detail = lab.run_one(spec, 'train.best="zero_shot/top1"', "train.epochs=4")
    with mmlab.results(lab.db) as results:
        curve = results.curves("pairs")
    points = curve.filter(curve["metric"] == "validation/zero_shot/top1")
    assert detail.summary["best_direction"] == "max"
    assert detail.summary["best_value"] == points["value"].max()
    first = points.filter(points["value"] == points["value"].max())["step"][0]
    assert detail.summary["best_step"] == detail.evaluations[0].step == first
    assert not any("test" in name or "retrieval" in name for name in curve["metric"].unique())


def test_a_metric_that_the_labels_do_not_give_fails_the_run(sqlite_lab: Lab) -> None:
    (outcome,) = sqlite_lab.run(sqlite_lab.write("toy"), 'train.best="classification/mAP"')
    assert outcome.status == "failed"
    assert "classification/top1" in (outcome.error or "")


def test_the_summary_counts_and_measures(sqlite_lab: Lab) -> None:
    summary = sqlite_lab.run_one(sqlite_lab.write("toy"), "encoders.text.freeze=true").summary
    image, text, fusion, head = 4 * 8 + 8 + 72, 16 * 8 + 8 + 72, 2 * 8 * 8, 8 * 4 + 4
    assert summary["parameters"] == image + text + fusion + head
    assert summary["trained_parameters"] == image + fusion + head
    assert summary["steps"] == 6
    for measured in ("seconds", "samples_per_second", "peak_memory_bytes"):
        assert summary[measured] > 0


def test_frozen_encoders_keep_their_bits(sqlite_lab: Lab) -> None:
    first = '[encoders.image]\nuse = "toy"\nfreeze = true\n\n[encoders.text]\nuse = "toy"\n'
    spec = sqlite_lab.write("toy", [DATASET, first + "freeze = 1\n", *TOY[2:]])
    few, many = (sqlite_lab.run_one(spec, f"train.epochs={count}") for count in (1, 4))
    before, after = (
        load_weights(sqlite_lab.runs / detail.artifacts[1].path) for detail in (few, many)
    )
    changed = {name for name in before if not before[name].equal(after[name])}
    kept = {"image.first", "image.second", "text.first"}
    frozen = {f"model.encoders.{name}.{part}" for name in kept for part in ("weight", "bias")}
    assert changed == before.keys() - frozen


def test_a_deeper_freeze_than_there_are_stages_is_an_error(sqlite_lab: Lab) -> None:
    (outcome,) = sqlite_lab.run(sqlite_lab.write("toy"), "encoders.image.freeze=3")
    assert outcome.status == "failed"
    assert "fewer stages" in (outcome.error or "")
