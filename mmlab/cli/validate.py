"""`mmlab validate` and `mmlab run --dry-run`: everything that can be known without running."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmlab.cli.output import (
    color_option,
    console,
    json_option,
    override_options,
    print_json,
    say,
    table,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath

if TYPE_CHECKING:
    from mmlab.plan.plan import Plan
    from mmlab.spec import Override


@click.command(short_help="Check specs and name every fault in them.")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", type=NamedPath())
@override_options
@json_option
@color_option
@verbosity_options
def validate(
    specs: tuple[Path, ...], overrides: tuple[str, ...], patches: tuple[Path, ...], as_json: bool
) -> None:
    """Check specs and name every fault of all files, each with its line and column.

    Imports the components that the specs use, but reads no data, no weights and no database.

    \b
    Examples:
      mmlab validate experiments/*.toml
      mmlab validate emoji.toml --set train.lr=1e-3
    """
    from mmlab.plan.resolve import plan_specs

    plans = plan_specs(specs, (*patches, *overrides))
    counts = _cell_counts(plans)
    if as_json:
        print_json(specs=[{"path": path, "cells": count} for path, count in counts.items()])
        return
    for path, count in counts.items():
        say(f"{path}: valid, {count} cell{'s' if count != 1 else ''}")


def _cell_counts(plans: Sequence[Plan]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for plan in plans:
        path = str(plan.cell.source.path)
        counts[path] = counts.get(path, 0) + 1
    return counts


def show_plans(specs: Sequence[Path], overrides: Sequence[Override], *, as_json: bool) -> None:
    """Print resolved specs, their cells, and the versions of the plugins they use."""
    from mmlab.plan.resolve import plan_specs

    plans = plan_specs(specs, overrides)
    if as_json:
        print_json(cells=[_cell(plan) for plan in plans], plugins=_plugins(plans))
        return
    out = console()
    for path in _cell_counts(plans):
        first = next(plan for plan in plans if str(plan.cell.source.path) == path)
        out.print(f"# {path}: its first cell, resolved", markup=False)
        click.echo(json.dumps(resolved_spec(first), indent=2, ensure_ascii=False, default=str))
    rows = [(p.cell.experiment, p.cell.index, p.cell.seed, p.cell.label) for p in plans]
    out.print(table(["experiment", "cell", "seed", "what differs"], rows))
    used = [(p["distribution"], p["version"], p["components"]) for p in _plugins(plans)]
    out.print(table(["distribution", "version", "components"], used))


def _cell(plan: Plan) -> dict[str, object]:
    cell = plan.cell
    return {
        "experiment": cell.experiment,
        "index": cell.index,
        "seed": cell.seed,
        "label": cell.label,
        "axes": cell.axes,
        "spec": resolved_spec(plan),
    }


def resolved_spec(plan: Plan) -> dict[str, Any]:
    """A cell's spec with every default, those of its components' options included.

    A width that is matched to a budget is known when the data are.
    """
    spec = plan.cell.spec.model_dump(mode="json", exclude_none=True)
    for where, found in plan.components():
        component: Any = spec  # Any: each step leads into a table or an array
        for key in where:
            component = component[key]
        component.update(found.options)
    if plan.cell.budget is not None and plan.width_option is not None:
        spec["fusion"][plan.width_option] = f"matched to {plan.cell.budget} parameters"
    return spec


def _plugins(plans: Sequence[Plan]) -> list[dict[str, str]]:
    """The distributions the plans draw on, with version and components."""
    used: dict[tuple[str, str], set[str]] = {}
    for entry in (found.entry for plan in plans for _, found in plan.components()):
        origin = (entry.distribution, entry.version)
        used.setdefault(origin, set()).add(f"{entry.kind} {entry.name}")
    return [
        {"distribution": name, "version": version, "components": ", ".join(sorted(components))}
        for (name, version), components in sorted(used.items())
    ]
