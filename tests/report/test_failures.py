"""Seeds that failed: they stand beside their group, and keep it from the first place."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.report_values import asked, identity, ranked, record, record_fusion
from support.store_values import queued, taken

from mmlab.cli import main
from mmlab.metric import Metric
from mmlab.records import EvaluationResult
from mmlab.report.boards.gain import gain_boards
from mmlab.report.contents import all_boards, read_contents, read_failures, why_empty
from mmlab.report.gain import fusion_gain
from mmlab.report.leaderboard import leaderboard
from mmlab.report.page import gather
from mmlab.report.render.files import to_markdown
from mmlab.report.render.html import render_page
from mmlab.store import Store, open_store

BEST, WORSE = [1, 1, 1, 2], [1, 2, 2, 2]


def fail(
    store: Store, cell: str, seed: int, outcome: str = "nan", experiment: str = "emoji"
) -> str:
    run = store.submit(identity("emoji", cell, seed))
    claim = store.claim(run.run_id, "worker", 60)
    assert claim is not None
    store.fail(claim, outcome, f"seed {seed}: not finite <b>|\nnext: less lr", "Traceback")
    return run.run_id


def planted(store: Store) -> None:
    """Of five seeds the better group has three and two failed; the worse one has all."""
    for seed in range(5):
        record(store, ranked(WORSE), cell="worse", seed=seed)
    for seed in range(3):
        record(store, ranked(BEST), cell="best", seed=seed)
    fail(store, "best", 3)
    fail(store, "best", 4, "oom")


def test_a_group_with_failed_seeds_has_a_place_after_the_others(store: Store) -> None:
    planted(store)
    board = leaderboard(store)
    rows = {row["cell"]: row for row in board.to_dicts() if row["metric"] == "top1"}
    assert rows["best"]["mean"] > rows["worse"]["mean"]
    assert (rows["worse"]["place"], rows["best"]["place"]) == (1, 2)
    stand = ("seeds", "planned", "done", "failed", "running", "failures")
    assert [rows["worse"][name] for name in stand] == [5, 5, 5, 0, 0, None]
    assert [rows["best"][name] for name in stand] == [3, 5, 3, 2, 0, "nan, oom"]


def test_every_form_says_how_many_seeds_failed_and_why(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url) as store:
        planted(store)
        contents = read_contents(store)
        (board, *_) = shown = list(all_boards(store, contents))
        page = render_page(gather(store))
    words = "3 of 5; 2 failed: nan, oom"
    assert [entry.progress for entry in board.entries] == ["5", words]
    assert [entry.placing for entry in board.entries] == ["1", "2†"]
    assert any(note.startswith("† seeds have failed") for note in board.notes)
    markdown = to_markdown(shown, contents.failures)
    printed = CliRunner().invoke(main, ["report", "--db", sqlite_url]).stdout
    for text in (page, markdown, printed):
        assert words in text
        assert "2†" in text
        assert "seed 3: not finite" in text
        assert "less lr" not in text
    assert "not finite &lt;b&gt;|" in page
    assert "not finite &lt;b&gt;\\|" in markdown
    document = json.loads(CliRunner().invoke(main, ["report", "--json", "--db", sqlite_url]).stdout)
    assert [row["outcome"] for row in document["failures"]] == ["nan", "oom"]
    target = tmp_path / "failures.csv"
    call = ["report", "--table", "failures", "--out", str(target), "--db", sqlite_url]
    assert CliRunner().invoke(main, call).exit_code == 0
    assert target.read_text().count("not finite") == 2


def test_a_seed_that_was_done_at_another_try_has_not_failed(store: Store) -> None:
    record(store, ranked(BEST), seed=0)
    fail(store, "", 1)
    record(store, ranked(BEST), seed=1, rerun=True)
    row = leaderboard(store).to_dicts()[0]
    assert [row[name] for name in ("seeds", "planned", "done", "failed")] == [2, 2, 2, 0]
    assert read_failures(store).height == 1


def test_seeds_that_run_or_wait_are_planned(store: Store) -> None:
    record(store, ranked(BEST), experiment="waiting", cell="fusion=gating", seed=0)
    running = store.submit(identity("waiting", "fusion=gating", 1))
    assert store.claim(running.run_id, "worker", 60)
    store.submit_cells([queued(seed, "waiting") for seed in (2, 3)])
    store.end_cell(taken(store), "failed", reason="a plugin is missing\nnext: install it")
    row = leaderboard(store).to_dicts()[0]
    stand = ("seeds", "planned", "done", "failed", "running")
    assert [row[name] for name in stand] == [1, 4, 1, 1, 1]
    (failure,) = read_failures(store).to_dicts()
    assert (failure["run_id"], failure["seed"]) == (None, 2)
    assert failure["error"] == "a plugin is missing"


def test_of_chosen_runs_the_others_are_not_planned(store: Store) -> None:
    chosen = record(store, ranked(BEST), seed=0)
    fail(store, "", 1)
    row = leaderboard(store, [chosen]).to_dicts()[0]
    assert [row[name] for name in ("planned", "failed")] == [1, 0]


def test_of_three_seeds_one_that_is_no_number_is_why_there_is_no_interval(store: Store) -> None:
    for seed, value in enumerate([0.5, math.nan, 0.6]):
        record(store, _valued(value), seed=seed)
    (board,) = all_boards(store, read_contents(store))
    (entry,) = board.entries
    assert entry.figures[0].title == "no interval (1 of 3 seeds is not finite or not defined)"
    assert "no interval (1 of 3 seeds is not finite or not defined)" in board.notes
    assert not any("one seed" in note for note in board.notes)


def _valued(value: float) -> EvaluationResult:
    declared = (Metric("score", "higher"),)
    return replace(ranked([1, 2]), metrics={"score": value}, declared=declared)


@pytest.mark.parametrize("is_chosen", [False, True])
def test_an_experiment_with_failed_runs_alone_says_so(store: Store, is_chosen: bool) -> None:
    runs = [fail(store, "", seed) for seed in range(3)]
    assert store.submit(identity("emoji", "", 3))
    reason = why_empty(read_contents(store, runs if is_chosen else None), "leaderboard")
    assert reason is not None
    assert "3 failed" in reason
    assert ("1 queued" in reason) is not is_chosen
    assert "mmlab report --table failures" in reason


def test_a_fusion_of_which_seeds_failed_has_its_gain_below_the_others(store: Store) -> None:
    for seed in range(2):
        record_fusion(store, "none", ["a"], asked([0, 0, 1, 0]), seed=seed)
        record_fusion(store, "concat", ["a", "b"], asked([1, 0, 1, 0]), seed=seed)
    record_fusion(store, "gating", ["a", "b"], asked([1, 1, 1, 1]), seed=0)
    fail(store, "fusion=gating(a+b)", 1)
    gains = fusion_gain(store)
    assert gains["fusion"].to_list() == ["concat", "gating"]
    assert gains["failures"].to_list() == [None, "nan"]
    (board,) = gain_boards(gains)
    assert [entry.placing for entry in board.entries] == ["1", "2†"]
    assert not board.entries[1].figures[0].is_best


def test_what_is_read_does_not_depend_on_the_database(sqlite_url: str, postgres_url: str) -> None:
    frames = []
    for url in (sqlite_url, postgres_url):
        with open_store(url) as store:
            planted(store)
            board = leaderboard(store).drop("seconds")
            frames.append((board, read_failures(store).drop("run_id")))
    assert frames[0][0].equals(frames[1][0])
    assert frames[0][1].equals(frames[1][1])
