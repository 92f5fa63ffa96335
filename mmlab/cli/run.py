"""`mmlab run`: specs in, finished runs and a leaderboard out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click
from click.core import ParameterSource

from mmlab.cli.output import (
    CommandFunction,
    color_option,
    db_option,
    json_option,
    override_options,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath
from mmlab.errors import LostError, MmlabError, harmless

if TYPE_CHECKING:
    from mmlab.runner.coordinator import Outcome


FINISHED = ("done", "evaluated", "skipped")
#: How cells stand that are left; the command can be gone on with.
LEFT = ("held", "queued", "blocked", "given back", "died")
#: The exit code of a command that leaves cells of its own in the queue.
UNFINISHED = 75


class Duration(click.ParamType[float]):
    """Seconds, or a number with a unit: `90`, `90s`, `10m`, `2h`; a year at most.

    `shortest` and `longest` are bounds in seconds.
    """

    name = "duration"
    _UNITS: ClassVar = {"": 1, "s": 1, "m": 60, "h": 3600}
    #: Times beyond it are none that a database, or the system's timers, know.
    LONGEST = 365 * 24 * 3600.0

    def __init__(self, shortest: float = 0.0, longest: float = LONGEST) -> None:
        self.shortest = shortest
        self.longest = longest

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds, which are more than 0."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        seconds = float(found[1]) * self._UNITS[found[2]] if found else 0.0
        if seconds <= 0:
            self.fail(f"{value!r} is no duration: 90, 90s, 10m or 2h is one", param, ctx)
        if seconds > self.longest:
            most = "8760h, a year," if self.longest == self.LONGEST else f"{self.longest:.0f}"
            self.fail(f"{value!r} is too long: {most} is the most", param, ctx)
        if seconds < self.shortest:
            self.fail(f"{value!r} is too short: {self.shortest:.0f} is the least", param, ctx)
        return seconds


cell_timeout_option = click.option(
    "--cell-timeout",
    type=Duration(),
    help="End a cell that shows no progress for so long (90, 10m, 2h).  [default: never]",
)
in_process_option = click.option(
    "--in-process",
    is_flag=True,
    envvar="MMLAB_IN_PROCESS",
    help="Execute cells in this process, not in a child: for debuggers.",
)


def worker_options(command: CommandFunction) -> CommandFunction:
    """Add the options of commands that execute cells of the queue."""
    for option in (
        click.option(
            "--lease",
            type=Duration(),
            default="60",
            show_default=True,
            help="Seconds after which a cell is free whose process shows no sign of life.",
        ),
        cell_timeout_option,
        click.option(
            "--max-attempts",
            type=click.IntRange(1, 10**6),
            default=3,
            show_default=True,
            help="A cell whose process dies equally so often has failed.",
        ),
        in_process_option,
    ):
        command = option(command)
    return command


runs_option = click.option(
    "--runs",
    envvar="MMLAB_RUNS",
    type=NamedPath(),
    show_envvar=True,
    help="The folder of weights.  [default: beside the database]",
)

cache_option = click.option(
    "--cache",
    envvar="MMLAB_CACHE",
    type=NamedPath(),
    show_envvar=True,
    help="The folder of kept features and inputs.  [default: beside the database]",
)

device_option = click.option(
    "--device", default="auto", show_default=True, help="Where to compute: auto, cpu, cuda, cuda:1."
)


@click.command(short_help="Train and evaluate every cell of the specs that is not done.")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", type=NamedPath())
@override_options
@db_option
@runs_option
@cache_option
@click.option(
    "--no-cache", is_flag=True, help="Keep neither features nor inputs: read anew at every epoch."
)
@device_option
@click.option("--dry-run", is_flag=True, help="Show the resolved specs and cells, and run nothing.")
@click.option("--rerun", is_flag=True, help="Repeat cells that are done, as further replicates.")
@click.option(
    "--restart", is_flag=True, help="Train interrupted cells from their start, not a checkpoint."
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails.")
@click.option("--no-wait", is_flag=True, help="Do not wait for cells that other processes hold.")
@click.option(
    "--priority",
    type=click.IntRange(-(10**9), 10**9),
    default=0,
    show_default=True,
    help="Cells of a higher one come first.",
)
@worker_options
@click.option(
    "--group-timeout",
    envvar="MMLAB_GROUP_TIMEOUT",
    type=Duration(1, 10**7),
    default="120",
    show_default=True,
    show_envvar=True,
    metavar="SECONDS",
    help="Under torchrun: give up a process that is silent for so long.",
)
@json_option
@color_option
@verbosity_options
def run(
    specs: tuple[Path, ...],
    overrides: tuple[str, ...],
    patches: tuple[Path, ...],
    db: str,
    runs: Path | None,
    cache: Path | None,
    no_cache: bool,
    device: str,
    dry_run: bool,
    rerun: bool,
    restart: bool,
    fail_fast: bool,
    no_wait: bool,
    priority: int,
    lease: float,
    cell_timeout: float | None,
    max_attempts: int,
    in_process: bool,
    group_timeout: float,
    as_json: bool,
) -> None:
    """Train and evaluate every cell of the specs that is not done, and store the results.

    What is done is left alone, so that the same command continues after an interruption: the
    training of an interrupted cell goes on from its last checkpoint. Cells that failed are tried
    again. The cells are put into the database's queue, and this process works on them; others may
    help (mmlab work). The exit code is 1 if a cell failed, 75 if some are left in the queue, and
    130 after Ctrl-C.

    \b
    Examples:
      mmlab run experiments/*.toml
      mmlab run emoji.toml --set train.epochs=5 --set train.lr=1e-3
      mmlab run emoji.toml --set 'sweep.axes.fusion=[{ use = "concat" }]'
      mmlab run emoji.toml --set-file big.toml
      mmlab run emoji.toml --dry-run
      mmlab run emoji.toml --db postgresql://me@host/results --device cuda
      torchrun --nproc-per-node 4 -m mmlab run emoji.toml
    """
    if dry_run:
        from mmlab.cli.validate import show_plans

        show_plans(specs, (*patches, *overrides), as_json=as_json)
        return

    from mmlab.cli.display import make_display
    from mmlab.runner.runner import RunOptions, run_specs
    from mmlab.runner.stopping import raised_signals
    from mmlab.runner.worker import WorkOptions

    options = RunOptions(
        db,
        runs,
        (*patches, *overrides),
        device,
        rerun=rerun,
        restart=restart,
        priority=priority,
        group_seconds=group_timeout,
        cache=cache,
        keeps_features=not no_cache,
        in_process=in_process,
        cell_timeout=cell_timeout,
        work=WorkOptions(lease, max_attempts, waits=not no_wait, fail_fast=fail_fast),
    )
    is_follower = _is_follower()  # before anything runs: its variables may make no sense
    with _speaking_once(is_follower), make_display() as display, raised_signals():
        outcomes = run_specs(specs, options, display)
    if not is_follower:
        conclude(outcomes, db, as_json=as_json)


@contextmanager
def _speaking_once(is_follower: bool) -> Iterator[None]:
    """Leave it to the main process of a group to print what all of its processes meet."""
    try:
        yield
    except LostError:  # which each one notices by itself
        raise
    except MmlabError as error:
        if not is_follower:
            raise
        click.get_current_context().exit(error.exit_code)


def _is_follower() -> bool:
    """Whether torchrun started this process and it is not the main one; else it is alone."""
    from mmlab.train.torchrun import rank, world_size

    return rank() > 0 and world_size() > 1


def conclude(outcomes: Sequence[Outcome], db: str, *, as_json: bool) -> None:
    """Print what there is; end with 1 if a cell failed or was cancelled, 75 if some are left."""
    if as_json:
        print_json(outcomes=[asdict(outcome) for outcome in outcomes])
    else:
        _show_results(db, {o.experiment for o in outcomes if o.status in FINISHED})
    counts = {status: 0 for status in (*FINISHED, *LEFT, "failed", "cancelled")}
    for outcome in outcomes:
        counts[outcome.status] += 1
    if outcomes:
        say(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    is_unfinished = any(counts[status] for status in LEFT)
    if is_unfinished:
        _tell_left(outcomes)
    if counts["failed"] or counts["cancelled"]:
        click.get_current_context().exit(1)
    if is_unfinished:
        click.get_current_context().exit(UNFINISHED)


def _tell_left(outcomes: Sequence[Outcome]) -> None:
    """Why cells are left in the queue, each reason once."""
    left = [outcome for outcome in outcomes if outcome.status in LEFT]
    for reason in dict.fromkeys(outcome.error for outcome in left if outcome.error):
        say(harmless(reason))
    say("what is left stays in the queue: run the same again, or mmlab work")


def _show_results(db: str, experiments: set[str]) -> None:
    """The leaderboard of these experiments, earlier runs included."""
    from mmlab.cli.report import show_leaderboard

    if not experiments:
        return
    show_leaderboard(db, experiments)
    say(f"a page to hand on: mmlab report --out report.html{db_argument(db)}")


def db_argument(db: str) -> str:
    """The `--db` that a further command needs, as a shell reads it; it holds no password."""
    from mmlab.store.address import parse_address

    source = click.get_current_context().get_parameter_source("db")
    if source is not ParameterSource.COMMANDLINE:
        return ""
    return f" --db {shlex.quote(parse_address(db).display if '://' in db else db)}"
