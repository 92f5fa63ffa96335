"""`mmlab import predictions`: what somebody else's model says of samples, beside one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import (
    color_option,
    db_option,
    json_option,
    override_options,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath
from mmlab.cli.shield import shielded

if TYPE_CHECKING:
    from mmlab.records import ScoreMeaning


@click.command(name="predictions", short_help="Import another model's scores of samples.")
@click.argument("file", metavar="FILE", type=NamedPath())
@click.option(
    "--dataset",
    "spec",
    required=True,
    metavar="SPEC",
    type=NamedPath(),
    help="A TOML file with the [dataset], and the [[evaluate]] that the model has answered.",
)
@click.option("--name", required=True, help="What the model is called, as an experiment is.")
@click.option("--evaluation", metavar="NAME", help="Which [[evaluate]] of SPEC, if it has several.")
@click.option(
    "--top", type=click.IntRange(1, 10**9), metavar="K", help="The first K labels a sample."
)
@click.option(
    "--scores",
    "meaning",
    type=click.Choice(["plain", "logits", "probabilities"]),
    default="plain",
    show_default=True,
    help="What the scores are: higher is better in any case.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the model."
)
@override_options
@db_option
@json_option
@color_option
@verbosity_options
@shielded
def import_predictions(
    file: Path,
    spec: Path,
    name: str,
    evaluation: str | None,
    top: int | None,
    meaning: ScoreMeaning,
    seed: int,
    overrides: tuple[str, ...],
    patches: tuple[Path, ...],
    db: str,
    as_json: bool,
) -> None:
    """Import what another model says of a dataset's samples, as a run named NAME.

    FILE is CSV or Parquet with the columns sample, label, score, or with sample and a column per
    label; or npz with ids, labels and scores. Every sample of the split with a known label must be
    there, and none that is unknown. Without [[evaluate]] it is `classification` of the test split.

    \b
    Examples:
      mmlab import predictions scores.csv --dataset pets.toml --name theirs
      mmlab import predictions top.csv --dataset pets.toml --name theirs --top 5
      mmlab import predictions a.npz --dataset a.toml --name a --scores logits
    """
    from mmlab.evaluate.predicted import left_out
    from mmlab.interop.importing import as_predicted_run, check_name
    from mmlab.interop.predictions import Expected, content_of, read_predictions
    from mmlab.report.boards.words import counted
    from mmlab.runner.predicted import Answer, foreign_results, read_asked
    from mmlab.store import open_store

    check_name(name)
    asked = read_asked(spec, (*patches, *overrides), evaluation, say)
    labels, split = asked.dataset.labels, asked.encoded.split
    expected = Expected(split, asked.encoded.ids, asked.takes_part, labels)
    found = read_predictions(file, expected, top)
    subject = {"model": name, "dataset": asked.source, "file": found.file, "sha256": found.sha256}
    results = foreign_results(asked, Answer(found, meaning, subject), say)
    run = as_predicted_run(name, seed, [content_of(found), meaning], results)
    with open_store(db, create=True) as store:
        added = store.add_imported([run])
        database = store.url_display
    if as_json:
        print_json(
            database=database,
            experiment=name,
            samples=len(found.label),
            unused=found.unused,
            left_out=left_out(results[0]),
            metrics=results[0].metrics,
            added=added,
        )
        return
    said = "added" if added else "there already, nothing was added"
    say(f"{name}: {asked.name} of {counted(len(found.label), 'sample')}: {said}")
    for line in _told(found.unused, left_out(results[0])):
        say(line)
    say(f"results in {database}")


def _told(unused: int, lacking: Sequence[str]) -> Iterator[str]:
    from mmlab.report.boards.words import counted

    if unused:
        yield f"{counted(unused, 'sample')} of the file take no part: no known label or input"
    if lacking:
        yield f"left out, for the scores do not say it: {', '.join(lacking)}"
