"""The datasets of a command: read once, shared by cells, and large enough for what is asked."""

from __future__ import annotations

import json

import pytest
from support.lab import CLASSIFICATION, DATASET, PAIRED, TOY, Lab

from mmlab.data.splits import Splits
from mmlab.errors import DataError
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs


def plans(lab: Lab, *overrides: str, more: str = "") -> list[Plan]:
    return plan_specs([lab.write("toy", TOY, more)], overrides)


def test_cells_share_the_dataset_of_a_split(sqlite_lab: Lab) -> None:
    splits = Splits()
    first, second = plans(sqlite_lab, more='[sweep.axes]\n"fusion.dim" = [4, 8]\n')
    (other,) = plans(sqlite_lab, "dataset.count=30")
    assert splits.training(first) is splits.training(second)
    assert splits.training(first) is not splits.training(other)
    assert splits.training(first) is not splits.get(first.dataset, "test")


def test_a_file_that_changed_is_read_anew_by_the_next_cell(sqlite_lab: Lab) -> None:
    rows = sqlite_lab.folder / "rows.csv"
    rows.write_text("text,label,split\none,a,train\n", encoding="utf-8")
    of_rows = '"manifest"\npath = "rows.csv"\ntext_columns = ["text"]\nlabel_column = "label"'
    more = CLASSIFICATION + f'name = "rows"\n[evaluate.dataset]\nuse = {of_rows}\n'
    (plan,) = plans(sqlite_lab, more=more)
    dataset, splits = plan.evaluate_datasets["rows"], Splits()
    assert len(splits.get(dataset, "train")) == 1
    rows.write_text("text,label,split\none,a,train\ntwo,b,train\n", encoding="utf-8")
    assert len(splits.get(dataset, "train")) == 1  # all of a cell reads the same
    splits.look_anew()
    assert len(splits.get(dataset, "train")) == 2


def test_a_plan_is_built_for_what_it_trains_on_or_else_is_evaluated_on(sqlite_lab: Lab) -> None:
    splits = Splits()
    (trained,) = plans(sqlite_lab)
    assert splits.reference(trained) is splits.get(trained.dataset, "train")
    tables = (*PAIRED[:3], PAIRED[5] + 'split = "validation"\n')
    (evaluated,) = plan_specs([sqlite_lab.write("probe", tables)], ())
    assert splits.reference(evaluated) is splits.get(evaluated.dataset, "validation")
    assert splits.revisions(evaluated) == {}


def test_an_evaluation_may_have_data_of_its_own(sqlite_lab: Lab) -> None:
    more = CLASSIFICATION + 'name = "other"\n[evaluate.dataset]\nuse = "clusters"\ncount = 9\n'
    (plan,) = plans(sqlite_lab, more=more)
    splits = Splits()
    assert len(splits.evaluated(plan, "classification")) == 24
    assert len(splits.evaluated(plan, "other")) == 9


def test_the_data_that_chooses_the_best_weights_is_among_the_revisions(sqlite_lab: Lab) -> None:
    more = CLASSIFICATION + 'name = "other"\n[evaluate.dataset]\nuse = "clusters"\ncount = 9\n'
    (plan,) = plans(sqlite_lab, 'train.best="other/top1"', more=more)
    assert Splits().revisions(plan)["other/validation"] == "clusters-1-9-4--False"
    (plan,) = plans(sqlite_lab, more=more)
    assert list(Splits().revisions(plan)) == ["train", "validation"]


def test_what_a_dataset_tells_of_its_reading_is_told_once(sqlite_lab: Lab) -> None:
    heard: list[str] = []
    splits = Splits(heard.append)
    lines = ["age: numbers", "{split}: 2 files \x1b[31m\nlack"]
    (plan,) = plans(sqlite_lab, f"dataset.notes={json.dumps(lines)}")
    for split in ("train", "validation", "train"):
        splits.get(plan.dataset, split)
    told = [f"{split}: 2 files \ufffd[31m\ufffdlack" for split in ("train", "validation")]
    assert heard == ["age: numbers", *told]


@pytest.mark.parametrize(
    ("override", "place", "fault", "found"),
    [
        ("train.batch_size=25", "train.batch_size", "does not fill one batch", "24 training sam"),
        ("dataset.count=0", "dataset", "the train split is empty", "0 samples"),
    ],
)
def test_a_training_split_must_fill_a_batch(
    sqlite_lab: Lab, override: str, place: str, fault: str, found: str
) -> None:
    (plan,) = plans(sqlite_lab, override)
    with pytest.raises(DataError) as caught:
        Splits().revisions(plan)
    for part in (f": {place}: ", fault, f"found: {found}", "allowed: ", "next: "):
        assert part in str(caught.value)


def test_an_empty_split_is_not_evaluated(sqlite_lab: Lab) -> None:
    before = sqlite_lab.kept()
    spec = sqlite_lab.write("toy", (DATASET + 'empty = ["test"]\n', *TOY[1:]))
    (outcome,) = sqlite_lab.run(spec)
    assert outcome.status == "failed"
    for part in ("evaluate.classification: the test split is empty", "allowed: ", "next: "):
        assert part in (outcome.error or "")
    assert sqlite_lab.kept() == before


@pytest.mark.parametrize("known", [0, 1])
def test_a_head_needs_two_labels(sqlite_lab: Lab, known: int) -> None:
    (outcome,) = sqlite_lab.run(sqlite_lab.write("toy"), f"dataset.known={known}")
    assert outcome.status == "failed"
    message = outcome.error or ""
    assert "a head needs something to decide between" in message
    assert f"found: {known} label" in message
    for part in ("allowed: a dataset with two labels or more", "next: "):
        assert part in message
