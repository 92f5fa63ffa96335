"""The results of a database in Python: `mmlab.results(db)`, for notebooks and scripts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from mmlab.report.boards.robustness import robustness
from mmlab.report.card_reading import choose_cards, sample_cards
from mmlab.report.cards import Card
from mmlab.report.contents import (
    VIEWS,
    Table,
    ViewName,
    all_boards,
    read_contents,
    read_failures,
)
from mmlab.report.frames import (
    curves,
    done_runs,
    label_table,
    of_view,
    rankings,
    run_ids,
    submitted_cells,
)
from mmlab.report.gain import fusion_gain
from mmlab.report.leaderboard import leaderboard
from mmlab.report.pictures.gather import read_pictures
from mmlab.report.pictures.picture import Picture
from mmlab.report.render.files import Format, write_report
from mmlab.report.render.svg import to_svg, write_pictures
from mmlab.store import Store, open_store

DEFAULT_DB = "mmlab.db"


def results(db: str | Path | None = None) -> Results:
    """The done runs of a database: a SQLite file or a Postgres URL, else MMLAB_DB, else mmlab.db.

    Raises StoreError if it is not there or its schema is not this program's; it never creates one.
    """
    given = (os.environ.get("MMLAB_DB") or DEFAULT_DB) if db is None else db
    return Results(open_store(str(given)))


class NotebookCard(Card):
    """A card that a notebook draws, and that prints as the terminal shows it."""

    def __str__(self) -> str:
        """The card as text, 100 columns wide."""
        from rich.console import Console

        from mmlab.report.render.card_text import draw_card

        console = Console(width=100, color_system=None)
        with console.capture() as capture:
            console.print(draw_card(self))
        return capture.get()

    def _repr_html_(self) -> str:
        from mmlab.report.render.html import render_card

        return render_card(self)


class NotebookPicture(Picture):
    """A picture that a notebook draws."""

    def _repr_svg_(self) -> str:
        return to_svg(self)


class Results:
    """Frames, cards and reports from one store. In a notebook it shows its leaderboard.

    A run is named as on the command line: `@last`, the start of its id, or an experiment.
    """

    def __init__(self, store: Store) -> None:
        """Read from an open store; `results` opens one by its address."""
        self.store = store
        if store.notice is not None:
            warnings.warn(store.notice, stacklevel=3)

    def runs(self) -> pl.DataFrame:
        """One row per done run, oldest first."""
        return done_runs(self.store)

    def all_runs(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per run, whatever its status: the view of that name, as are the next six.

        How it went and what it cost: attempts, outcome, error, seconds, memory, parameters,
        revisions of code and data.
        """
        return self._view("all_runs", runs)

    def label_results(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per metric of a label in an evaluation of a done run."""
        return self._view("label_results", runs)

    def sample_outcomes(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per sample of an evaluation of a done run: mind how many there are."""
        return self._view("sample_outcomes", runs)

    def box_detections(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per box that a done run found in a picture: mind how many there are."""
        return self._view("box_detections", runs)

    def box_truths(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per box that is in a picture in which a done run looked for boxes."""
        return self._view("box_truths", runs)

    def live_curves(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """Every point of the curves of runs, also of those that are running."""
        return self._view("live_curves", runs)

    def artifacts(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per file that a run left."""
        return self._view("artifacts", runs)

    def findings(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """What was found: a sentence a row, with its table and the title of its board, `about`."""
        return read_contents(self.store, self._ids(runs)).findings

    def failures(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per run that failed, or cell that did before it was a run, and why."""
        return read_failures(self.store, self._ids(runs))

    def cells(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per cell that was submitted, done or not, oldest first."""
        return submitted_cells(self.store, self._ids(runs))

    def leaderboard(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per group of seeds, evaluation and metric: `mmlab.report.leaderboard`."""
        return leaderboard(self.store, self._ids(runs))

    def fusion_gain(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per fusion and question: gain over its best input alone, `mmlab.report.gain`."""
        return fusion_gain(self.store, self._ids(runs))

    def robustness(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per group, condition of missing modalities and metric."""
        return robustness(self.store, self._ids(runs))

    def curves(self, run: str) -> pl.DataFrame:
        """Every point of a run's training curves."""
        return curves(self.store, self._id(run))

    def rankings(self, run: str, evaluation: str | None = None) -> pl.DataFrame:
        """The first labels of every evaluated sample of a run."""
        return rankings(self.store, self._id(run), evaluation)

    def labels(self, runs: Sequence[str] | None = None) -> pl.DataFrame:
        """Metrics per label, averaged over the seeds of a group."""
        return label_table(self.store, self._ids(runs))

    def cards(self, run: str, evaluation: str, condition: str = "", count: int = 12) -> list[Card]:
        """Cards of a run's evaluation, fairly spread over ranks."""
        found = choose_cards(self.store, self._id(run), evaluation, condition, count)
        return [NotebookCard(**vars(card)) for card in found]

    def card(self, run: str, sample: str, evaluation: str | None = None) -> list[Card]:
        """The cards of one sample, one per evaluation that ranked labels for it."""
        found = sample_cards(self.store, self._id(run), sample, evaluation)
        return [NotebookCard(**vars(card)) for card in found]

    def write(
        self,
        path: str | Path,
        format: Format | None = None,
        runs: Sequence[str] | None = None,
        table: Table | ViewName | None = None,
        curves: Sequence[str] | None = None,
    ) -> None:
        """Write a report: html, md, tex, csv, json or parquet, by the file's ending if not named.

        `table` is the only one written: "findings", "leaderboard", "fusion_gain", "robustness",
        "failures", or a view: "all_runs", "label_results", "sample_outcomes", "box_detections",
        "box_truths", "live_curves", "artifacts". Without it CSV and Parquet hold the leaderboard,
        all else every table but the views.
        `curves` are runs whose groups an HTML page draws beside those that lead.
        """
        drawn = self._ids(curves)
        write_report(self.store, self._ids(runs), Path(path), format, table=table, curves=drawn)

    def pictures(
        self, runs: Sequence[str] | None = None, curves: Sequence[str] | None = None
    ) -> list[Picture]:
        """The pictures of an HTML report, which a notebook draws.

        `curves` are runs whose groups are drawn beside those that lead.
        """
        found = read_pictures(self.store, self._ids(runs), self._ids(curves))
        return [NotebookPicture(**vars(picture)) for picture in found]

    def write_pictures(
        self,
        folder: str | Path,
        runs: Sequence[str] | None = None,
        curves: Sequence[str] | None = None,
    ) -> list[Path]:
        """Write each of the `pictures` as an SVG file into a folder; their paths."""
        return write_pictures(self.pictures(runs, curves), Path(folder))

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def __enter__(self) -> Self:
        """The results themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store; an error that nobody expected is explained where it is damaged."""
        self.store.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        """Where they come from, without secrets."""
        return f"<mmlab results of {self.store.url_display}>"

    def _repr_html_(self) -> str:
        from mmlab.report.render.html import render_boards

        contents = read_contents(self.store)
        return render_boards(all_boards(self.store, contents), contents.findings)

    def _view(self, name: ViewName, runs: Sequence[str] | None) -> pl.DataFrame:
        return of_view(self.store, VIEWS[name], self._ids(runs))

    def _id(self, name: str) -> str:
        return self.store.find_run(name).run_id

    def _ids(self, names: Sequence[str] | None) -> list[str] | None:
        return None if names is None else run_ids(self.store, names)
