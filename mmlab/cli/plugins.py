"""`mmlab plugins`: which components are installed, and what each can be set to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import click

from mmlab.cli.output import (
    color_option,
    console,
    json_option,
    print_json,
    say,
    table,
    verbosity_options,
)
from mmlab.errors import UsageError, explain

if TYPE_CHECKING:
    from mmlab.plan.registry import ComponentEntry, PluginFailure, Registry


KINDS = ("dataset", "encoder", "fusion", "head", "loss", "optimizer", "schedule", "evaluator")
COLUMNS = ("kind", "name", "distribution", "version", "state")


@click.group(short_help="List the installed components, or show one.")
def plugins() -> None:
    """List the installed components, or show one with its options."""


@plugins.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only components of this kind.")
@json_option
@color_option
@verbosity_options
def list_components(kind: str | None, as_json: bool) -> None:
    """List every component that a spec can name, and every plugin that failed to load.

    \b
    Examples:
      mmlab plugins list
      mmlab plugins list --kind fusion --json
    """
    registry = _discover()
    rows = [_entry(entry) for entry in registry.entries(kind)]
    rows += [_failure(failure) for failure in registry.failures if kind is None]
    if as_json:
        print_json(components=rows)
        return
    console().print(table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows]))
    for row in rows:
        if row["state"] != "ok":
            say(f"{row['distribution']} {row['version']}: {row['reason']}")


@plugins.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), help="Which, where several kinds have the name.")
@json_option
@color_option
@verbosity_options
def show(name: str, kind: str | None, as_json: bool) -> None:
    """Show what a component is and which options a spec may set.

    \b
    Examples:
      mmlab plugins show gating
      mmlab plugins show transformer --kind encoder --json
    """
    registry = _discover()
    entry = _find(registry, name, kind)
    factory = registry.resolve(entry.kind, entry.name)
    schema = _schema(factory)
    if as_json:
        print_json(component=_entry(entry), about=inspect.getdoc(factory), options=schema)
        return
    out = console()
    out.print(f"{entry.kind} {entry.name}: {entry.target}", markup=False)
    out.print(f"from {entry.distribution} {entry.version}\n", markup=False)
    out.print(inspect.getdoc(factory) or "", markup=False)
    out.print(table(["option", "type", "default", "meaning"], _options(schema)))


def _discover() -> Registry:
    from mmlab.plan.registry import BUILTINS, Registry

    return Registry.discover(BUILTINS)


def _entry(entry: ComponentEntry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "state": entry.state,
        "reason": entry.reason,
        "target": entry.target,
    }


def _failure(failure: PluginFailure) -> dict[str, object]:
    """A plugin that could not be loaded, so that nobody knows its components."""
    return {
        "kind": "plugin",
        "name": failure.entry_point,
        "distribution": failure.distribution,
        "version": failure.version,
        "state": "broken",
        "reason": failure.reason,
        "target": None,
    }


def _find(registry: Registry, name: str, kind: str | None) -> ComponentEntry:
    """The one component of a name; UsageError when there is none, or several kinds have it."""
    found = [entry for entry in registry.entries(kind) if entry.name == name]
    if len({entry.kind for entry in found}) == 1:
        return found[0]
    known = sorted({f"{e.name} ({e.kind})" for e in found or registry.entries(kind)})
    fault = "several kinds have this name" if found else "no component has this name"
    step = "add --kind" if found else "mmlab plugins list"
    raise UsageError(
        explain("plugins show", fault, found=repr(name), allowed=", ".join(known), next_step=step)
    )


def _schema(factory: Callable[..., object]) -> Mapping[str, object]:
    from mmlab.plan.options import json_schema

    schema: Mapping[str, object] = json_schema(factory)
    return schema


def _options(schema: Mapping[str, object]) -> list[list[object]]:
    properties = cast(Mapping[str, Mapping[str, object]], schema.get("properties", {}))
    return [
        [name, option_type(option), option.get("default"), option.get("description")]
        for name, option in properties.items()
    ]


def option_type(option: Mapping[str, object]) -> str:
    """An option's JSON Schema in a few words.

    >>> option_type({"type": "integer", "minimum": 1}), option_type({"enum": ["u", "v"]})
    ('integer >= 1', 'u | v')
    """
    if "enum" in option:
        return " | ".join(map(str, cast(list[object], option["enum"])))
    if "anyOf" in option:
        return " | ".join(map(option_type, cast(list[Mapping[str, object]], option["anyOf"])))
    words = [str(option.get("type", "any"))]
    bounds = {
        "minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<",
    }  # fmt: skip
    words += [f"{sign} {option[key]}" for key, sign in bounds.items() if key in option]
    return " ".join(words)
