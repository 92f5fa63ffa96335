"""Pages of the reference that are made from the code, so that they cannot differ from it.

Commands with their help, the tables of a spec, every installed component with its options, the
tables and views of the database, errors with their exit codes, and the Python interface.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, cast

import click
from sqlalchemy import MetaData

import mmlab.errors
from mmlab.cli import COMMANDS, main
from mmlab.cli.plugins import KINDS, flowing, option_type
from mmlab.plan.options import json_schema
from mmlab.plan.registry import BUILTINS, ComponentEntry, Registry
from mmlab.plan.schema import spec_schema
from mmlab.store import tables, views

Schema = Mapping[str, Any]  # Any: a JSON Schema
#: The pages by their titles, as the navigation lists them.
TITLES = {
    "Every command": "reference/generated/commands.md",
    "Every key of a spec": "reference/generated/spec-keys.md",
    **{f"Each {kind}": f"reference/generated/{kind}.md" for kind in KINDS},
    "Tables and views": "reference/generated/tables.md",
    "Errors and exit codes": "reference/generated/errors.md",
    "Python interface": "reference/generated/python.md",
}


def pages() -> dict[str, str]:
    """The text of each page by where the site has it."""
    registry = Registry.discover(BUILTINS)
    texts = [
        commands(),
        spec_keys(spec_schema(registry)),
        *(components(kind, registry) for kind in KINDS),
        databases(),
        errors(),
        python_interface(),
    ]
    return dict(zip(TITLES.values(), texts, strict=True))


def commands() -> str:
    """The help of every verb and of the verbs below it, as a terminal shows it."""
    parts = ["# Every command", "The help of each, as `mmlab VERB --help` prints it."]
    top = click.Context(main, info_name="mmlab")
    for verb in COMMANDS:
        command = main.get_command(top, verb)
        assert command is not None, verb
        parts += _help(command, click.Context(command, info_name=verb, parent=top), "##")
    return joined(parts)


def _help(command: click.Command, context: click.Context, level: str) -> list[str]:
    parts = [f"{level} {context.command_path}", fenced(command.get_help(context))]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            parts += _help(below, click.Context(below, info_name=name, parent=context), "###")
    return parts


def spec_keys(schema: Schema) -> str:
    """The keys of a spec and of its tables: type, default, meaning."""
    parts = [
        "# Every key of a spec",
        "What `mmlab schema` writes for editors, table by table; components have options of their"
        " own.",
        "## The spec",
        options(schema),
    ]
    for name, table in sorted(schema["$defs"].items()):
        if "properties" in table and name.endswith("Table"):
            parts += [f"## {name.removesuffix('Table')}", table.get("description", "")]
            parts += [options(table)]
    return joined(parts)


def components(kind: str, registry: Registry) -> str:
    """Every installed component of a kind: what it is, and its options."""
    parts = [f"# Each {kind}", 'Each is named by `use = "NAME"` in a spec.']
    for entry in registry.entries(kind):
        parts += _component(entry, registry)
    return joined(parts)


def _component(entry: ComponentEntry, registry: Registry) -> list[str]:
    factory = registry.resolve(entry.kind, entry.name)
    about = flowing(inspect.getdoc(factory) or "")
    return [
        f"## {entry.name}",
        f"`{entry.target}`, from {entry.distribution}.",
        about,
        options(json_schema(factory)),
    ]


def options(schema: Schema) -> str:
    """A table of the properties of a JSON Schema."""
    rows = [
        (f"`{name}`", option_type(one), _default(one), one.get("description", ""))
        for name, one in schema.get("properties", {}).items()
    ]
    return table(("key", "type", "default", "meaning"), rows) if rows else "It has no options."


def _default(option: Schema) -> str:
    return f"`{json.dumps(option['default'], ensure_ascii=False)}`" if "default" in option else ""


def databases() -> str:
    """The views and the tables of a database, with what each column holds."""
    parts = ["# Tables and views", "Views stay as they are from version to version; read those."]
    parts += ["## Views", *_columns(views.metadata), "## Tables", *_columns(tables.metadata)]
    return joined(parts)


def _columns(metadata: MetaData) -> list[str]:
    parts = []
    for one in metadata.sorted_tables:
        rows = [(f"`{c.name}`", str(c.type), c.comment or "") for c in one.columns]
        parts += [f"### {one.name}", one.comment or "", table(("column", "type", "holds"), rows)]
    return parts


def errors() -> str:
    """Every error that mmlab raises on purpose, and what the command then ends with."""
    kinds = [
        one
        for one in vars(mmlab.errors).values()
        if inspect.isclass(one) and issubclass(one, mmlab.errors.MmlabError)
    ]
    rows = [
        (f"`{one.__name__}`", str(one.exit_code), flowing(inspect.getdoc(one) or ""))
        for one in cast(list[type[mmlab.errors.MmlabError]], kinds)
    ]
    return joined(["# Errors and exit codes", table(("error", "exit code", "when"), rows)])


def python_interface() -> str:
    """Every public name of the packages that scripts and plugins import."""
    parts = ["# Python interface", "What scripts and plugins may import; the rest may change."]
    for name in ("mmlab", "mmlab.plugin", "mmlab.testing"):
        module = import_module(name)
        parts += [f"## {name}", inspect.getdoc(module) or ""]
        parts += [_public(f"{name}.{one}", getattr(module, one)) for one in module.__all__]
    return joined(parts)


def _public(name: str, found: object) -> str:
    """What mkdocstrings replaces by signature and docstring; of a value, its name and itself."""
    if inspect.isclass(found) or inspect.isfunction(found):
        return f"::: {found.__module__}.{found.__qualname__}"
    return f"### `{name}`\n\n`{found!r}`"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; cells keep to one line."""
    lines = [list(heads), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def fenced(text: str) -> str:
    """A block of plain text."""
    return f"```text\n{text}\n```"


def joined(parts: Iterable[str]) -> str:
    """Paragraphs as one page."""
    return "\n\n".join(part for part in parts if part) + "\n"
