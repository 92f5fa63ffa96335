"""A finished run as Python objects again: its modules with the weights it left."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from mmlab.data.splits import Splits
from mmlab.errors import UsageError, WeightsError, explain
from mmlab.model.build import BuiltCell, InitialWeights, build
from mmlab.model.device import resolve_device
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.runner.cells import plan_of
from mmlab.runner.initial_weights import StoredRuns, WeightsFinder
from mmlab.runner.provenance import describe_weights
from mmlab.store import RunDetail, open_store

Role = Literal["best", "final"]


def load_run(
    run: str,
    db: str | Path | None = None,
    *,
    device: str = "cpu",
    weights: Role = "best",
    runs: str | Path | None = None,
) -> tuple[BuiltCell, RunDetail]:
    """The modules of a finished run with its weights, and all that is stored of it; see `load`."""
    chosen = resolve_device(device)
    if runs is not None and not str(runs).strip():
        raise UsageError(
            explain(
                "runs",
                "an empty text names no folder",
                found=repr(runs),
                allowed="the folder of weights, or None for that beside the database",
                next_step="name the folder, or leave runs out",
            )
        )
    with open_store(address_of(db)) as store:
        detail = store.run_detail(store.find_run(run).run_id)
        plan = plan_of(detail, Registry.discover(BUILTINS))
        folder = Path(runs or os.environ.get("MMLAB_RUNS") or store.runs_folder)
        built = rebuild(plan, detail, store, folder, Splits(), weights)
    built.step.to(chosen).eval()
    return built, detail


def address_of(db: str | Path | None) -> str:
    """A database's address, by itself that of the environment or mmlab.db."""
    return str((os.environ.get("MMLAB_DB") or "mmlab.db") if db is None else db)


def rebuild(
    plan: Plan,
    detail: RunDetail,
    store: StoredRuns,
    runs: Path,
    splits: Splits,
    role: Role = "best",
) -> BuiltCell:
    """The modules of a done run on the CPU, with the weights of a role put back."""
    if plan.cell.spec.train is None:
        finder = WeightsFinder(store, runs)
        initial = finder.find(plan)
        built = build(plan, splits, initial, files=finder.files)
        _require_same(detail, {key: describe_weights(built, initial)[key] for key in initial})
        return built
    artifact = next((kept for kept in detail.artifacts if kept.role == role), None)
    if artifact is None:
        raise _no_weights(detail, role)
    return build(
        plan, splits, {}, trained=InitialWeights(runs / artifact.path, artifact.sha256, None)
    )


def _require_same(detail: RunDetail, origins: Mapping[str, str]) -> None:
    """Raise WeightsError where an encoder starts from something else than it was evaluated with."""
    recorded = cast(Mapping[str, str], detail.summary.get("weights", {}))
    changed = {key: origin for key, origin in origins.items() if recorded.get(key) != origin}
    if not changed:
        return
    key, origin = next(iter(changed.items()))
    raise WeightsError(
        explain(
            f"run {detail.run.run_id}: encoders.{key}.weights",
            "these are not those that were evaluated",
            found=origin,
            allowed=recorded.get(key, "nothing: the run recorded none"),
            next_step="restore the file, or run the experiment again",
        )
    )


def _no_weights(detail: RunDetail, role: str) -> WeightsError:
    kept = ", ".join(artifact.role for artifact in detail.artifacts)
    return WeightsError(
        explain(
            f"run {detail.run.run_id}",
            f"has no {role} weights",
            found=f"status {detail.run.status}; weights: {kept or 'none'}",
            allowed="a done run that was trained",
            next_step="choose another run (mmlab ls), or run the experiment again",
        )
    )
