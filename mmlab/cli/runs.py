"""`mmlab ls` and `mmlab show`: what is in the database, run by run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

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
from mmlab.errors import UsageError, harmless

if TYPE_CHECKING:
    from rich.console import Console

    from mmlab.store import (
        AttemptRow,
        CellRow,
        EvaluationRow,
        QueuedCell,
        RunDetail,
        RunRow,
        Store,
    )


STATUSES = ("queued", "blocked", "running", "done", "failed", "cancelled")
COLUMNS = ("run", "experiment", "cell", "seed", "status", "started", "seconds")
WHOLE = ("run", "seed", "status", "started", "seconds")


@click.command(short_help="List runs, newest first (also: list).")
@click.option("--experiment", help="Only runs of this experiment.")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    help="Only runs in this state; interrupted ones are queued.",
)
@click.option("--limit", type=click.IntRange(1, 10**9), default=20, show_default=True)
@db_option
@json_option
@color_option
@verbosity_options
def ls(experiment: str | None, status: str | None, limit: int, db: str, as_json: bool) -> None:
    """List runs, newest first. `mmlab list` does the same.

    A run's id is cut to the beginning that other commands take; --json has the whole. Cells in the
    queue that are no run yet come first, and those that are blocked or were given back say why.

    \b
    Examples:
      mmlab ls
      mmlab ls --experiment emoji-fusion --status failed
      mmlab ls --limit 1000 --json
    """
    with reading(db) as store:
        rows = store.runs(experiment=experiment, status=status, limit=limit)
        queue = store.queued_cells(experiment)
        name = store.url_display
    cells = [one for one in queue if one.run_id is None and status in (None, one.status)]
    again = {one.run_id for one in queue if one.status == "queued"}
    if as_json:
        waiting = [_as_json(cell) for cell in cells]
        print_json(database=name, runs=[asdict(row) for row in rows], queue=waiting)
        return
    lines = [*map(_waiting, cells[:limit]), *(_line(row, again) for row in rows)]
    console().print(table(COLUMNS, lines, whole=WHOLE))
    for cell in cells[:limit]:
        if cell.reason:
            say(harmless(f"{cell.cell.experiment} {_label(cell)}: {cell.reason}"))
    queued = f", and {len(cells):,} in the queue" if cells else ""
    say(f"{len(rows)} run{'s' if len(rows) != 1 else ''} in {name}{queued}")


def _waiting(cell: QueuedCell) -> tuple[object, ...]:
    """The line of a cell that is no run yet."""
    asked = cell.cell
    return ("", asked.experiment, asked.label, asked.seed, cell.status, "", "")


def _label(cell: QueuedCell) -> str:
    from mmlab.records import cell_name

    return cell_name(cell.cell.label, cell.cell.seed)


def _as_json(cell: QueuedCell) -> dict[str, object]:
    asked = cell.cell
    about = {"experiment": asked.experiment, "cell": asked.label, "seed": asked.seed}
    state = {"status": cell.status, "reason": cell.reason, "priority": cell.priority}
    return {**about, **state, "waits_for": list(cell.waits_for)}


def _line(row: RunRow, again: Container[str | None]) -> tuple[object, ...]:
    return (
        row.run_id[:SHORT],
        row.experiment,
        row.cell,
        row.seed,
        f"{row.status} (imported)" if row.origin else _status(row, again),
        "" if row.started_at is None else row.started_at.strftime("%Y-%m-%d %H:%MZ"),
        _seconds(row.started_at, row.finished_at),
    )


def _status(row: RunRow, again: Container[str | None] = ()) -> str:
    """The status as a person reads it; the database has an interrupted run queued."""
    if row.status in ("failed", "cancelled") and row.run_id in again:
        return f"{row.status}, queued again"
    return "interrupted" if row.is_interrupted else row.status


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _seconds(start: datetime | None, stop: datetime | None) -> str:
    return "" if start is None or stop is None else f"{(stop - start).total_seconds():.1f}"


@click.command(short_help="Show one run, or one sample's card.")
@click.argument("run", metavar="RUN")
@click.option("--sample", metavar="ID", help="Draw this sample's card: its first labels.")
@click.option("--evaluation", metavar="NAME", help="Whose ranking the card shows, if several.")
@click.option("--spec", is_flag=True, help="Print the spec's text as it was run.")
@click.option("--env", is_flag=True, help="Print where and with which versions it ran.")
@click.option("--log", is_flag=True, help="Print every attempt, with tracebacks.")
@db_option
@json_option
@color_option
@verbosity_options
def show(
    run: str,
    sample: str | None,
    evaluation: str | None,
    spec: bool,
    env: bool,
    log: bool,
    db: str,
    as_json: bool,
) -> None:
    """Show one run: its metrics, its spec, its origin, or what it made of one sample.

    RUN is an id or its first characters, an experiment's name (its newest run), or @last.

    \b
    Examples:
      mmlab show @last
      mmlab show emoji-contrastive --sample 1F923
      mmlab show 3fa8 --env --json
    """
    with reading(db) as store:
        run_id = store.find_run(run).run_id
        if sample is not None:
            _show_cards(store, run_id, sample, evaluation, as_json=as_json)
            return
        detail = store.run_detail(run_id)
    if as_json:
        print_json(run=asdict(detail))
    elif spec:
        click.echo(detail.spec_text, nl=not detail.spec_text.endswith("\n"))
    elif env:
        click.echo(json.dumps(detail.provenance, indent=2, ensure_ascii=False, default=str))
    else:
        _show_run(console(), detail, with_log=log)


def _show_run(out: Console, detail: RunDetail, *, with_log: bool) -> None:
    row = detail.run
    out.print(f"{row.experiment} {row.cell}".rstrip(), style="bold", markup=False)
    lines: Mapping[str, object] = {
        "run": row.run_id,
        "status": _status(row) + (": run its spec again" if row.is_interrupted else ""),
        **_beginning(row),
        **_asked(detail.cell),
        **{role.role: role.path for role in detail.artifacts},
    }
    for name, value in lines.items():
        out.print(f"{name:>10}  {value}", markup=False)
    for _, named in itertools.groupby(detail.evaluations, key=lambda it: it.name):
        _show_evaluations(out, list(named))
    if row.error:
        out.print(harmless(row.error), markup=False)
    if with_log:
        _show_attempts(out, detail.attempts)


def _show_evaluations(out: Console, evaluations: Sequence[EvaluationRow]) -> None:
    """A table for each of a few results; many conditions of one evaluation share one."""
    together = [it for it in evaluations if it.condition] if len(evaluations) > 3 else []
    for evaluation in evaluations:
        if evaluation not in together:
            out.print(f"\n{_heading(evaluation)}", style="bold", markup=False)
            out.print(table(["metric", "value"], _metrics(evaluation)))
    if together:
        first = together[0]
        names = list(dict.fromkeys(name for it in together for name in it.metrics))
        found = [(it.condition, dict(_metrics(it))) for it in together]
        rows = [[condition, *(of.get(name, "") for name in names)] for condition, of in found]
        heading = _heading(first).replace(f" {first.condition}:", " by condition:", 1)
        out.print(f"\n{heading}", style="bold", markup=False)
        out.print(table(["condition", *names], rows))


def _beginning(row: RunRow) -> dict[str, object]:
    """Where the results came from: this machine at that time, or another tool."""
    if row.origin is not None:
        return {"imported": f"from {row.origin}, {_time(row.created_at)}"}
    took = _seconds(row.started_at, row.finished_at)
    return {"seed": row.seed, "started": _time(row.started_at), "seconds": took}


def _asked(cell: CellRow | None) -> dict[str, object]:
    """What was set on the command line, and the budget; nothing where neither was."""
    overrides = cast(Mapping[str, Sequence[Any]], (cell and cell.overrides) or {})
    texts = [patch["name"] for patch in overrides.get("files", ())]
    texts += overrides.get("set", ())
    said = {"set": harmless(", ".join(texts))} if texts else {}
    if cell is not None and cell.budget is not None:
        said["budget"] = f"{cell.budget:,} parameters"
    return dict(said)


def _heading(evaluation: EvaluationRow) -> str:
    name = " ".join(filter(None, [evaluation.name, evaluation.condition]))
    skipped = f", {evaluation.skipped_count} skipped" if evaluation.skipped_count else ""
    samples = f", {evaluation.sample_count} samples" if evaluation.sample_count else ""
    return f"{name}: {evaluation.split}{samples}{skipped}"


def _metrics(evaluation: EvaluationRow) -> list[tuple[str, str]]:
    return [
        (name, "not defined" if value is None else f"{value:.4f}")
        for name, value in evaluation.metrics.items()
    ]


def _show_attempts(out: Console, attempts: Sequence[AttemptRow]) -> None:
    for attempt in attempts:
        ended = attempt.outcome or "not ended"
        out.print(f"attempt {attempt.fence}: {ended}, began {_time(attempt.started_at)}")
        for text in filter(None, [attempt.message, attempt.traceback]):
            out.print(harmless(text), markup=False)


def _show_cards(
    store: Store, run_id: str, sample: str, evaluation: str | None, *, as_json: bool
) -> None:
    from mmlab.report.box_cards import box_cards
    from mmlab.report.card_reading import sample_cards
    from mmlab.report.render.box_text import draw_boxes
    from mmlab.report.render.card_text import draw_card

    boxes = box_cards(store, run_id, sample, evaluation)
    try:
        cards = sample_cards(store, run_id, sample, evaluation)
    except UsageError:
        if not boxes:
            raise
        cards = []
    if as_json:
        print_json(
            cards=[{**asdict(card), "picture": card.picture_uri} for card in cards],
            boxes=[{**asdict(card), "picture": card.picture_uri} for card in boxes],
        )
        return
    out = console()
    for scene in boxes:
        out.print(draw_boxes(scene))
    for card in cards:
        out.print(draw_card(card))
