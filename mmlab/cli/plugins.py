"""`mmlab plugins`: which components are installed, and what each can be set to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
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
from mmlab.cli.plugins_check import check
from mmlab.cli.plugins_new import new
from mmlab.errors import UsageError, explain, visible

if TYPE_CHECKING:
    from mmlab.plan.registry import ComponentEntry, PluginFailure, Registry


KINDS = (
    "dataset",
    "encoder",
    "fusion",
    "head",
    "generator",
    "loss",
    "optimizer",
    "schedule",
    "evaluator",
    "metric",
)
#: The kinds in words.
_KINDS = ", ".join(KINDS)
#: Columns of what these commands write where no terminal says how many there are.
WIDTH = 80


@click.group(short_help="List, show, check and begin plugins.")
def plugins() -> None:
    """List the installed components, show one, check some, or begin a plugin of your own."""


plugins.add_command(check)
plugins.add_command(new)


@plugins.command("list")
@click.option("--kind", type=click.Choice(KINDS), metavar="KIND", help=f"Only one of {_KINDS}.")
@json_option
@color_option
@verbosity_options
def list_components(kind: str | None, as_json: bool) -> None:
    """List every component that a spec can name, with a line on what it is.

    Also every plugin that failed to load. Lines are cut to the terminal's width.

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
    _print_kinds(rows)
    for row in rows:
        if row["state"] != "ok":
            say(f"{row['distribution']} {row['version']}: {row['reason']}")


@plugins.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    metavar="KIND",
    help="Which, where several kinds have the name.",
)
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
    out = console(pipe_width=WIDTH)
    out.print(f"{entry.kind} {entry.name}: {entry.target}", markup=False)
    out.print(f"from {entry.distribution} {entry.version}\n", markup=False)
    out.print(flowing(inspect.getdoc(factory) or ""), markup=False)
    columns = ["option", "type", "default", "meaning"]
    out.print(table(columns, _options(schema), whole=["option"]))


def _print_kinds(rows: Sequence[Mapping[str, object]]) -> None:
    """Under each kind its components, a line each."""
    out = console(pipe_width=WIDTH)
    for kind, of_kind in groupby(rows, key=lambda row: row["kind"]):
        lines = [(str(row["name"]), visible(_line(row))) for row in of_kind]
        wide = max(len(name) for name, _ in lines)
        out.print(f"{kind}", style="bold", markup=False)
        for name, said in lines:
            text = f"  {visible(name):{wide}}  {said}".rstrip()
            out.print(text, markup=False, no_wrap=True, overflow="ellipsis")


def _line(row: Mapping[str, object]) -> str:
    """What a component is, or that it cannot be used and whose it is."""
    if row["state"] == "ok":
        return str(row["about"])
    return f"{row['state']}, of {row['distribution']} {row['version']}"


def flowing(text: str) -> str:
    """A docstring whose paragraphs are a line each, for whatever width; code and lists stay.

    >>> flowing("One\\ntwo.\\n\\n- a\\n  b\\n\\nThree.")
    'One two.\\n\\n- a\\n  b\\n\\nThree.'
    """
    return "\n\n".join(map(_flowing_paragraph, text.split("\n\n")))


def _flowing_paragraph(paragraph: str) -> str:
    lines = paragraph.split("\n")
    if any(line.startswith((" ", "- ", ">>>")) for line in lines):
        return paragraph
    return " ".join(lines)


def _discover() -> Registry:
    from mmlab.plan.registry import BUILTINS, Registry

    return Registry.discover(BUILTINS)


def _entry(entry: ComponentEntry) -> dict[str, object]:
    from mmlab.plan.about import describe_target

    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "state": entry.state,
        "reason": entry.reason,
        "target": entry.target,
        "about": describe_target(entry.target),
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
        "about": "",
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
