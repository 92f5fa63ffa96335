"""`mmlab plugins new`: a whole distribution with one working component, from templates.

A kind is a folder of `plugin_templates`, of the component's module and an example spec, beside what
every kind has; a file that it has too takes that one's place. Adding a kind needs no code.
"""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from string import Template

import click

from mmlab.cli.output import color_option, say, verbosity_options
from mmlab.errors import UsageError, explain

TEMPLATES = Path(__file__).parent / "plugin_templates"
_EVERY = "every"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


def kinds() -> list[str]:
    """The kinds that have templates."""
    return sorted(folder.name for folder in TEMPLATES.iterdir() if folder.name != _EVERY)


@click.command("new")
@click.argument("kind", type=click.Choice(kinds()))
@click.argument("name")
@color_option
@verbosity_options
def new(kind: str, name: str) -> None:
    """Write a distribution NAME with one component of a kind, which works and passes its check.

    A folder of that name with entry point, component, its tests, an example spec, README, licence
    and a file for CI. Nothing is ever overwritten.

    \b
    Examples:
      mmlab plugins new fusion my-fusion
      mmlab plugins new dataset our-scans
    """
    from mmlab.cli.init import SCHEMA_NAME
    from mmlab.cli.schema import schema_text

    folder = Path(name)
    _require_free(name, folder)
    files = {**_files(kind, name), SCHEMA_NAME: schema_text()}
    _write(folder, files)
    say(f"wrote {folder} with {len(files)} files")
    say(f"next: pip install -e ./{name} && mmlab plugins check {name}")


def _require_free(name: str, folder: Path) -> None:
    """Raise UsageError unless the name is one for a distribution that nothing has yet."""
    module = name.replace("-", "_")
    fault, step = "", "choose another name: mmlab-NAME, say"
    if not _NAME.match(name):
        fault = "is no name for a distribution: small letters, digits and single hyphens"
    elif keyword.iskeyword(module) or module in sys.stdlib_module_names or find_spec(module):
        fault = f"a module {module!r} exists already"
    elif folder.exists():
        fault, step = "there is such a file or folder already", "work elsewhere, or rename it"
    if fault:
        raise UsageError(
            explain(
                f"plugins new: {name}",
                fault,
                found=repr(name),
                allowed="a new name, as my-fusion",
                next_step=step,
            )
        )


def _files(kind: str, name: str) -> dict[str, str]:
    """The distribution's files by path, their blanks filled in."""
    from mmlab.plan.discover import HOOKS

    component = name.replace("-", "_")
    words = {
        "kind": kind,
        "name": name,
        "module": component,
        "component": component,
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "hook": HOOKS[kind],
    }
    files = {}
    for folder in (TEMPLATES / _EVERY, TEMPLATES / kind):
        for file in sorted(folder.rglob("*.txt")):
            path = file.relative_to(folder).as_posix().removesuffix(".txt")
            text = Template(file.read_text("utf-8"))
            files[path.replace("_component_", component)] = text.substitute(words)
    return files


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write the files; the folder appears whole or not at all."""
    from mmlab.plugin import Scratch

    scratch = Scratch(folder.absolute().parent)
    try:
        made = scratch.path / folder.name
        for path, text in files.items():
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        made.rename(folder)
    finally:
        scratch.close()
