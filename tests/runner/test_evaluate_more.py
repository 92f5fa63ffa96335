"""Finished runs asked more: from their weights, on more data, all or nothing, and only once."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors import safe_open
from support.lab import CLASSIFICATION, DATASET, PAIRED, RETRIEVAL, TOY, ZERO_SHOT, Lab, here
from support.toys import LABELS

import mmlab
from mmlab.errors import PluginError, SpecError, UsageError
from mmlab.runner.coordinator import Outcome
from mmlab.runner.evaluate_more import evaluate_runs

OTHER = '[dataset]\nuse = "clusters"\ncount = 9\n'


def ask(lab: Lab, run: str, *files: Path, every: bool = False) -> list[Outcome]:
    return evaluate_runs(run, files, here(lab.db), lab.shown, every=every)


def write(lab: Lab, name: str, *tables: str) -> Path:
    path = lab.folder / f"{name}.toml"
    path.write_text("\n".join(tables))
    return path


def statuses(outcomes: list[Outcome]) -> list[str]:
    for outcome in outcomes:
        assert outcome.error is None, outcome.error
    return [outcome.status for outcome in outcomes]


def test_a_finished_run_is_asked_more_as_its_spec_would_have_asked(lab: Lab) -> None:
    lab.run_one(lab.write("pairs", PAIRED))
    assert statuses(ask(lab, "pairs", write(lab, "more", RETRIEVAL))) == ["evaluated"]
    added = lab.detail("pairs")
    at_once = lab.run_one(lab.write("pairs", PAIRED, RETRIEVAL), rerun=True)
    expected = {(e.name, e.condition): (e.metrics, e.step) for e in at_once.evaluations}
    assert {(e.name, e.condition): (e.metrics, e.step) for e in added.evaluations} == expected
    assert lab.statuses(lab.write("pairs", PAIRED, RETRIEVAL)) == ["skipped"]


def test_asking_twice_adds_nothing(lab: Lab) -> None:
    lab.run_one(lab.write("pairs", PAIRED))
    more = write(lab, "more", RETRIEVAL)
    ask(lab, "@last", more)
    before = lab.dump()
    assert statuses(ask(lab, "@last", more)) == ["skipped"]
    assert lab.dump() == before


def test_several_datasets_are_asked_at_once(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("pairs", PAIRED))
    small = write(sqlite_lab, "small", OTHER, ZERO_SHOT + 'name = "small"\n')
    inline = ZERO_SHOT + 'name = "tiny"\ndataset = { use = "clusters", count = 5 }\n'
    ask(sqlite_lab, "pairs", small, write(sqlite_lab, "tiny", inline, RETRIEVAL))
    counts = {e.name: e.sample_count for e in sqlite_lab.detail("pairs").evaluations}
    assert counts == {"zero_shot": 24, "small": 9, "tiny": 5, "retrieval": 24}


def test_a_whole_spec_asks_by_its_evaluations_on_its_dataset(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("pairs", PAIRED))
    other = sqlite_lab.write("other", (OTHER, *PAIRED[1:5]), ZERO_SHOT + 'name = "small"\n')
    ask(sqlite_lab, "pairs", other)
    assert [e.sample_count for e in sqlite_lab.detail("pairs").evaluations] == [24, 9]


def test_the_spec_of_a_run_asks_it_nothing_new(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("pairs", PAIRED)
    sqlite_lab.run_one(spec)
    assert statuses(ask(sqlite_lab, "pairs", spec)) == ["skipped"]


def test_every_run_of_an_experiment_can_be_asked(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("pairs", PAIRED, "[sweep]\nseeds = [0, 1]\n")
    assert sqlite_lab.statuses(spec) == ["done", "done"]
    more = write(sqlite_lab, "more", RETRIEVAL)
    assert statuses(ask(sqlite_lab, "pairs", more, every=True)) == ["evaluated"] * 2
    with pytest.raises(UsageError, match="has no finished run"):
        ask(sqlite_lab, "elsewhere", more, every=True)


def test_pretrained_weights_are_asked_more_without_any_training(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("first", PAIRED))
    encoders = "\n".join(
        f'[encoders.{key}]\nuse = "toy"\nweights = {{ run = "first" }}\n'
        for key in ("image", "text")
    )
    fusion = '[fusion]\nuse = "inner_product"\n'
    untrained = (DATASET, encoders, fusion, ZERO_SHOT + "scale = 10.0\n")
    sqlite_lab.run_one(sqlite_lab.write("second", untrained))
    ask(sqlite_lab, "second", write(sqlite_lab, "more", OTHER, RETRIEVAL))
    names = [(e.name, e.sample_count, e.step) for e in sqlite_lab.detail("second").evaluations]
    assert names == [("zero_shot", 24, None), ("retrieval", 9, None), ("retrieval", 9, None)]


def test_what_cannot_be_asked_leaves_the_run_as_it_was(lab: Lab) -> None:
    lab.run_one(lab.write("toy"))
    before = lab.dump()
    gone = f'dataset = {{ use = "clusters", script = "{lab.folder}/missing" }}\n'
    more = CLASSIFICATION + 'name = "fine"\nsplit = "validation"\n'
    broken = write(lab, "broken", more, CLASSIFICATION + 'name = "other"\n' + gone)
    (outcome,) = ask(lab, "toy", broken)
    assert outcome.status == "failed"
    assert "missing" in (outcome.error or "")
    assert lab.dump() == before


def test_only_a_finished_run_is_asked(sqlite_lab: Lab) -> None:
    assert sqlite_lab.statuses(sqlite_lab.write("toy"), sqlite_lab.script("2 raise")) == ["failed"]
    with pytest.raises(UsageError, match=r"finished run only(.|\n)*found: failed"):
        ask(sqlite_lab, "toy", write(sqlite_lab, "more", CLASSIFICATION))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ((OTHER,), "asks nothing"),
        (('[[evaluate]]\nuse = "zero_short"\n',), r"zero_short(.|\n)*zero_shot"),
        ((CLASSIFICATION + "kk = 3\n",), r"more.toml:3:1(.|\n)*unknown option"),
        ((CLASSIFICATION, CLASSIFICATION), "two of these tables have one name"),
        (("[train]\nepochs = 3\n", CLASSIFICATION), "unknown"),
        ((RETRIEVAL,), "the evaluator 'retrieval' reads the model's"),
        (('[dataset]\nuse = "klusters"\n', CLASSIFICATION), "clusters"),
    ],
)
def test_a_file_that_asks_wrongly_is_refused_with_the_place(
    sqlite_lab: Lab, tables: tuple[str, ...], message: str
) -> None:
    sqlite_lab.run_one(sqlite_lab.write("toy", TOY))
    with pytest.raises((SpecError, PluginError), match=message):
        ask(sqlite_lab, "toy", write(sqlite_lab, "more", *tables))


def test_two_files_may_not_ask_under_one_name(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("toy", TOY))
    files = [write(sqlite_lab, name, OTHER, CLASSIFICATION) for name in ("one", "two")]
    with pytest.raises(SpecError, match="two evaluations of one name"):
        ask(sqlite_lab, "toy", *files)


def test_all_scores_become_a_file_of_their_evaluation(sqlite_lab: Lab) -> None:
    kept = ZERO_SHOT + "keep_scores = true\n"
    detail = sqlite_lab.run_one(sqlite_lab.write("pairs", (*PAIRED[:5], kept)))
    (path,) = [kept.path for kept in detail.artifacts if kept.role == "scores"]
    with safe_open(sqlite_lab.runs / path, framework="pt") as file:
        scores, metadata = file.get_tensor("scores"), file.metadata()
    samples, labels = (json.loads(metadata[key]) for key in ("samples", "labels"))
    assert scores.dtype == torch.float16
    assert scores.shape == (24, 4) == (len(samples), len(labels))
    with mmlab.results(sqlite_lab.db) as results:
        first = results.rankings("pairs").filter(pl.col("rank") == 1)
    found = dict(zip(first["sample"], first["label"], strict=True))
    best = [labels[column] for column in scores.float().argmax(1)]
    agreeing = [found[sample] == label for sample, label in zip(samples, best, strict=True)]
    assert sum(agreeing) >= 22  # float16 may turn near ties


def test_a_run_of_relative_paths_is_asked_from_another_folder(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sqlite_lab.folder)
    prompts = {label: [f"some {label}"] for label in LABELS}
    (sqlite_lab.folder / "prompts.json").write_text(json.dumps(prompts))
    asked = ZERO_SHOT + 'prompts_file = "prompts.json"\n'
    spec = sqlite_lab.write("pairs", (*PAIRED[:5], asked))
    sqlite_lab.run_one(spec.relative_to(sqlite_lab.folder))
    elsewhere = sqlite_lab.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    more = write(sqlite_lab, "more", asked + 'split = "validation"\nname = "again"\n')
    assert statuses(ask(sqlite_lab, "pairs", more)) == ["evaluated"]
