"""`mmlab evaluate`: ask finished runs more, from the weights they left."""

from __future__ import annotations

from pathlib import Path

import click

from mmlab.cli.output import color_option, db_option, json_option, verbosity_options
from mmlab.cli.run import (
    cache_option,
    cell_timeout_option,
    conclude,
    device_option,
    in_process_option,
    runs_option,
)
from mmlab.cli.settings import NamedPath


@click.command(short_help="Evaluate a finished run on more, without training.")
@click.argument("run", metavar="RUN")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=NamedPath())
@click.option(
    "--all", "every", is_flag=True, help="RUN is an experiment: evaluate all its finished runs."
)
@db_option
@runs_option
@cache_option
@device_option
@cell_timeout_option
@in_process_option
@json_option
@color_option
@verbosity_options
def evaluate(
    run: str,
    files: tuple[Path, ...],
    every: bool,
    db: str,
    runs: Path | None,
    cache: Path | None,
    device: str,
    cell_timeout: float | None,
    in_process: bool,
    as_json: bool,
) -> None:
    """Evaluate a finished run on more, from the weights it left, without training.

    RUN is an id or its first characters, an experiment's name (its newest run), or @last. A FILE
    holds [[evaluate]] tables, with a [dataset] unless they ask about the run's own; a whole spec is
    such a file too. What the run has been asked before is not asked again, and of what is new
    either everything is stored or nothing.

    \b
    Examples:
      mmlab evaluate @last food101.toml
      mmlab evaluate 3fa8 more.toml --device cuda
      mmlab evaluate emoji-contrastive more.toml --all
    """
    from mmlab.cli.display import make_display
    from mmlab.runner.evaluate_more import evaluate_runs
    from mmlab.runner.runner import RunOptions
    from mmlab.runner.stopping import raised_signals

    options = RunOptions(
        db,
        runs,
        (),
        device,
        cache=cache,
        in_process=in_process,
        cell_timeout=cell_timeout,
    )
    with make_display() as display, raised_signals():
        outcomes = evaluate_runs(run, files, options, display, every=every)
    conclude(outcomes, db, as_json=as_json)
