"""`mmlab schema`: the JSON Schema of specs, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mmlab.cli.output import color_option, say, verbosity_options
from mmlab.cli.settings import NamedPath


@click.command(short_help="Write the JSON Schema of specs, for editors.")
@click.option("--out", type=NamedPath(), help="A file instead of stdout.")
@color_option
@verbosity_options
def schema(out: Path | None) -> None:
    """Write the JSON Schema of specs here, with the options of every installed plugin.

    Editors complete and check a spec whose first line names the file:
    `#:schema ./mmlab.schema.json`

    \b
    Examples:
      mmlab schema --out mmlab.schema.json
      mmlab schema | less
    """
    from mmlab.files import write_whole

    text = schema_text()
    if out is None:
        click.echo(text, nl=False)
        return
    write_whole(out, text.encode())
    say(f"wrote {out}")


def schema_text() -> str:
    """The schema of this installation, as the text of a file."""
    from mmlab.plan.registry import BUILTINS, Registry
    from mmlab.plan.schema import spec_schema

    document = spec_schema(Registry.discover(BUILTINS))
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
