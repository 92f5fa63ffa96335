"""What a stored cell gives back, and what its run adds: plans without any spec file."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select
from support.lab import CLASSIFICATION, Lab, here
from support.stored_cells import IMAGE, MANIFEST, TEXT, check_runs, leave, toy, write_rows
from support.toys import Toy

import mmlab
from mmlab.data.splits import Splits
from mmlab.plan.options import option_model
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import prepare
from mmlab.runner.cells import Tables, plan_of, read_cell
from mmlab.runner.evaluate_more import evaluate_runs
from mmlab.runner.identity import hash_cell
from mmlab.runner.initial_weights import WeightsFinder
from mmlab.store import RunDetail
from mmlab.store.tables import cells

BUDGET = '[sweep]\nmatch = "parameters"\nbudget = 900\n'


def asked(detail: RunDetail) -> Plan:
    """The plan of a run's cell as it was asked."""
    assert detail.cell is not None
    return prepare(read_cell(detail.cell), Registry.discover(BUILTINS))


def executed(detail: RunDetail) -> Plan:
    """The plan that a run executed."""
    return plan_of(detail, Registry.discover(BUILTINS))


def written(detail: RunDetail) -> Tables:
    """The tables of a run's cell as they are stored."""
    assert detail.cell is not None
    return cast(Tables, detail.cell.resolved)


def test_patches_and_overrides_are_kept_as_they_were(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = sqlite_lab
    text = "[fusion]\ndim = 4 # small\n[encoders.text]\ndim = 5\n"
    (lab.folder / "small.toml").write_text(text)
    overrides = ("train.lr = 2e-3", 'meta.who="🦜"')
    detail = lab.run_one(lab.write("toy", toy()), Path("small.toml"), *overrides)
    leave(lab.folder, monkeypatch)
    with lab.store() as store:
        assert check_runs(store, lab.runs) == 1
    cell = executed(detail).cell
    assert cell.source.overrides == overrides
    assert [(patch.name, patch.text) for patch in cell.source.patches] == [("small.toml", text)]
    assert cell.spec.fusion.options["dim"] == 4


def test_weights_of_a_run_are_asked_as_before_and_found_as_they_were(sqlite_lab: Lab) -> None:
    """A worker asks anew; what was executed names the run whose weights it had."""
    lab = sqlite_lab
    first = lab.write("first", toy())
    start = '{ run = "first", encoder = "image" }'
    before = lab.run_one(first)
    detail = lab.run_one(lab.write("second", toy(encoders=f"{IMAGE}weights = {start}\n\n{TEXT}")))
    with lab.store() as store:
        assert check_runs(store, lab.runs) == 2
    lab.run_one(first, "train.lr=0.02")
    assert _weights_of(asked(detail)) == "first"
    plan = executed(detail)
    assert _weights_of(plan) == before.run.run_id
    with lab.store() as store:
        sources = WeightsFinder(store, lab.runs).find(plan)
    found = hash_cell(plan, Splits().revisions(plan), sources)
    assert found.train == detail.run.train_hash


def _weights_of(plan: Plan) -> str | None:
    table = plan.cell.spec.encoders["image"].weights
    assert table is not None
    return table.run


def test_a_cell_tells_where_it_stands_in_its_sweep(sqlite_lab: Lab) -> None:
    sweep = '[sweep]\nseeds = [4, 2]\naxes."fusion.dim" = [4, 6]\n'
    outcomes = sqlite_lab.run(sqlite_lab.write("toy", (*toy(), sweep)))
    found = [asked(sqlite_lab.detail(outcome.run_id or "")).cell for outcome in outcomes]
    assert [(cell.index, cell.seed, cell.axes) for cell in found] == [
        (0, 4, {"fusion.dim": 4}),
        (1, 2, {"fusion.dim": 4}),
        (2, 4, {"fusion.dim": 6}),
        (3, 2, {"fusion.dim": 6}),
    ]
    assert found[0].source.spec.sweep is not None
    assert found[0].source.text == (sqlite_lab.folder / "toy.toml").read_text()


def test_a_width_that_met_a_budget_is_no_option_of_the_cell_and_loaded_as_it_was(
    sqlite_lab: Lab,
) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("toy", (*toy(), BUDGET)), "fusion={use='concat'}")
    assert "dim" not in written(detail)["fusion"]
    width = cast(Tables, detail.summary["match"])["value"]
    assert executed(detail).fusion.options["dim"] == width != asked(detail).fusion.options["dim"]
    assert mmlab.load("toy", sqlite_lab.db).model.fusion.dim == width


def test_a_spec_that_moved_is_the_same_run_and_is_found_where_it_is(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = sqlite_lab
    here, there = lab.folder / "here", lab.folder / "there"
    write_rows(here)
    text = lab.write("toy", toy(dataset=MANIFEST, encoders=TEXT)).read_text()
    (here / "toy.toml").write_text(text)
    assert lab.statuses(here / "toy.toml") == ["done"]
    here.rename(there)
    assert lab.statuses(there / "toy.toml") == ["skipped"]
    leave(lab.folder, monkeypatch)
    with lab.store() as store:
        assert check_runs(store, lab.runs) == 1
    mmlab.load("toy", lab.db)


def test_a_spec_that_asks_more_is_the_same_run_with_another_cell(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    lab.run_one(lab.write("toy", toy()))
    more = f'{CLASSIFICATION}name = "more"\nsplit = "validation"\n'
    assert lab.statuses(lab.write("toy", toy(), more)) == ["evaluated"]
    assert list(asked(lab.detail("toy")).evaluators) == ["classification", "more"]
    with lab.store() as store:
        assert len(store.frame(select(cells.c.run_id).where(cells.c.run_id.is_not(None)))) == 2
        assert check_runs(store, lab.runs) == 1


def test_a_run_with_a_budget_is_evaluated_further(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = sqlite_lab
    lab.run_one(lab.write("toy", (*toy(), BUDGET)), "fusion={use='concat'}")
    leave(lab.folder, monkeypatch)
    more = Path("more.toml").absolute()
    more.write_text(f'{CLASSIFICATION}name = "more"\nsplit = "validation"\n')
    (outcome,) = evaluate_runs("toy", [more], here(lab.db), lab.shown)
    assert (outcome.status, outcome.error) == ("evaluated", None)


def test_defaults_are_written_so_that_a_later_one_changes_no_stored_cell(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("toy", toy()))
    assert written(detail)["train"]["weight_decay"] == 0.1
    assert written(detail)["encoders"]["image"]["lr_scale"] == 1.0
    monkeypatch.setitem(Toy.__init__.__kwdefaults__, "dim", 5)
    monkeypatch.setattr("mmlab.plan.options.option_model", option_model.__wrapped__)
    assert prepare(asked(detail).cell, Registry.discover(BUILTINS)).encoders["image"].options == {
        "dim": 8
    }


def test_what_nothing_reads_has_its_defaults_too(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", toy())
    detail = sqlite_lab.run_one(spec, 'fusion.inputs=["text"]')
    assert list(executed(detail).encoders) == ["text"]
    assert written(detail)["encoders"]["image"]["dim"] == 8
    assert list(written(detail)["encoders"]) == ["image", "text"]
