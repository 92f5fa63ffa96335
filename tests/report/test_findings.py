"""Sentences of what was found, on stores whose effects are planted and whose verdicts are known."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from support.report_values import asked, identity, ranked, record, record_fusion

from mmlab.cli import main
from mmlab.metric import Metric
from mmlab.report.contents import all_boards, read_contents
from mmlab.report.leaderboard import leaderboard
from mmlab.report.page import gather
from mmlab.report.render.files import to_csv, to_json, to_text
from mmlab.report.render.html import render_page
from mmlab.report.results import Results
from mmlab.store import Store, open_store

SAMPLES = 200


def outcomes(level: float, place: int, seed: int, noise: float = 0.1) -> list[float]:
    """Of so many samples the easiest are right, but for what a seed makes of them."""
    easy = np.random.default_rng(0).random(SAMPLES)
    own = np.random.default_rng([place, seed]).normal(0, noise, SAMPLES)
    return [float(right) for right in easy + own < level]


def plant_fusions(store: Store, levels: Mapping[str, float], seeds: int = 3) -> None:
    """The text alone, right in half of all samples, and fusions of these levels."""
    for place, (name, level) in enumerate({"text": 0.5, **levels}.items()):
        inputs = ["text"] if name == "text" else ["image", "text"]
        for seed in range(seeds):
            record_fusion(store, name, inputs, asked(outcomes(level, place, seed)), seed=seed)


def said(store: Store, table: str | None = None) -> list[str]:
    found = read_contents(store).findings
    rows = found if table is None else found.filter(pl.col("table") == table)
    return rows["finding"].to_list()


def fail(store: Store, cell: str, seed: int, outcome: str) -> None:
    run = store.submit(identity("emoji", cell, seed))
    claim = store.claim(run.run_id, "worker", 60)
    assert claim is not None
    store.fail(claim, outcome, "not finite", "Traceback")


@pytest.mark.slow
def test_fusions_that_gain_beat_the_text_and_none_of_them_another(store: Store) -> None:
    six = {f"gain{number}": 0.8 for number in range(6)}
    plant_fusions(store, {**six, "same": 0.5, "worse": 0.2})
    (told,) = said(store, "fusion_gain")
    first, *others = told.split(". ")
    assert first.startswith("Six of eight fusions beat the text alone in top1: gain")
    assert first.endswith("; none of the six is shown to beat another")
    assert all(f"{name}(image+text)" in first for name in six)
    assert others == [
        "worse(image+text) is worse than the text alone",
        "For the other no difference is shown.",
    ]
    (ranks,) = said(store, "leaderboard")
    assert ranks.startswith("Six of nine may be the best by top1: gain")


def test_a_fusion_that_beats_another_is_not_said_to_be_its_equal(sqlite_store: Store) -> None:
    plant_fusions(sqlite_store, {"great": 0.95, "good": 0.7})
    (told,) = said(sqlite_store, "fusion_gain")
    assert told.startswith("Both fusions beat the text alone in top1: great(image+text) and good")
    assert told.endswith("; of these great(image+text) may be the best.")
    (ranks,) = said(sqlite_store, "leaderboard")
    assert ranks.startswith("great(image+text) is the best of the three by top1, 9")


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"a": 0.9}, "fusion=a(image+text) beats the text alone in top1, by 4"),
        ({"a": 0.5}, "fusion=a(image+text) is not shown to beat the text alone in top1."),
        ({"a": 0.5, "b": 0.5}, "Neither of the two fusions is shown to beat the text alone in"),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, "None of the three fusions is shown to beat the text al"),
        ({"a": 0.9, "b": 0.5}, "One of two fusions beats the text alone in top1: a(image+text), "),
    ],
)
def test_any_number_of_fusions_is_told(
    sqlite_store: Store, levels: dict[str, float], expected: str
) -> None:
    plant_fusions(sqlite_store, levels)
    (told,) = said(sqlite_store, "fusion_gain")
    assert told.startswith(expected)


def test_one_seed_warns_that_another_may_tell_otherwise(sqlite_store: Store) -> None:
    plant_fusions(sqlite_store, {"a": 0.9}, seeds=1)
    for told in said(sqlite_store):
        assert "(one seed each: others may turn it around)" in told


def test_equal_rows_are_not_told_apart(sqlite_store: Store) -> None:
    for cell in ("a", "b", "c"):
        for seed in range(3):
            record(sqlite_store, ranked([1, 2] * 30), cell=cell, seed=seed)
    assert said(sqlite_store) == ["None of the three is shown to be better than another by top1."]


def test_a_single_row_is_told_with_its_interval(sqlite_store: Store) -> None:
    for seed in range(3):
        record(sqlite_store, ranked([1] * 50 + [2] * 10), seed=seed)
    assert said(sqlite_store) == [
        "emoji has a top1 of 83.3% [71.6, 90.8]; nothing else was asked the same."
    ]


def test_two_protocols_are_two_sentences_and_never_compared(sqlite_store: Store) -> None:
    for name in ("one", "other"):
        for cell, ranks in {"good": [1] * 60, "bad": [2] * 60}.items():
            result = ranked(ranks, protocol={"evaluator": "zero_shot", "options": {"k": name}})
            for seed in range(2):
                record(sqlite_store, result, cell=cell, seed=seed, experiment=name)
    found = read_contents(sqlite_store).findings
    assert found["about"].n_unique() == 2
    assert all(" (protocol " in about for about in found["about"])
    for told in found["finding"]:
        assert told.startswith("good is the better of the two by top1, ")
    page = gather(sqlite_store)
    assert {one.about for one in page.findings} == {board.title for board in page.boards}
    assert [one.anchor for one in page.findings] == ["board-1", "board-2"]


def test_too_few_samples_tell_who_leads_and_that_it_may_be_chance(sqlite_store: Store) -> None:
    for seed in range(2):
        record(sqlite_store, ranked([1, 1, 1]), cell="a", seed=seed)
        record(sqlite_store, ranked([1, 2, 2]), cell="b", seed=seed)
    assert said(sqlite_store) == [
        "a has the highest top1 of two, 100.0%; whether that is more than chance is not told: "
        "too few samples."
    ]


@pytest.mark.parametrize(("better", "word"), [("higher", "highest"), ("lower", "lowest")])
def test_ties_share_the_lead(sqlite_store: Store, better: str, word: str) -> None:
    declared = (Metric("score", better),)  # type: ignore[arg-type]
    values = {"a": 0.5, "b": 0.5, "c": 0.4 if better == "higher" else 0.6}
    for cell, value in values.items():
        result = replace(ranked([1, 2]), metrics={"score": value}, declared=declared)
        record(sqlite_store, result, cell=cell)
    (told,) = said(sqlite_store)
    assert told.startswith(f"a and b have the {word} score of three, 0.5; ")


def test_a_metric_without_a_direction_has_no_best(sqlite_store: Store) -> None:
    for cell in ("a", "b"):
        result = replace(ranked([1, 2]), metrics={"odd": 0.5}, declared=(Metric("odd", None),))
        record(sqlite_store, result, cell=cell)
    assert said(sqlite_store) == [
        "Nobody declares which way odd is better, so that none is the best."
    ]


def test_groups_without_a_value_are_named(sqlite_store: Store) -> None:
    for cell, value in {"a": 0.5, "b": math.nan}.items():
        declared = (Metric("score", "higher"),)
        result = replace(ranked([1, 2]), metrics={"score": value}, declared=declared)
        record(sqlite_store, result, cell=cell)
    (told,) = said(sqlite_store)
    assert "b has no score: not finite or not defined." in told


def plant_failures(store: Store) -> None:
    """The better group has lost two of five seeds."""
    for seed in range(5):
        record(store, ranked([1, 2] * 40), cell="worse", seed=seed)
    for seed in range(3):
        record(store, ranked([1] * 80), cell="best", seed=seed)
    fail(store, "best", 3, "nan")
    fail(store, "best", 4, "oom")


def test_a_lead_of_a_group_of_which_seeds_failed_is_told_with_that(store: Store) -> None:
    plant_failures(store)
    told, failures = said(store)
    assert told.startswith("best is the better of the two by top1, ")
    assert ", though some of its seeds failed" in told
    assert told.endswith(
        "Seeds of best (3 of 5 are done) failed, which places it below those without."
    )
    assert failures == "2 runs failed: 1 nan, 1 oom."


def test_a_gain_of_a_fusion_of_which_seeds_failed_is_no_beating(sqlite_store: Store) -> None:
    plant_fusions(sqlite_store, {"a": 0.9})
    fail(sqlite_store, "fusion=a(image+text)", 3, "nan")
    told = said(sqlite_store, "fusion_gain")
    assert told == [
        "fusion=a(image+text) is not shown to beat the text alone in top1. fusion=a(image+text) "
        "is above it, but seeds failed, which may flatter."
    ]


def test_nothing_done_is_what_was_found(store: Store) -> None:
    assert said(store) == ["No run is done yet: mmlab run SPEC..."]
    fail(store, "", 0, "nan")
    first, second = said(store)
    assert first.startswith("No run is done yet: 1 failed; ")
    assert second == "1 run failed: 1 nan."


@pytest.mark.slow
def test_every_form_says_the_same(database_url: str, tmp_path: Path) -> None:
    with open_store(database_url) as store:
        plant_failures(store)
        contents = read_contents(store)
        sentences = contents.findings["finding"].to_list()
        page = html.unescape(render_page(gather(store)))
        notebook = html.unescape(Results(store)._repr_html_())
        texts = {form: to_text(store, contents, form) for form in ("md", "tex")}
        assert Results(store).findings().equals(contents.findings)
    run = CliRunner().invoke
    printed = run(main, ["report", "--db", database_url]).stdout
    alone = run(main, ["report", "--table", "findings", "--db", database_url]).stdout
    for told in sentences:
        for text in (page, notebook, *texts.values(), printed, alone):
            assert told in text.replace("\\[", "[").replace("\\]", "]")
    document = json.loads(to_json(contents))
    assert [row["finding"] for row in document["findings"]] == sentences
    rows = csv.DictReader(io.StringIO(to_csv(contents.findings), newline=""))
    assert [row["finding"] for row in rows] == sentences
    target = tmp_path / "findings.parquet"
    call = ["report", "--table", "findings", "--out", str(target), "--db", database_url]
    assert run(main, call).exit_code == 0
    assert pl.read_parquet(target).equals(contents.findings)


@pytest.mark.slow
def test_sentences_and_the_order_of_rows_do_not_depend_on_the_database(
    sqlite_url: str, postgres_url: str
) -> None:
    found = []
    for url in (sqlite_url, postgres_url):
        with open_store(url) as store:
            plant_fusions(store, {"b": 0.8, "a": 0.8, "c": 0.5})
            contents = read_contents(store)
            labels = [one.label for part in all_boards(store, contents) for one in part.entries]
            frames = (contents.findings, contents.leaderboard.drop("seconds"), contents.fusion_gain)
            found.append((labels, [frame.rows() for frame in frames]))
    assert found[0] == found[1]


def test_rows_that_nothing_but_their_hash_sets_apart_keep_their_order(
    sqlite_store: Store,
) -> None:
    for place in range(12):
        made = identity("emoji", "", 0)
        run = sqlite_store.submit(
            replace(made, train_hash=f"train-{place}", group_hash=f"group-{place:02}")
        )
        claim = sqlite_store.claim(run.run_id, "worker", 60)
        assert claim is not None
        sqlite_store.finish(claim, [ranked([1, 2])], {"zero_shot": f"evaluation-{place}"})
    for _ in range(3):
        board = leaderboard(sqlite_store).filter(pl.col("metric") == "top1")
        assert board["group_hash"].to_list() == [f"group-{place:02}" for place in range(12)]
