"""Cells written for the store and read back: `read_cell` is the inverse of `write_cell`.

A plan made of a stored cell identifies the same run, with no spec file at hand and from any working
directory. What a cell leaves open until it is executed, which run's weights an encoder starts from
and which width meets a budget, is kept with its run; `plan_of` puts it in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from mmlab.errors import MmlabError, PluginError, UsageError, explain
from mmlab.hashing import ordered_json
from mmlab.model.build import InitialWeights
from mmlab.model.width import with_width
from mmlab.plan.content import map_paths
from mmlab.plan.plan import Plan, where_of
from mmlab.plan.registry import Registry
from mmlab.plan.resolve import prepare
from mmlab.plugin import GENERATED
from mmlab.runner.identity import Hashes
from mmlab.spec import Cell, Spec, SpecFile
from mmlab.spec.document import Document
from mmlab.spec.places import SourceText
from mmlab.store import CellRow, RunDetail, RunIdentity, SpecRow

#: The tables of a spec by their keys; a spec nests tables and arrays of any values.
Tables = dict[str, Any]


def write_cell(plan: Plan) -> CellRow:
    """The cell of a plan as it is stored: whole, in plain values that need no file beside them.

    The width of the fusion is left out where a budget sets it.
    """
    cell, file, resolved = plan.cell, plan.cell.source, _resolved(plan)
    if cell.budget is not None and plan.width_option is not None:
        del resolved["fusion"][plan.width_option]
    overrides = {
        "set": list(file.overrides),
        "files": [{"name": patch.name, "text": patch.text} for patch in file.patches],
    }
    return CellRow(
        spec=SpecRow(file.path.name, file.text, _plain(file.spec.model_dump(mode="json"))),
        experiment=cell.experiment,
        position=cell.index,
        seed=cell.seed,
        label=cell.label,
        axes=_plain(cell.axes),
        overrides=overrides,
        budget=cell.budget,
        resolved=_plain(resolved),
    )


def read_cell(row: CellRow) -> Cell:
    """The cell that was stored, as a spec file gives it.

    Messages name the file without a line, for its text may be another's by now. A cell of unknown
    position counts as the first.
    """
    document = Document(SourceText(row.spec.name, ""), row.resolved, {})
    overrides: Tables = dict(row.overrides or {"set": (), "files": ()})
    file = SpecFile(
        path=Path(row.spec.name),
        text=row.spec.text,
        spec=_read_spec(row.spec.resolved),
        overrides=tuple(overrides["set"]),
        document=document,
        patches=tuple(SourceText(**patch) for patch in overrides["files"]),
    )
    return Cell(
        experiment=row.experiment,
        index=row.position or 0,
        seed=row.seed,
        spec=_read_spec(row.resolved),
        axes=row.axes,
        label=row.label,
        source=file,
        budget=row.budget,
    )


def describe_run(
    asked: Plan, plan: Plan, hashes: Hashes, initial: Mapping[str, InitialWeights]
) -> RunIdentity:
    """A cell as it is submitted: as it was `asked`, and as the `plan` of its run has it."""
    resolved = _resolved(plan)
    for key, source in initial.items():
        if source.run_id is not None:
            _table_of(resolved, key)["weights"]["run"] = source.run_id
    return RunIdentity(write_cell(asked), _plain(resolved), hashes.train, hashes.group)


def plan_of(detail: RunDetail, registry: Registry) -> Plan:
    """The plan that a run executed: with the weights that it found and the width that it matched.

    Of several cells that are this run the one submitted last, whose paths are the newest. Raises
    UsageError for a run that was imported, else as `prepare`.
    """
    if detail.cell is None:
        raise _imported(detail)
    asked, executed = _plain(detail.cell.resolved), cast(Tables, detail.resolved)
    for key, table in _reading(asked).items():
        if (table["weights"] or {}).get("run"):
            table["weights"]["run"] = _table_of(executed, key)["weights"]["run"]
    try:
        plan = prepare(read_cell(replace(detail.cell, resolved=asked)), registry)
    except MmlabError as error:
        missing = _without_plugins(detail)
        if missing is None:
            raise
        raise missing from error
    option = plan.width_option
    if plan.cell.budget is None or option is None:
        return plan
    return with_width(plan, option, executed["fusion"][option])


def _without_plugins(detail: RunDetail) -> PluginError | None:
    """That a run needs distributions which are not installed any more, if it does."""
    used = cast(Mapping[str, Mapping[str, object]], detail.provenance.get("plugins") or {})
    missing = [f"{name}=={about.get('version')}" for name, about in used.items() if _lacks(name)]
    if not missing:
        return None
    return PluginError(
        explain(
            f"run {detail.run.run_id}",
            "it was made with plugins that are not installed; what is stored of it can be read",
            found=f"nothing of {', '.join(missing)}",
            allowed="the distributions that its components came from",
            next_step=f"pip install {' '.join(missing)}",
        )
    )


def _lacks(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return True
    return False


def _resolved(plan: Plan) -> Tables:
    """The cell's spec, its axes applied, every option with its value or default, paths absolute.

    The inputs of the fusion are named: they are the encoders in their order unless the spec says
    otherwise.
    """
    spec: Tables = plan.cell.spec.model_dump(mode="json")
    document = plan.cell.source.document
    for where, component in plan.components():
        table: Any = spec
        for key in where:
            table = table[key]
        table |= map_paths(component.options, Path.absolute)
    for key, encoder in plan.unread.items():
        spec["encoders"][key] |= map_paths(encoder.options, Path.absolute)
    for key, table in _reading(spec).items():
        if (table["weights"] or {}).get("file"):
            folder = document.folder((*where_of(key), "weights", "file"))
            table["weights"]["file"] = (folder / table["weights"]["file"]).absolute()
    spec["fusion"]["inputs"] = list(plan.inputs)
    return spec


def _reading(spec: Tables) -> Tables:
    """The tables of what reads samples, by its key: encoders, and a generator."""
    generator = spec.get("generator")
    return {**spec["encoders"], **({GENERATED: generator} if generator else {})}


def _table_of(spec: Tables, key: str) -> Any:  # as Tables
    return _reading(spec)[key]


def _plain(values: Mapping[str, object]) -> Tables:
    """The values as JSON has them, in their order."""
    return cast(Tables, json.loads(ordered_json(values)))


def _read_spec(values: Mapping[str, object]) -> Spec:
    return Spec.model_validate_json(ordered_json(values))


def _imported(detail: RunDetail) -> UsageError:
    return UsageError(
        explain(
            f"run {detail.run.run_id}",
            "it was not executed here, so it has neither a spec nor weights",
            found=f"{detail.run.cell}, imported from {detail.run.origin}",
            allowed="a run that mmlab executed",
            next_step="name one of your own: mmlab ls",
        )
    )
