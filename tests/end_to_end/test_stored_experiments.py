"""The experiments of this repository come back from the database as the same runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.checkout import ROOT
from support.lab import Lab
from support.stored_cells import check_runs, leave

from mmlab.model.build import InitialWeights
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import plan_specs, prepare
from mmlab.runner.cells import read_cell, write_cell
from mmlab.runner.identity import Hashes, hash_cell

EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.toml"))
#: What `make run` runs, of the fusions some: without width, with one input, of each kind of width.
FUSIONS = ("concat", "inner_product", "modulation", "gating", "low_rank_bilinear")


def _hashes(plan: Plan) -> Hashes:
    """The hashes on data and weights that do not matter, for some must be fetched first."""
    tables = {key: plan.cell.spec.encoders[key].weights for key in plan.encoders}
    sources = {
        key: InitialWeights(Path("weights"), f"{table.run} {table.file}", table.encoder or key)
        for key, table in tables.items()
        if table is not None
    }
    return hash_cell(plan, {}, sources)


def test_there_are_experiments() -> None:
    assert len(EXPERIMENTS) > 5


@pytest.mark.slow
@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_cell_of_an_experiment_is_read_as_it_was_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    registry = Registry.discover(BUILTINS)
    asked = [(write_cell(plan), _hashes(plan)) for plan in plan_specs([path.relative_to(ROOT)], ())]
    monkeypatch.chdir(tmp_path)
    for row, hashes in asked:
        again = prepare(read_cell(row), registry)
        assert repr(write_cell(again)) == repr(row)
        assert _hashes(again) == hashes
    assert asked


@pytest.mark.slow
def test_the_runs_of_make_run_are_identified_by_the_database_alone(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [sqlite_lab.folder / f"emoji-{name}.toml" for name in ("contrastive", "fusion")]
    for spec in specs:
        shutil.copy(ROOT / "experiments" / spec.name, spec)
    members = ", ".join(f'{{ use = "{name}" }}' for name in FUSIONS)
    patch = sqlite_lab.folder / "patch.toml"
    patch.write_text("[train]\nmax_steps = 1\n[sweep]\nseeds = [0]\n")
    (first,) = sqlite_lab.run(specs[0], patch)
    axes = f'sweep.axes.fusion=[{members}, {{ use = "concat", inputs = ["text"] }}]'
    outcomes = [first, *sqlite_lab.run(specs[1], patch, axes)]
    assert [outcome.error for outcome in outcomes] == [None] * 7
    leave(sqlite_lab.folder, monkeypatch)
    with sqlite_lab.store() as store:
        assert check_runs(store, sqlite_lab.runs) == 7
