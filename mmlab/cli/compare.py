"""`mmlab compare`: is A better than B?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import (
    PIPE_WIDTH,
    color_option,
    console,
    db_option,
    json_option,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath

if TYPE_CHECKING:
    from mmlab.report.compare.comparison import Comparison
    from mmlab.report.compare.tables import By


@click.command(short_help="Is A better than B? Differences with intervals, tests and reasons.")
@click.argument("sides", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--metric", help="Compare by this metric.  [default: each evaluation's main one]")
@click.option(
    "--by",
    type=click.Choice(["label", "sample", "dataset"]),
    help="Also show what changed by label, by sample, or a row for each dataset.",
)
@click.option("--force", is_flag=True, help="Compare in spite of different protocols, and say so.")
@click.option(
    "--fail-on",
    type=click.Choice(["regression"]),
    help="End with 1 if a side is really worse than A; noise ends with 0.",
)
@click.option("--out", type=NamedPath(), help="Write a file: .md, .html or .json.")
@db_option
@json_option
@color_option
@verbosity_options
def compare(
    sides: tuple[str, ...],
    metric: str | None,
    by: By | None,
    force: bool,
    fail_on: str | None,
    out: Path | None,
    db: str,
    as_json: bool,
) -> None:
    """Compare sides with the first of them, A, on the samples that all of them were asked.

    A side is a run (an id, its first characters, or @last), EXPERIMENT:CELL, which is a group of
    seeds, or an experiment, which is a side for each of its groups. Differences are a side's value
    less A's. They have 95 % intervals over new samples and new seeds, and p values that account for
    all that is looked at (Holm). Results of different protocols are refused.

    \b
    Examples:
      mmlab compare emoji-fusion:fusion=concat emoji-fusion:fusion=gmu
      mmlab compare base new --by label
      mmlab compare base new --fail-on regression
      mmlab compare emoji-fusion --metric top5 --out fusions.md
    """
    from mmlab.report.compare.comparison import compare as compare_sides
    from mmlab.store import open_store

    if out is not None:
        _check(out)
    with open_store(db) as store:
        needs_details = by in ("label", "sample") or as_json or out is not None
        found = compare_sides(store, sides, metric=metric, force=force, with_details=needs_details)
        where = store.url_display
    if out is not None:
        _write(found, out, by)
    elif as_json:
        print_json(**_facts(found))
    else:
        say(f"results in {where}")
        _show(found, by)
    if fail_on and found.has_regression:
        click.get_current_context().exit(1)


def _show(found: Comparison, by: By | None) -> None:
    from mmlab.errors import visible
    from mmlab.report.compare.tables import sections, summary
    from mmlab.report.render.compared import draw_section

    out = console(pipe_width=PIPE_WIDTH)
    for line in summary(found):
        out.print(visible(line), markup=False, highlight=False, soft_wrap=True)
    for section in sections(found, by):
        out.print()
        out.print(draw_section(section))


def _facts(found: Comparison) -> dict[str, object]:
    from mmlab.report.render.compared import facts_of

    return facts_of(found)


def _check(out: Path) -> None:
    """Refuse an unknown format before anything is compared, which takes its time."""
    from mmlab.report.render.compared import format_of

    format_of(out)


def _write(found: Comparison, out: Path, by: By | None) -> None:
    from mmlab.report.render.compared import write_comparison

    write_comparison(found, out, by)
    say(f"wrote {out}")
