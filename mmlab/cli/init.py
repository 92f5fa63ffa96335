"""`mmlab init`: a first spec that runs at once, on data that ships with mmlab."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mmlab.cli.output import color_option, say, verbosity_options
from mmlab.cli.settings import NamedPath
from mmlab.errors import UsageError, explain

SCHEMA_NAME = "mmlab.schema.json"

FIRST_SPEC = f"""\
#:schema ./{SCHEMA_NAME}
# Which words go with which picture? Learnt from pairs of an emoji and its name.
schema_version = 1
name = "first"

[dataset]
use = "emoji"
captions = ["{{name}}, {{subcategory}}", "{{subcategory}}"]

[encoders.image]
use = "convnet"
width = 32
crop = 0.7

[encoders.text]
use = "transformer"
length = 12

[fusion]
use = "inner_product"
dim = 128

[[losses]]
use = "info_nce"

[train]
epochs = 20
batch_size = 128
evaluate_every = 5

[[evaluate]]
use = "zero_shot"

[[evaluate]]
use = "retrieval"
"""


@click.command(short_help="Write a first spec that runs at once.")
@click.argument("path", default="first.toml", type=NamedPath(), metavar="[PATH]")
@color_option
@verbosity_options
def init(path: Path) -> None:
    """Write a first spec for the embedded emoji, and beside it the schema that editors read.

    PATH is first.toml unless given. Existing specs are never overwritten.

    \b
    Examples:
      mmlab init
      mmlab init experiments/emoji.toml
    """
    from mmlab.cli.schema import schema_text
    from mmlab.files import write_whole

    if os.path.exists(path):  # says no where the name is too long; writing says why
        raise UsageError(_exists(path))
    write_whole(path.with_name(SCHEMA_NAME), schema_text().encode())
    write_whole(path, FIRST_SPEC.encode())
    say(f"wrote {path} and {path.with_name(SCHEMA_NAME)}")
    say(f"next: mmlab run {path}")


def _exists(path: Path) -> str:
    return explain(
        str(path),
        "there is such a file or folder already",
        found="a folder" if path.is_dir() else f"a file of {path.stat().st_size} bytes",
        allowed="a path where nothing is yet",
        next_step="choose another path: mmlab init other.toml",
    )
