"""`mmlab gc`: which files can go, and their deletion."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import (
    SHORT,
    color_option,
    console,
    db_option,
    json_option,
    print_json,
    say,
    table,
    verbosity_options,
)
from mmlab.cli.run import cache_option, runs_option

if TYPE_CHECKING:
    from mmlab.runner.garbage import Garbage


_HASH = re.compile(r"[0-9a-f]{32,64}")


@click.command(short_help="List files that no run needs, or delete them.")
@click.option("--features", "only_features", is_flag=True, help="Features and inputs only.")
@click.option(
    "--weights", "only_weights", is_flag=True, help="Weights and other files of runs only."
)
@click.option(
    "--dry-run/--yes", "dry_run", default=True, help="List only (the default), or delete."
)
@db_option
@runs_option
@cache_option
@json_option
@color_option
@verbosity_options
def gc(
    only_features: bool,
    only_weights: bool,
    dry_run: bool,
    db: str,
    runs: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """List files that no run needs; with --yes, delete them.

    These are features of frozen encoders and inputs of others, which are made again when they are
    needed, weights that no run of this database names, checkpoints of runs that failed, parts of
    evaluations that nobody went on with, and records (spools) of runs that this database does not
    know or that others finished. Where several databases share a folder of weights, leave these
    alone: each knows its own runs only.

    \b
    Examples:
      mmlab gc                       what could go
      mmlab gc --features --yes      delete all features and inputs
      mmlab gc --weights --json      names and reasons of files, whole
    """
    from mmlab.runner.garbage import (
        delete,
        find_checkpoints,
        find_features,
        find_parts,
        find_spools,
        find_weights,
    )
    from mmlab.store import open_store

    chooses_all = only_features == only_weights
    with open_store(db) as store:
        found: list[Garbage] = []
        if only_features or chooses_all:
            found += find_features(cache or store.cache_folder)
        if only_weights or chooses_all:
            found += find_weights(runs or store.runs_folder, store)
            found += find_checkpoints(runs or store.runs_folder, store)
            found += find_parts(runs or store.runs_folder, store)
            found += find_spools(runs or store.runs_folder, store)
    for garbage in () if dry_run else found:
        delete(garbage)
    if as_json:
        print_json(deleted=not dry_run, files=[vars(garbage) for garbage in found])
        return
    _show(found, is_deleted=not dry_run)


def _show(found: list[Garbage], *, is_deleted: bool) -> None:
    from mmlab.files import size_text

    if not found:
        say("nothing to delete")
        return
    out = console()
    rows = [(g.kind, size_text(g.size_bytes), g.content, _short_name(g.path)) for g in found]
    out.print(table(["kind", "size", "content", "file"], rows, whole=("kind", "size", "file")))
    for (kind, reason), files in Counter((g.kind, g.reason) for g in found).items():
        named = f"{files} file{'s' if files != 1 else ''} of {kind}"
        out.print(f"{named}: {reason}", markup=False)
    total = size_text(sum(garbage.size_bytes for garbage in found))
    count = f"{len(found)} file{'s' if len(found) != 1 else ''}"
    word = "deleted" if is_deleted else "can go: add --yes to delete"
    say(f"{count}, {total}, {word}")


def _short_name(path: Path) -> str:
    """A file's name without its ending, and the beginning of a hash in it."""
    return _HASH.sub(lambda found: found[0][:SHORT], path.name).removesuffix(".safetensors")
