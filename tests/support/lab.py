"""A folder with the toys installed, in which specs are written, run, and looked at."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest
from torch import Tensor

from mmlab.model.weights import load_weights
from mmlab.records import Progress
from mmlab.runner.coordinator import Outcome
from mmlab.runner.runner import RunOptions, run_specs
from mmlab.runner.worker import WorkOptions
from mmlab.spec import Override
from mmlab.store import RunDetail, Store, open_store
from support.store_values import dump, results_of

DATASET = '[dataset]\nuse = "clusters"\n'
ENCODERS = '[encoders.image]\nuse = "toy"\n\n[encoders.text]\nuse = "toy"\n'
CONCAT = '[fusion]\nuse = "concat"\ndim = 8\n\n[head]\nuse = "linear"\n'
SCRIPTED = '[[losses]]\nuse = "scripted"\n'
TRAIN = "[train]\nepochs = 2\nbatch_size = 8\nlr = 0.01\nemit_every = 1\n"
CLASSIFICATION = '[[evaluate]]\nuse = "classification"\n'
ZERO_SHOT = '[[evaluate]]\nuse = "zero_shot"\n'
RETRIEVAL = '[[evaluate]]\nuse = "retrieval"\n'

#: Labels of clusters are learnt with a head.
TOY = (DATASET, ENCODERS, CONCAT, SCRIPTED, TRAIN, CLASSIFICATION)
#: Images and texts find each other, without a head.
PAIRED = (
    DATASET,
    ENCODERS,
    '[fusion]\nuse = "inner_product"\ndim = 8\n',
    '[[losses]]\nuse = "info_nce"\n',
    TRAIN,
    ZERO_SHOT,
)


@dataclass
class Shown:
    """What a person at the terminal is shown."""

    notes: list[str] = field(default_factory=list)
    progressed: list[Progress] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        self.progressed.append(progress)

    def finished(self, outcome: Outcome) -> None:
        self.ended.append(outcome)


@dataclass
class Lab:
    """Specs and weights in one folder, results in one database."""

    folder: Path
    db: str
    shown: Shown = field(default_factory=Shown)

    def write(self, name: str, tables: Sequence[str] = TOY, *more: str) -> Path:
        """A spec of these tables; its experiment has the file's name."""
        path = self.folder / f"{name}.toml"
        head = f'schema_version = 1\nname = "{name}"\n'
        path.write_text("\n".join([head, *tables, *more]), encoding="utf-8")
        return path

    def run(
        self, specs: Path | Sequence[Path], *overrides: Override, **options: object
    ) -> list[Outcome]:
        """Outcomes of running specs on the CPU, with overrides."""
        paths = [specs] if isinstance(specs, Path) else list(specs)
        return run_specs(paths, here(self.db, *overrides, **options), self.shown)

    def statuses(
        self, specs: Path | Sequence[Path], *overrides: Override, **options: object
    ) -> list[str]:
        """Statuses of the outcomes."""
        return [outcome.status for outcome in self.run(specs, *overrides, **options)]

    def run_one(self, spec: Path, *overrides: Override, **options: object) -> RunDetail:
        """All about the run of a spec of one cell, which must go well."""
        (outcome,) = self.run(spec, *overrides, **options)
        assert outcome.error is None, outcome.error
        assert outcome.run_id is not None
        return self.detail(outcome.run_id)

    def weights(self, detail: RunDetail, role: str = "best") -> dict[str, Tensor]:
        """The tensors that a run left."""
        (path,) = [kept.path for kept in detail.artifacts if kept.role == role]
        return load_weights(self.runs / path)

    @property
    def runs(self) -> Path:
        """The folder of weights."""
        return self.folder / "mmlab-runs"

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The database, open."""
        with open_store(self.db) as store:
            yield store

    def detail(self, name: str) -> RunDetail:
        """All about one run."""
        with self.store() as store:
            return store.run_detail(store.find_run(name).run_id)

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        return dump(self.db)

    def kept(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row but those that say what was asked, and when."""
        return results_of(self.db)

    def row_counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: len(rows) for name, rows in self.dump().items()}

    def script(self, text: str = "") -> str:
        """Write the script of `scripted`; returns the override that makes the loss read it."""
        path = self.folder / "script"
        path.write_text(text)
        return f'losses.0.script="{path}"'

    @property
    def trained_steps(self) -> int:
        """Training steps that the scripted loss has seen, in all tries."""
        log = self.folder / "script.log"
        return len(log.read_text().splitlines()) if log.exists() else 0


def here(db: str, *overrides: Override, **options: object) -> RunOptions:
    """Options of a command that executes cells in this process, on the CPU."""
    names = {one.name for one in fields(WorkOptions)}
    work = {key: value for key, value in options.items() if key in names}
    given = {key: value for key, value in options.items() if key not in names}
    return RunOptions(
        db,
        overrides=overrides,
        device="cpu",
        work=WorkOptions(**work),  # type: ignore[arg-type]
        **{"in_process": True, **given},  # type: ignore[arg-type]
    )


def install(
    monkeypatch: pytest.MonkeyPatch, site: Path, module: str = "toys", *, version: str = "1.0"
) -> None:
    """Make a module of support look like an installed plugin distribution, `<module>-mmlab`."""
    record = site / f"{module}_mmlab-{version}.dist-info"
    record.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {module}-mmlab\nVersion: {version}\n"
    (record / "METADATA").write_text(metadata)
    (record / "entry_points.txt").write_text(f"[mmlab]\n{module} = support.{module}\n")
    monkeypatch.syspath_prepend(str(site))


def child_environment() -> dict[str, str]:
    """The environment of a process that finds what this one has installed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
