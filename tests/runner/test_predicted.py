"""Somebody else's predictions as a run: beside one's own results of the same question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import Result
from sqlalchemy import Table, select
from support.lab import CLASSIFICATION, DATASET, PAIRED, RETRIEVAL, TOY, ZERO_SHOT, Lab
from support.published_figures import call
from support.store_values import dump
from support.toys import LABELS

import mmlab
from mmlab.report.boards.board import boards
from mmlab.report.leaderboard import leaderboard
from mmlab.runner.predicted import read_asked
from mmlab.store import open_store
from mmlab.store.tables import (
    confusions,
    evaluations,
    metrics,
    rankings,
    sample_results,
    sample_truths,
)

ALL = ZERO_SHOT + "k = 4\n"


def bring(lab: Lab, file: Path, spec: Path, name: str, *more: str) -> Result:
    return call(lab.db, "import", "predictions", file, "--dataset", spec, "--name", name, *more)


def export(lab: Lab, experiment: str, top: int = 4) -> pl.DataFrame:
    """The first labels of a run's samples and their probabilities, in the long form."""
    with mmlab.results(lab.db) as results:
        ranked = results.rankings(experiment).filter(pl.col("rank") <= top)
    return ranked.select("sample", "label", "score")


def wide(long: pl.DataFrame) -> pl.DataFrame:
    return long.pivot("label", index="sample", values="score")


def save(frame: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def save_arrays(long: pl.DataFrame, path: Path) -> Path:
    frame = wide(long)
    scores = frame.drop("sample")
    ids, labels = np.array(frame["sample"].to_list()), np.array(scores.columns)
    np.savez(path, ids=ids, labels=labels, scores=scores.to_numpy())
    return path


def own_run(lab: Lab, evaluate: str = ALL) -> Path:
    spec = lab.write("pairs", (*PAIRED[:5], evaluate))
    lab.run_one(spec)
    return spec


def rows_of(lab: Lab, table: Table, experiment: str) -> list[dict[str, object]]:
    """The rows of a table about an experiment's only evaluation, without its number."""
    with open_store(lab.db) as store:
        (run,) = store.runs(experiment=experiment)
        mine = select(evaluations.c.id).where(evaluations.c.run_id == run.run_id)
        rows = store.frame(select(table).where(table.c.evaluation_id.in_(mine)))
    left = [name for name in ("id", "run_id", "evaluation_id") if name in rows.columns]
    return rows.drop(left).sort(pl.all()).to_dicts()


def test_own_probabilities_exported_and_imported_give_the_same_result(lab: Lab) -> None:
    spec = own_run(lab)
    file = save(export(lab, "pairs"), lab.folder / "scores.csv")
    done = bring(lab, file, spec, "theirs", "--scores", "probabilities")
    assert done.exit_code == 0, done.output
    assert "theirs: zero_shot of 24 samples: added" in done.output
    for table in (rankings, sample_results, sample_truths, confusions):
        assert rows_of(lab, table, "theirs") == rows_of(lab, table, "pairs") != []
    own, theirs = (
        {row["name"]: row["value"] for row in rows_of(lab, metrics, name)}
        for name in ("pairs", "theirs")
    )
    assert own == theirs


def test_an_imported_run_is_ranked_beside_ones_own(sqlite_lab: Lab) -> None:
    spec = own_run(sqlite_lab)
    file = save(wide(export(sqlite_lab, "pairs")), sqlite_lab.folder / "scores.parquet")
    for seed in range(2):
        assert bring(sqlite_lab, file, spec, "theirs", "--seed", str(seed)).exit_code == 0
    with open_store(sqlite_lab.db) as store:
        board = leaderboard(store)
        (first,) = boards(store, board)
    assert [(entry.label, entry.place) for entry in first.entries] == [
        ("pairs", 1),
        ("theirs (imported)", 1),
    ]
    assert [entry.seeds for entry in first.entries] == [1, 2]
    assert first.samples == 24
    assert not first.has_imported
    assert call(sqlite_lab.db, "report", "--format", "md").exit_code == 0


def test_the_same_predictions_again_are_told_and_not_doubled(sqlite_lab: Lab) -> None:
    spec = own_run(sqlite_lab)
    long = export(sqlite_lab, "pairs")
    bring(sqlite_lab, save(long, sqlite_lab.folder / "scores.csv"), spec, "theirs")
    before = dump(sqlite_lab.db)
    other = save(wide(long)[::-1], sqlite_lab.folder / "scores.parquet")
    for file in (sqlite_lab.folder / "scores.csv", other):
        done = bring(sqlite_lab, file, spec, "theirs")
        assert "there already, nothing was added" in done.output
    assert dump(sqlite_lab.db) == before


def test_other_predictions_under_a_name_that_is_taken_are_refused(lab: Lab) -> None:
    spec = own_run(lab)
    long = export(lab, "pairs")
    bring(lab, save(long, lab.folder / "scores.csv"), spec, "theirs")
    before = dump(lab.db)
    changed = long.with_columns(-pl.col("score"))
    file = save(changed, lab.folder / "changed.csv")
    for name, message in (("theirs", "other results of 'zero_shot'"), ("pairs", "has it already")):
        done = bring(lab, file, spec, name)
        assert done.exit_code == 2
        assert message in done.output
    assert dump(lab.db) == before
    assert bring(lab, file, spec, "reversed").exit_code == 0


def test_every_form_gives_the_same_result(sqlite_lab: Lab) -> None:
    spec = own_run(sqlite_lab)
    long = export(sqlite_lab, "pairs")
    files = [save_arrays(long, sqlite_lab.folder / "a.npz")]
    for kind in ("csv", "parquet"):
        files.append(save(long, sqlite_lab.folder / f"long.{kind}"))
        files.append(save(wide(long), sqlite_lab.folder / f"wide.{kind}"))
    for number, file in enumerate(files):
        name = f"theirs-{number}"
        assert bring(sqlite_lab, file, spec, name, "--scores", "probabilities").exit_code == 0
        assert rows_of(sqlite_lab, rankings, name) == rows_of(sqlite_lab, rankings, "pairs")


def test_the_first_labels_alone_say_no_more_than_they_do(lab: Lab) -> None:
    spec = own_run(lab)
    file = save(export(lab, "pairs", top=2), lab.folder / "best.csv")
    assert bring(lab, file, spec, "theirs").exit_code == 1
    told = bring(lab, file, spec, "theirs", "--top", "2", "--json")
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    own, theirs = (
        {row["name"]: row["value"] for row in rows_of(lab, metrics, name)}
        for name in ("pairs", "theirs")
    )
    assert set(own) - set(theirs) == set(document["left_out"]) >= {"ece", "mean_probability"}
    assert {name: own[name] for name in theirs} == theirs
    ranks, known = rows_of(lab, sample_results, "pairs"), rows_of(lab, sample_results, "theirs")
    for one, other in zip(ranks, known, strict=True):
        assert other["rank"] == (one["rank"] if one["rank"] <= 2 else None)
        assert other["outcome"] == one["outcome"]


def test_classification_is_what_a_file_without_evaluations_asks(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", (*TOY[:5], CLASSIFICATION + "k = 4\n"))
    sqlite_lab.run_one(spec)
    data = sqlite_lab.folder / "data.toml"
    data.write_text(DATASET)
    file = save(export(sqlite_lab, "toy"), sqlite_lab.folder / "scores.csv")
    assert bring(sqlite_lab, file, data, "theirs").exit_code == 0
    with open_store(sqlite_lab.db) as store:
        (board,) = boards(store, leaderboard(store))
    assert [entry.label for entry in board.entries] == ["theirs (imported)", "toy"]


@pytest.mark.parametrize(
    ("tables", "more", "message"),
    [
        (("[dataset]\nuse = 'klusters'\n",), (), "clusters"),
        ((CLASSIFICATION,), (), "it names no data"),
        ((DATASET, RETRIEVAL), (), "classification or zero_shot"),
        ((DATASET, CLASSIFICATION, ZERO_SHOT), (), "name one with --evaluation"),
        ((DATASET, CLASSIFICATION), ("--evaluation", "other"), "no 'other'"),
        ((DATASET + "known = 0\n",), (), "the dataset has no labels"),
        ((DATASET,), ("--name", "no name"), "no experiment may be called so"),
        ((DATASET,), ("--top", "2", "--scores", "logits"), "logits of all labels"),
        ((DATASET,), ("--top", "2", "--scores", "probabilities"), "is no probability"),
        ((DATASET,), ("--top", "9"), "at most 4"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_written(
    sqlite_lab: Lab, tables: Sequence[str], more: Sequence[str], message: str
) -> None:
    spec = sqlite_lab.folder / "asked.toml"
    spec.write_text("\n".join(tables))
    rows = [
        {"sample": f"point-{2000 + i} 🦜", "label": label, "score": i + 2.0}
        for i in range(24)
        for label in LABELS[:2]
    ]
    file = save(pl.DataFrame(rows), sqlite_lab.folder / "scores.csv")
    before = dump(sqlite_lab.db)
    done = bring(sqlite_lab, file, spec, "theirs", *more)
    assert done.exit_code in (1, 2, 3, 4)
    assert message in done.output
    assert dump(sqlite_lab.db) == before


def test_the_same_scores_may_answer_two_questions(sqlite_lab: Lab) -> None:
    bare = '[[evaluate]]\nuse = "zero_shot"\nname = "bare"\ntemplates = ["{}"]\n'
    spec = own_run(sqlite_lab, ALL + bare)
    with mmlab.results(sqlite_lab.db) as results:
        ranked = results.rankings("pairs", "zero_shot")
    file = save(ranked.select("sample", "label", "score"), sqlite_lab.folder / "scores.csv")
    for name in ("zero_shot", "bare"):
        assert "added" in bring(sqlite_lab, file, spec, "theirs", "--evaluation", name).output
    with open_store(sqlite_lab.db) as store:
        (run,) = store.runs(experiment="theirs")
        found = store.run_detail(run.run_id).evaluations
    assert [one.name for one in found] == ["zero_shot", "bare"]
    assert [one.templates for one in found] == [["a {}", "{}"], ["{}"]]


def test_a_run_of_predictions_is_shown_exported_and_not_evaluated(sqlite_lab: Lab) -> None:
    spec = own_run(sqlite_lab)
    file = save(export(sqlite_lab, "pairs"), sqlite_lab.folder / "scores.csv")
    bring(sqlite_lab, file, spec, "theirs")
    assert "from predictions" in call(sqlite_lab.db, "show", "theirs").output
    card = call(sqlite_lab.db, "show", "theirs", "--sample", "point-2000 🦜")
    assert "Ranked" in card.output, card.output
    document = json.loads(call(sqlite_lab.db, "export", "clip-benchmark", "theirs").stdout)
    assert (document["model"], document["dataset"]) == ("theirs", "clusters")
    assert document["pretrained"].startswith("predictions-")
    assert call(sqlite_lab.db, "evaluate", "theirs", spec).exit_code == 2


def test_sections_of_a_mixture_have_results_of_their_own(sqlite_lab: Lab) -> None:
    columns = 'text_columns = ["text"], label_column = "kind", split_column = "part"'
    for name, kinds in (("one", "xyxy"), ("two", "zxzx")):
        rows = [f"{name} {i},{kind},test" for i, kind in enumerate(kinds)]
        rows += [f"{name} {i},{kind},train" for i, kind in enumerate(kinds, 4)]
        (sqlite_lab.folder / f"{name}.csv").write_text("\n".join(["text,kind,part", *rows, ""]))
    parts = ",".join(
        f'{{ use = "manifest", name = "{name}", path = "{name}.csv", {columns} }}'
        for name in ("one", "two")
    )
    data = f'[dataset]\nuse = "mix"\nparts = [{parts}]\n'
    asked = sqlite_lab.folder / "asked.toml"
    asked.write_text(data)
    rows = [
        {"sample": sample, **{label: float(i * j % 4) for j, label in enumerate("xyz", 1)}}
        for i, sample in enumerate(read_asked(asked, (), None, print).encoded.ids)
    ]
    file = save(pl.DataFrame(rows), sqlite_lab.folder / "scores.csv")
    done = bring(sqlite_lab, file, asked, "theirs")
    assert done.exit_code == 0, done.output
    with open_store(sqlite_lab.db) as store:
        (run,) = store.runs(experiment="theirs")
        found = {one.condition: one for one in store.run_detail(run.run_id).evaluations}
    assert {name: one.sample_count for name, one in found.items()} == {"": 8, "one": 4, "two": 4}
    shares = [found[name].metrics["top1"] for name in ("", "one", "two")]
    assert shares[0] == (shares[1] + shares[2]) / 2
    assert "nothing was added" in bring(sqlite_lab, file, asked, "theirs").output
