"""`mmlab import` and `mmlab export`: published figures come in, one's own go out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
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
    reading,
    say,
    table,
    verbosity_options,
)
from mmlab.cli.predictions import import_predictions
from mmlab.cli.settings import NamedPath

if TYPE_CHECKING:
    from mmlab.interop.exporting import Document
    from mmlab.interop.figures import Figures
    from mmlab.store import Store


files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=NamedPath()
)


@click.group(name="import", short_help="Put published figures beside one's own results.")
def import_() -> None:
    """Put published figures into the leaderboard, marked as imported.

    All files are read before anything is written, and it is written whole or not at all. What is
    there already is not added again.
    """


import_.add_command(import_predictions)


@import_.command(name="clip-benchmark")
@files_argument
@db_option
@json_option
@color_option
@verbosity_options
def import_clip_benchmark(files: tuple[Path, ...], db: str, as_json: bool) -> None:
    """Import results of CLIP_benchmark: its JSON files, folders of them, or the CSV of its build.

    \b
    Examples:
      mmlab import clip-benchmark benchmark.csv
      mmlab import clip-benchmark results/
    """
    from mmlab.interop import clip_benchmark

    _import(files, clip_benchmark.read_results, clip_benchmark.TOOL, db, as_json=as_json)


@import_.command(name="open-clip")
@files_argument
@db_option
@json_option
@color_option
@verbosity_options
def import_open_clip(files: tuple[Path, ...], db: str, as_json: bool) -> None:
    """Import open_clip's tables of results, the CSV files in its docs folder.

    \b
    Example:
      mmlab import open-clip openclip_results.csv openclip_retrieval_results.csv
    """
    from mmlab.interop import open_clip

    _import(files, open_clip.read_results, open_clip.TOOL, db, as_json=as_json)


@import_.command(name="remove", short_help="List imported runs, or delete them.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--dry-run/--yes", "dry_run", default=True, help="List only (the default), or delete."
)
@db_option
@json_option
@color_option
@verbosity_options
def remove_imported(names: tuple[str, ...], dry_run: bool, db: str, as_json: bool) -> None:
    """List imported runs with all their results; with --yes, delete them.

    NAME is what predictions were named, a tool (all its figures), or the first characters of an
    imported run's id. What was executed here is never deleted, and the same files may be imported
    again.

    \b
    Examples:
      mmlab import remove theirs              what would go
      mmlab import remove theirs --yes
      mmlab import remove open-clip --yes
    """
    from mmlab.report.boards.words import counted
    from mmlab.store import open_store

    with open_store(db) as store:
        found = store.remove_imported(names, dry_run=dry_run)
        database = store.url_display
    if as_json:
        print_json(database=database, deleted=not dry_run, runs=[asdict(row) for row in found])
        return
    rows = [(row.run_id[:SHORT], row.experiment, row.cell, row.origin) for row in found]
    console().print(table(("run", "name", "cell", "imported from"), rows, whole=("run",)))
    word = "can go: add --yes to delete" if dry_run else "deleted"
    say(f"{counted(len(found), 'imported run')} in {database}, {word}")


def _import(
    files: Sequence[Path],
    read: Callable[[Sequence[Path]], list[Figures]],
    tool: str,
    db: str,
    *,
    as_json: bool,
) -> None:
    from mmlab.interop.importing import as_runs
    from mmlab.report.boards.words import counted
    from mmlab.store import open_store

    runs = as_runs(read(files), tool)
    total = sum(len({identity for identity, _ in run.evaluations}) for run in runs)
    with open_store(db, create=True) as store:
        added = store.add_imported(runs)
        name = store.url_display
    if as_json:
        print_json(database=name, origin=tool, models=len(runs), results=total, added=added)
        return
    imported = f"{counted(total, 'result')} of {counted(len(runs), 'model')}"
    say(f"{imported}: {added} added, {total - added} there already")
    say(f"results in {name}")


@click.group(short_help="Write results in the layout of another tool.")
def export() -> None:
    """Write results in the layout of another tool."""


@export.command(name="clip-benchmark")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--out", type=NamedPath(), help="Write a file per result into this folder.")
@db_option
@color_option
@verbosity_options
def export_clip_benchmark(runs: tuple[str, ...], out: Path | None, db: str) -> None:
    """Write test results as CLIP_benchmark does: a JSON document per model, test set and task.

    Without --out they go to stdout, one a line. RUN is an id or its first characters, an
    experiment's name (all its runs), or @last; by default all done runs but imported ones.
    Zero-shot, retrieval and linear probes have a counterpart there; the rest is left out. So is
    retrieval in which samples answered for others that have the same caption: it is told.

    \b
    Examples:
      mmlab export clip-benchmark > results.jsonl
      mmlab export clip-benchmark first --out results
    """
    from mmlab.interop.exporting import as_documents, left_out
    from mmlab.report.boards.words import counted

    with reading(db) as store:
        ids = _done_runs(store, runs)
        details = [store.run_detail(run_id) for run_id in ids]
        unnamed = sum(row.origin is not None for row in store.runs(status="done"))
    documents = as_documents(details)
    if out is None:
        for document in documents:
            click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        _write(documents, out)
    for line in left_out(details):
        say(line)
    written = f"{counted(len(documents), 'result')} of {counted(len(ids), 'run')}"
    say(written + (f" in {out}" if out else ""))
    if unnamed and not runs:
        were = "run is" if unnamed == 1 else "runs are"
        name = "mmlab export clip-benchmark NAME"
        say(f"{unnamed} imported {were} written only if named: {name}")


def _done_runs(store: Store, names: Sequence[str]) -> list[str]:
    """The done runs of the experiments, and the single runs, that were named; own ones for none."""
    found = store.runs(status="done")
    if not names:
        return [row.run_id for row in reversed(found) if row.origin is None]
    ids: list[str] = []
    for name in names:
        of_experiment = [row.run_id for row in reversed(found) if row.experiment == name]
        ids += of_experiment or [store.find_run(name).run_id]
    return list(dict.fromkeys(ids))


def _write(documents: Sequence[Document], folder: Path) -> None:
    from mmlab.errors import UsageError, explain
    from mmlab.files import write_whole
    from mmlab.interop.clip_benchmark import file_name

    names = [file_name(document) for document in documents]
    repeated = [name for name in set(names) if names.count(name) > 1]
    if repeated:
        raise UsageError(
            explain(
                str(folder),
                "several results would have one file",
                found=min(repeated),
                allowed="one result for a model, test set and task",
                next_step="export the runs one by one, each into a folder of its own",
            )
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            explain(
                str(folder),
                "the folder cannot be made",
                found=error.strerror,
                allowed="a folder, there or yet to be made, that this user may write",
                next_step="name another folder",
            )
        ) from error
    for name, document in zip(names, documents, strict=True):
        content = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        write_whole(folder / name, content.encode())
