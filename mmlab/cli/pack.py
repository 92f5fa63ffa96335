"""`mmlab pack`: a dataset as tar shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mmlab.cli.output import (
    color_option,
    json_option,
    override_options,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath
from mmlab.cli.shield import shielded

if TYPE_CHECKING:
    from mmlab.data.pack import PictureFormat


@click.command(short_help="Write a dataset as tar shards, as webdataset does.")
@click.argument("file", metavar="FILE", type=NamedPath())
@click.argument("out", metavar="OUT", type=NamedPath())
@click.option(
    "--format",
    "picture_format",
    type=click.Choice(["webp", "png", "jpg"]),
    default="webp",
    show_default=True,
    help="Of the pictures; webp and png lose nothing.",
)
@click.option(
    "--shard-samples",
    type=click.IntRange(1, 10**9),
    default=10_000,
    show_default=True,
    help="Samples of one shard, at most.",
)
@click.option(
    "--shard-bytes",
    type=click.IntRange(1, 10**15),
    default=10**9,
    show_default=True,
    help="Bytes of one shard, at most, but for a single larger sample.",
)
@override_options
@json_option
@color_option
@verbosity_options
@shielded
def pack(
    file: Path,
    out: Path,
    picture_format: str,
    shard_samples: int,
    shard_bytes: int,
    overrides: tuple[str, ...],
    patches: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write all splits of a dataset into OUT, in the layout of webdataset and CLIP_benchmark.

    FILE is a spec, or a TOML file with a [dataset] table alone; the dataset may be any plugin's.
    The datasets webdataset and clip_benchmark read what is written, and so do other programs.

    \b
    Examples:
      mmlab pack emoji.toml shards
      mmlab pack photos.toml shards --format jpg --set dataset.path=photos.csv
    """
    from mmlab.data.pack import Packing, read_dataset
    from mmlab.data.pack import pack as write
    from mmlab.plan.registry import BUILTINS, Registry

    resolved = read_dataset(file, (*patches, *overrides), Registry.discover(BUILTINS))
    packing = Packing(cast("PictureFormat", picture_format), shard_samples, shard_bytes)
    counts = write(resolved, out, packing, say)
    if as_json:
        print_json(out=str(out), samples=counts)
        return
    told = ", ".join(f"{count:,} {split}" for split, count in counts.items() if count)
    say(f"{out}: {told or 'no'} samples")
