"""Evaluations of one experiment: a split is read once, and what cannot be judged is said early."""

from __future__ import annotations

from typing import cast

import torch
from support.lab import CLASSIFICATION, PAIRED, RETRIEVAL, TOY, ZERO_SHOT, Lab
from support.toys import Clusters

from mmlab.data.splits import Splits
from mmlab.model.build import build
from mmlab.plan.resolve import plan_specs
from mmlab.runner.score import CellEvaluation

BOTH = (*PAIRED[:3], '[head]\nuse = "linear"\n', TOY[3], *PAIRED[3:5])


def evaluation(lab: Lab, tables: tuple[str, ...], *overrides: str) -> CellEvaluation:
    """The evaluation of an experiment that has not been trained."""
    (plan,) = plan_specs([lab.write("toy", tables)], overrides)
    splits = Splits()
    built = build(plan, splits, {})
    return CellEvaluation(built, splits, torch.device("cpu"), "fp32")


def reads(evaluation: CellEvaluation, names: list[str]) -> int:
    """How often a sample of the test split is read for the named evaluations."""
    dataset = cast(Clusters, evaluation.splits.get(evaluation.plan.dataset, "test"))
    before = dataset.reads
    list(evaluation.evaluate(names))
    return dataset.reads - before


def test_a_split_is_encoded_once_for_all_evaluations_of_it(sqlite_lab: Lab) -> None:
    cards = "cards = 0\n"  # the pictures of cards are read again
    tables = (*BOTH, ZERO_SHOT + cards, RETRIEVAL + cards, CLASSIFICATION + cards)
    shared = evaluation(sqlite_lab, tables)
    alone = reads(shared, ["zero_shot"])
    assert alone >= 24
    assert reads(shared, ["zero_shot", "retrieval", "classification"]) == alone


def test_evaluations_of_two_splits_and_datasets_each_have_their_own(sqlite_lab: Lab) -> None:
    other = CLASSIFICATION + 'name = "other"\n[evaluate.dataset]\nuse = "clusters"\ncount = 9\n'
    validation = CLASSIFICATION + 'name = "early"\nsplit = "validation"\n'
    results = list(
        evaluation(sqlite_lab, (*TOY, validation, other)).evaluate(
            ["classification", "early", "other"]
        )
    )
    assert [result.split for result in results] == ["test", "validation", "test"]
    assert [len(result.samples.ids) for result in results if result.samples] == [24, 24, 9]


def test_validation_gives_losses_and_only_the_evaluation_that_chooses(sqlite_lab: Lab) -> None:
    tables = (*BOTH, ZERO_SHOT, CLASSIFICATION)
    values = evaluation(sqlite_lab, tables).validate()
    assert values.keys() >= {"loss", "scripted/loss", "info_nce/loss", "info_nce/scale"}
    assert not any(name.startswith("zero_shot") for name in values)
    values = evaluation(sqlite_lab, tables, 'train.best="zero_shot/top1"').validate()
    assert "zero_shot/top1" in values
    assert not any(name.startswith("classification") for name in values)


def test_validation_draws_no_pictures(sqlite_lab: Lab) -> None:
    tables = (*BOTH, ZERO_SHOT)
    made = evaluation(sqlite_lab, tables)
    (result,) = made.evaluate(["zero_shot"], "validation")
    assert (result.split, result.thumbnails) == ("validation", {})


def test_what_an_evaluation_lacks_is_said_before_anything_is_trained(sqlite_lab: Lab) -> None:
    tables = (*BOTH[:5], TOY[4], ZERO_SHOT)
    (outcome,) = sqlite_lab.run(sqlite_lab.write("toy", tables), sqlite_lab.script())
    assert outcome.status == "failed"
    assert "nothing says how scores become probabilities" in (outcome.error or "")
    assert sqlite_lab.trained_steps == 0
