"""Planted problems for heads, from a file of rows to what the database holds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import average_precision_score
from sqlalchemy import Select, select
from support.lab import Lab

from mmlab.errors import SpecError
from mmlab.evaluate.evaluators.regression import Regression
from mmlab.loaded import load
from mmlab.metric import find
from mmlab.report.frames import rankings
from mmlab.report.leaderboard import leaderboard
from mmlab.store.tables import sample_results, samples

ENCODER = '[encoders.text]\nuse = "toy"\n'
FUSION = '[fusion]\nuse = "concat"\ndim = 16\n'
TRAIN = "[train]\nepochs = 60\nbatch_size = 32\nlr = 0.02\nweight_decay = 0.0\n"


def write_rows(lab: Lab, rows: Sequence[Mapping[str, object]]) -> Path:
    path = lab.folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words(count: int) -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices("abcde", k=8)) for _ in range(count)]


def regression(lab: Lab, *more: str) -> Path:
    """How often `a` and `b` are in a word, in units far from 1; every ninth is unknown."""
    rows = [
        {
            "text": word,
            "grams": None if number % 9 == 0 else 5000.0 + 100.0 * word.count("a"),
            "share": 0.001 * word.count("b"),
            "part": ("train", "train", "train", "test")[number % 4],
        }
        for number, word in enumerate(words(240))
    ]
    dataset = (
        f'[dataset]\nuse = "manifest"\npath = "{write_rows(lab, rows).name}"\n'
        'text_columns = ["text"]\nsplit_column = "part"\ntarget_columns = ["grams", "share"]\n'
    )
    losses = '[[losses]]\nuse = "mse"\n'
    head = '[head]\nuse = "linear"\n'
    evaluate = '[[evaluate]]\nuse = "regression"\n'
    return lab.write("numbers", [dataset, ENCODER, FUSION, head, losses, TRAIN, evaluate], *more)


@pytest.mark.slow
def test_a_planted_regression_is_learnt_whatever_its_units(lab: Lab) -> None:
    detail = lab.run_one(regression(lab))
    (found,) = detail.evaluations
    metrics = found.metrics
    assert metrics["grams/r2"] > 0.99
    assert metrics["share/r2"] > 0.99
    assert metrics["r2"] == pytest.approx((metrics["grams/r2"] + metrics["share/r2"]) / 2)
    assert metrics["mse"] == pytest.approx((metrics["grams/mse"] + metrics["share/mse"]) / 2)
    assert all(find(Regression.metrics, name) is not None for name in metrics)
    check_rows(lab, found.sample_count)
    check_loaded(lab, detail.run.run_id)


def check_rows(lab: Lab, count: int) -> None:
    """Rows of a regression have outcomes, and nothing of labels."""
    with lab.store() as store:
        rows = store.frame(sample_results.select())
    assert len(rows) == count == 60
    assert rows["outcome"].null_count() == 0
    assert (rows["outcome"] <= 0).all()
    for column in ("rank", "probability", "top_label_id", "top_probability"):
        assert rows[column].null_count() == count
    assert not rows["has_tie"].any()


def check_loaded(lab: Lab, run: str) -> None:
    """The head of a loaded run speaks in the targets' units."""
    experiment = load(run, lab.db, runs=lab.runs)
    x = experiment.readers["text"].encoder.transform("aaaabbcd", False)[None]
    with torch.no_grad():
        features = {"text": experiment.model.encode("text", x)}
        prediction = experiment.model.outputs(features).prediction
    assert prediction is not None
    assert prediction[0].tolist() == pytest.approx([5400, 0.002], rel=0.05)


@pytest.mark.slow
def test_several_labels_are_learnt_each_on_its_own(sqlite_lab: Lab) -> None:
    """A word has the label of every letter that is in it."""
    rows = [
        {"text": word, "kinds": sorted(set(word)), "part": ("train", "test")[number % 2]}
        for number, word in enumerate(words(240))
    ]
    dataset = (
        f'[dataset]\nuse = "manifest"\npath = "{write_rows(sqlite_lab, rows).name}"\n'
        'text_columns = ["text"]\nlabel_column = "kinds"\nsplit_column = "part"\n'
    )
    head = '[head]\nuse = "mlp"\nhidden = [32]\n'
    losses = '[[losses]]\nuse = "binary_cross_entropy"\npositive_weight = { a = 2.0 }\n'
    evaluate = (
        '[[evaluate]]\nuse = "classification"\n\n'
        '[[evaluate]]\nuse = "missing_modality"\nnoise_levels = []\n'
    )
    spec = sqlite_lab.write("kinds", [dataset, ENCODER, FUSION, head, losses, TRAIN, evaluate])
    found, lacking, *_ = sqlite_lab.run_one(spec).evaluations
    assert lacking.metrics["mAP/subset_area"] == found.metrics["mAP"]  # there is one input
    assert found.metrics["mAP"] > 0.96  # by chance it is 0.83, the share of words with a letter


def sparse_rows(count: int) -> list[dict[str, object]]:
    """Words of which one in four has labels: those of its first two letters that are a, b or c.

    The others have none, though they are words of the same letters; of every twelfth the labels are
    unknown.
    """
    rows: list[dict[str, object]] = []
    for number, word in enumerate(words(count)):
        known = sorted({*word[:2]} & {*"abc"}) if number % 4 == 0 else []
        row = {"id": f"w{number}", "text": word, "kinds": known, "part": PARTS[number // 4 % 2]}
        rows.append({**row, "kinds": None} if number % 12 == 1 else row)
    return rows


PARTS = ("train", "test")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No positive class found")
def test_none_of_the_labels_is_a_negative_from_the_file_to_the_database(sqlite_lab: Lab) -> None:
    lab, rows = sqlite_lab, sparse_rows(480)
    dataset = (
        f'[dataset]\nuse = "manifest"\npath = "{write_rows(lab, rows).name}"\n'
        'text_columns = ["text"]\nlabel_column = "kinds"\nsplit_column = "part"\n'
        'id_column = "id"\n'
    )
    head = '[head]\nuse = "linear"\n'
    losses = '[[losses]]\nuse = "binary_cross_entropy"\npositive_weight = "balanced"\n'
    evaluate = (
        '[[evaluate]]\nuse = "classification"\n\n'
        '[[evaluate]]\nuse = "linear_probe"\npenalty = 1.0\n\n'
        '[[evaluate]]\nuse = "missing_modality"\nnoise_levels = []\n'
    )
    spec = lab.write("sparse", [dataset, ENCODER, FUSION, head, losses, SHORT, evaluate])
    detail = lab.run_one(spec)
    asked = {row["id"]: row["kinds"] for row in rows if row["part"] == "test"}
    known = {name: own for name, own in asked.items() if own is not None}
    assert sum(own == [] for own in known.values()) / len(asked) > 0.6
    classified, probed, _, subset = detail.evaluations
    for found in (classified, probed):
        check_sparse(lab, detail.run.run_id, found, known)
        assert found.skipped_count == len(asked) - len(known)
    assert subset.metrics == classified.metrics  # there is one input
    with lab.store() as store:
        told = leaderboard(store).filter(pl.col("metric") == "top1")
    assert set(told["interval"]) == {"samples"}  # it is the mean of the outcomes that there are


SHORT = "[train]\nepochs = 8\nbatch_size = 40\nlr = 0.02\nweight_decay = 0.0\n"


def check_sparse(lab: Lab, run: str, found: Any, known: Mapping[str, Any]) -> None:
    """The metrics are scikit-learn's on the stored probabilities of every sample that is known."""
    with lab.store() as store:
        ranked = rankings(store, run, found.name).filter(pl.col("condition") == found.condition)
        results = store.frame(sample_results_of(found.id))
    table = ranked.pivot(on="label", index="sample", values="score").sort("sample")
    truths = [known[name] for name in table["sample"]]
    assert set(table["sample"]) == set(known)
    precisions = [
        average_precision_score([label in own for own in truths], table[label]) for label in "abc"
    ]
    assert found.metrics["mAP"] == pytest.approx(np.mean(precisions), abs=1e-6)
    is_positive = [bool(own) for own in truths]
    alone = [
        average_precision_score(
            [label in own for own in truths if own], table[label].filter(is_positive)
        )
        for label in "abc"
    ]
    assert np.mean(alone) > found.metrics["mAP"] + 0.2  # as if [] were unknown
    has_none = {name for name, own in known.items() if not own}
    for column in ("rank", "probability", "outcome"):
        assert set(results.filter(pl.col(column).is_null())["stable_id"]) == has_none
    hits = results["outcome"].drop_nulls()
    assert found.metrics["top1"] == pytest.approx(hits.mean())
    assert ranked.filter(pl.col("sample").is_in(has_none))["is_truth"].any() is False


def sample_results_of(evaluation: int) -> Select[Any]:
    """An evaluation's rows of samples, with their ids."""
    query = select(samples.c.stable_id, sample_results).join(samples)
    return query.where(sample_results.c.evaluation_id == evaluation)


@pytest.mark.slow
def test_a_fusion_may_predict_targets_itself_and_is_asked_without_its_inputs(
    sqlite_lab: Lab,
) -> None:
    more = '[encoders.again]\nuse = "toy"\nmodality = "text"\n'
    more += '[[evaluate]]\nuse = "missing_modality"\nnoise_levels = [1]\n'
    detail = sqlite_lab.run_one(
        regression(sqlite_lab, more),
        'fusion={use = "late_fusion", rule = "mean"}',
        'head={use = "identity"}',
        "train.epochs=5",
    )
    found = {it.condition: it for it in detail.evaluations if it.name == "missing_modality"}
    plain = next(it for it in detail.evaluations if it.name == "regression")
    assert found["text+again"].metrics["r2"] == pytest.approx(plain.metrics["r2"])
    assert set(found) == {
        "",
        "text",
        "again",
        "text+again",
        "text noise 1",
        "again noise 1",
    }
    worst = found[""].metrics["r2/subset_worst"]
    assert worst == min(found[key].metrics["r2"] for key in ("text", "again", "text+again"))


def test_targets_that_the_dataset_does_not_name_are_said_before_training(sqlite_lab: Lab) -> None:
    (outcome,) = sqlite_lab.run(regression(sqlite_lab), "dataset.target_columns=[]")
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert "a loss reads targets, and there is nothing to learn" in outcome.error


def test_a_weight_of_a_negative_label_is_named_in_the_spec(sqlite_lab: Lab) -> None:
    spec = regression(
        sqlite_lab, '[[losses]]\nuse = "binary_cross_entropy"\npositive_weight = { a = -1 }'
    )
    with pytest.raises(SpecError, match=r"losses\.1\.positive_weight\.a: out of range"):
        sqlite_lab.run(spec)
