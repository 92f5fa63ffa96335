"""Write, read, write: the same, for specs that nobody would write; hashes stay, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from support.generated_specs import FILES, Generated, specs
from support.lab import Lab, install
from support.stored_cells import matched

from mmlab.errors import SpecError
from mmlab.model.build import InitialWeights
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import prepare
from mmlab.runner.cells import describe_run, plan_of, read_cell, write_cell
from mmlab.runner.identity import Hashes, hash_cell
from mmlab.spec import expand, load_spec

REVISIONS = {"train": "revision"}


@pytest.fixture
def odd_lab(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab with folders of specs, and in them the files that options may name."""
    install(monkeypatch, sqlite_lab.folder / "odd", "odd_options")
    for place in ("specs", "specs/base"):
        for name in FILES:
            path = sqlite_lab.folder / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{place} {name}")
    (sqlite_lab.folder / "away").mkdir()
    return sqlite_lab


def plans_of(folder: Path, generated: Generated, registry: Registry) -> list[Plan]:
    """The plans of a generated spec, whose files are read in its folder by relative paths."""
    os.chdir(folder)
    (folder / "main.toml").write_text(generated.main, encoding="utf-8")
    (folder / "base" / "base.toml").write_text(generated.base, encoding="utf-8")
    (folder / "patch.toml").write_text(generated.patch, encoding="utf-8")
    try:
        file = load_spec("main.toml", (Path("patch.toml"), *generated.overrides))
        return [prepare(cell, registry) for cell in expand(file)]
    except SpecError:  # sum and max join several inputs, a sweep has no cell twice
        assume(False)
        raise


def sources_of(plan: Plan) -> dict[str, InitialWeights]:
    """Weights that encoders of a plan would have found, without any store."""
    asked = {key: plan.cell.spec.encoders[key].weights for key in plan.encoders}
    return {
        key: InitialWeights(Path("best"), f"sha256 of {table.run}", table.encoder or key, "f00d")
        for key, table in asked.items()
        if table is not None and table.run is not None
    }


def hashes_of(plan: Plan) -> Hashes:
    """The hashes of a plan, on data and weights that do not matter."""
    return hash_cell(plan, REVISIONS, sources_of(plan))


def _runs_of(plan: Plan) -> set[str | None]:
    tables = [plan.cell.spec.encoders[key].weights for key in plan.encoders]
    return {table.run for table in tables if table is not None and table.run is not None}


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(generated=specs())
def test_what_is_written_is_read_as_it_was(odd_lab: Lab, generated: Generated) -> None:
    registry = Registry.discover(BUILTINS)
    with odd_lab.store() as store:
        for asked in plans_of(odd_lab.folder / "specs", generated, registry):
            plan, initial = matched(asked), sources_of(asked)
            hashes = hashes_of(plan)
            run = store.submit(describe_run(asked, plan, hashes, initial))
            os.chdir(odd_lab.folder / "away")
            detail = store.run_detail(run.run_id)
            assert detail.cell is not None
            again = prepare(read_cell(detail.cell), registry)
            assert repr(write_cell(again)) == repr(detail.cell)
            assert hashes_of(matched(again)) == hashes
            executed = plan_of(detail, registry)
            assert hash_cell(executed, REVISIONS, initial) == hashes
            assert _runs_of(executed) == {source.run_id for source in initial.values()}
            os.chdir(odd_lab.folder / "specs")
