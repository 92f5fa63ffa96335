"""What the database alone says of its runs: plans of stored cells, and the hashes they give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mmlab.data.splits import Splits
from mmlab.model.width import WidthMatcher
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import prepare
from mmlab.runner.cells import plan_of, read_cell, write_cell
from mmlab.runner.identity import hash_cell
from mmlab.runner.initial_weights import WeightsFinder
from mmlab.store import CellRow, RunDetail, Store
from support.lab import ENCODERS, TOY, TRAIN
from support.toys import LABELS

IMAGE, TEXT = (f"{table.strip()}\n" for table in ENCODERS.split("\n\n"))
ONE_EPOCH = TRAIN.replace("epochs = 2", "epochs = 1")


def toy(**tables: str) -> tuple[str, ...]:
    """The toy spec with some of its tables replaced, trained for one epoch."""
    names = ("dataset", "encoders", "fusion", "losses", "train", "evaluate")
    given = dict(zip(names, TOY, strict=True)) | {"train": ONE_EPOCH} | tables
    return tuple(given.values())


def write_rows(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    splits = ("train", "train", "validation", "test", "train")
    lines = [f"number {i},{LABELS[i % 2]!r},{splits[i % 5]}" for i in range(30)]
    (folder / "rows.csv").write_text("\n".join(["text,label,split", *lines, ""]))


MANIFEST = (
    '[dataset]\nuse = "manifest"\npath = "rows.csv"\ntext_columns = ["text"]\n'
    'label_column = "label"\nsplit_column = "split"\n'
)


def leave(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go elsewhere, where no relative path leads back, and take every spec file away."""
    for spec in [*folder.rglob("*.toml")]:
        shutil.move(spec, spec.with_suffix(".gone"))
    elsewhere = folder / "far" / "away" / "from" / "here"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)


def check_runs(store: Store, runs_folder: Path) -> int:
    """Every run of a store is identified from the store alone; returns how many there are.

    Both by the plan that it executed, and by its cell as it was asked, which a worker would read.
    """
    registry, rows = Registry.discover(BUILTINS), store.runs()
    for row in rows:
        detail = store.run_detail(row.run_id)
        executed, asked = plan_of(detail, registry), _asked(detail, registry)
        for plan in (executed, asked):
            assert _train_hash(plan, store, runs_folder) == row.train_hash, (row.cell, plan.cell)
            assert _train_hash(matched(plan), store, runs_folder) == row.train_hash
        assert repr(write_cell(prepare(asked.cell, registry))) == repr(detail.cell)
        assert executed.cell.index == asked.cell.index
    return len(rows)


def _asked(detail: RunDetail, registry: Registry) -> Plan:
    assert detail.cell is not None
    return matched(prepare(read_cell(detail.cell), registry))


def matched(plan: Plan) -> Plan:
    """The plan with the width that its budget asks for, if it has one."""
    return WidthMatcher(Splits()).match(plan)


def _train_hash(plan: Plan, store: Store, runs_folder: Path) -> str:
    sources = WeightsFinder(store, runs_folder).find(plan)
    return hash_cell(plan, Splits().revisions(plan), sources).train


def written_again(row: CellRow, registry: Registry) -> CellRow:
    """A cell read from its row, planned, and written."""
    return write_cell(prepare(read_cell(row), registry))
