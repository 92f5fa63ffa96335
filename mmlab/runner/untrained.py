"""A model that no run has trained: made of a spec without [train], for inputs of one's own.

Neither a data set nor a run is needed: pretrained encoders bring their weights, and what else is
read of data, the shape of an input, blank values show.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from mmlab.data.given import GivenSamples
from mmlab.data.splits import Splits
from mmlab.errors import UsageError, explain
from mmlab.model.build import BuiltCell, InitialWeights, build
from mmlab.model.device import resolve_device
from mmlab.model.weights import WeightsReader
from mmlab.plan.component import oom_as_fault
from mmlab.plan.plan import Plan
from mmlab.plan.registry import Registry
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import Dataset
from mmlab.runner.initial_weights import WeightsFinder, weights_of_files
from mmlab.runner.load import address_of
from mmlab.runner.provenance import describe_weights
from mmlab.spec import Override
from mmlab.store import open_store


def load_spec_model(
    path: Path,
    overrides: Sequence[Override],
    db: str | Path | None,
    *,
    device: str,
    runs: str | Path | None,
    note: Callable[[str], None],
) -> BuiltCell:
    """The model of a spec without [train], in eval mode; `note` hears of weights that are random.

    A database is opened only where an encoder starts from a run. Raises SpecError, PluginError,
    WeightsError, DataError, or UsageError for a spec that trains or has several cells.
    """
    chosen, plan = resolve_device(device), _only_plan(path, overrides)
    initial, files = _initial_weights(plan, db, runs)
    with oom_as_fault(str(path), "the modules of this spec"):
        built = build(plan, _data_of(plan), initial, files=files)
        built.step.to(chosen).eval()
    for key, origin in describe_weights(built, initial).items():
        if "random" in origin:
            note(f"encoders.{key}: its weights are random, and so are its ranks ({origin})")
    return built


class BlankData(Splits):
    """Stands for data of which nothing is read but the shapes of inputs."""

    def __init__(self, blank: Dataset) -> None:
        super().__init__()
        self._blank = blank

    def reference(self, plan: Plan) -> Dataset:
        """One blank sample."""
        return self._blank


#: A value of each modality, like any other in the shape of what an encoder makes of it.
BLANKS: Mapping[str, Callable[[], object]] = {
    "image": lambda: Image.new("RGB", (64, 64)),
    "text": lambda: "",
    "audio": lambda: (torch.zeros(1, 16_000), 16_000),
    "video": lambda: torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
}


def _data_of(plan: Plan) -> Splits:
    """The data that a model is made for; none are read where no head and no loss is."""
    modalities = {plan.modality(key) for key in plan.encoders}
    if plan.head is not None or plan.losses or not modalities <= BLANKS.keys():
        return Splits()
    columns = {modality: [BLANKS[modality]()] for modality in sorted(modalities)}
    return BlankData(GivenSamples(columns, Registry([], [])))


def _only_plan(path: Path, overrides: Sequence[Override]) -> Plan:
    plans = plan_specs([path], overrides)
    if plans[0].cell.spec.train is not None:
        raise _is_trained(path, plans[0])
    if len({plan.cell.label for plan in plans}) > 1:
        raise _several_cells(path, plans)
    return plans[0]


def _initial_weights(
    plan: Plan, db: str | Path | None, runs: str | Path | None
) -> tuple[dict[str, InitialWeights], WeightsReader]:
    if not any(table.run for table in plan.weights_tables.values()):
        files = WeightsReader()
        return weights_of_files(plan, files), files
    with open_store(address_of(db)) as store:
        folder = Path(runs or os.environ.get("MMLAB_RUNS") or store.runs_folder)
        finder = WeightsFinder(store, folder)
        return finder.find(plan), finder.files


def _is_trained(path: Path, plan: Plan) -> UsageError:
    name = plan.cell.experiment
    return UsageError(
        explain(
            str(path),
            "this spec trains its model, and a spec holds no weights",
            found="a [train] table",
            allowed="a run of it, or a spec without [train], whose encoders are pretrained",
            next_step=f"train it with mmlab run {path}, then name its run: mmlab rank {name} ...",
        )
    )


def _several_cells(path: Path, plans: Sequence[Plan]) -> UsageError:
    labels = list(dict.fromkeys(plan.cell.label for plan in plans))
    shown = "; ".join(labels[:3])
    return UsageError(
        explain(
            str(path),
            "this spec has several cells, and one model is asked",
            found=f"{len(labels)} cells: {shown}{' ...' if len(labels) > 3 else ''}",
            allowed="a spec of one cell",
            next_step="name a spec without these axes in [sweep.axes]",
        )
    )
