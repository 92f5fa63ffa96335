"""Results go out as CLIP_benchmark writes them, and come in again."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from support.published_figures import BENCHMARK, bring, call, values, write
from support.report_values import PROVENANCE, identity, ranked, record

from mmlab.interop import names
from mmlab.records import EvaluationResult
from mmlab.report.boards.board import boards
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store, open_store


def test_what_comes_in_goes_out_as_it_was(sqlite_url: str, tmp_path: Path) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    result = call(sqlite_url, "export", "clip-benchmark", "clip-benchmark")
    found = {
        (d["dataset"], d["model"], d["pretrained"], d["task"], d["language"]): d["metrics"]
        for d in map(json.loads, result.stdout.splitlines())
    }
    wanted = {}
    skipped = {"dataset", "model", "pretrained", "task", "model_fullname"}
    for row in csv.DictReader(BENCHMARK.splitlines()):
        key = (row["dataset"], row["model"], row["pretrained"], row["task"], "en")
        wanted[key] = {k: float(v) for k, v in row.items() if k not in skipped and v}
    assert found == wanted


def test_what_goes_out_comes_in_again(sqlite_url: str, tmp_path: Path) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    folder = tmp_path / "out"
    done = call(sqlite_url, "export", "clip-benchmark", "clip-benchmark", "--out", folder)
    assert done.exit_code == 0, done.output
    assert len(list(folder.glob("*.json"))) == 5
    again = f"sqlite:///{tmp_path / 'again.db'}"
    assert bring(again, "clip-benchmark", folder)["added"] == 5
    for metric in ("top1", "mAP", "recall@5", "mean_per_class_recall"):
        assert values(again, metric) == values(sqlite_url, metric)


def test_a_run_goes_out_under_the_name_of_its_test_set(store: Store, database_url: str) -> None:
    run = record(store, replace(ranked([1, 6]), test_set="pets/test"), experiment="mine")
    record(store, replace(ranked([1]), evaluator="classification"), experiment="no counterpart")
    (line,) = call(database_url, "export", "clip-benchmark").stdout.splitlines()
    document = json.loads(line)
    assert document["dataset"] == "vtab/pets"
    assert document["task"] == "zeroshot_classification"
    assert (document["model"], document["pretrained"]) == ("mine", f"mmlab-{run[:12]}")
    assert document["metrics"]["acc1"] == 0.5
    assert document["metrics"]["acc5"] == 0.5
    assert document["mmlab"]["run"] == run


def test_what_was_not_asked_of_the_test_split_stays(store: Store, database_url: str) -> None:
    record(store, replace(ranked([1, 6]), split="validation"))
    result = call(database_url, "export", "clip-benchmark")
    assert result.stdout == ""
    assert "0 results of 1 run" in result.stderr


def found(condition: str, value: float, **changes: object) -> EvaluationResult:
    """One direction of retrieval, or another condition; the medians are ten times the recalls."""
    metrics = {"recall@1": value, "median_rank": 10 * value, "mean_recall@1": 0.45}
    result = replace(
        ranked([1, 6]),
        name="retrieval",
        evaluator="retrieval",
        condition=condition,
        protocol={"evaluator": "retrieval", "options": {}, "condition": condition},
        subject={"shared_captions": 0},
        metrics=metrics,
        rankings=None,
        confusions=None,
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def test_both_directions_of_retrieval_go_out_and_come_in_again(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    record(store, found("image_to_text", 0.5), found("text_to_image", 0.4))
    lines = write(tmp_path / "a.jsonl", call(database_url, "export", "clip-benchmark").stdout)
    assert json.loads(lines.read_text())["metrics"] == {
        "text_retrieval_recall@1": 0.5,
        "text_retrieval_median_rank": 5.0,
        "image_retrieval_recall@1": 0.4,
        "image_retrieval_median_rank": 4.0,
        "mean_recall@1": 0.45,
    }
    again = f"sqlite:///{tmp_path / 'again.db'}"
    bring(again, "clip-benchmark", lines)
    for metric, there, back in (("recall@1", 0.5, 0.4), ("median_rank", 5.0, 4.0)):
        kept = {condition: value for (_, condition, _), value in values(again, metric).items()}
        assert kept == {"image_to_text": there, "text_to_image": back}


def test_retrieval_between_other_modalities_has_no_counterpart(
    store: Store, database_url: str
) -> None:
    record(store, found("image_to_audio", 0.5), found("audio_to_image", 0.4))
    assert call(database_url, "export", "clip-benchmark").stdout == ""


def test_where_samples_answer_for_each_other_the_figures_are_not_clip_benchmarks(
    store: Store, database_url: str
) -> None:
    shared = {"shared_captions": 3}
    record(
        store,
        *(found(way, 0.5, subject=shared) for way in names.DIRECTIONS.values()),
        experiment="hits",
    )
    own = {"evaluator": "retrieval", "options": {"repeated_captions": "own"}}
    record(
        store,
        *(
            found(way, 0.4, subject=shared, protocol={**own, "condition": way})
            for way in names.DIRECTIONS.values()
        ),
        experiment="own",
    )
    result = call(database_url, "export", "clip-benchmark")
    (document,) = map(json.loads, result.stdout.splitlines())
    assert document["mmlab"]["experiment"] == "own"
    assert "hits" in result.stderr
    assert result.stderr.count('repeated_captions = "own"') == 1


def test_retrieval_of_before_shared_captions_were_counted_is_left_out_for_that_reason(
    store: Store, database_url: str
) -> None:
    ways = names.DIRECTIONS.values()
    record(store, *(found(way, 0.5, subject={}) for way in ways), experiment="old")
    result = call(database_url, "export", "clip-benchmark")
    assert result.stdout == ""
    (line,) = (line for line in result.stderr.splitlines() if "left out" in line)
    assert "an earlier version of mmlab did not count shared captions" in line
    assert 'evaluate the run anew with repeated_captions = "own"' in line
    assert "answer for each other" not in line


def test_a_metric_that_no_condition_could_measure_is_no_contradiction(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    both = {"mean_recall@1": math.nan, "median_rank": 2.0}
    ways = names.DIRECTIONS.values()
    record(store, *(found(way, 0.5, metrics=both) for way in ways))
    lines = write(tmp_path / "a.jsonl", call(database_url, "export", "clip-benchmark").stdout)
    assert json.loads(lines.read_text())["metrics"] == {
        "mean_recall@1": None,
        "text_retrieval_median_rank": 2.0,
        "image_retrieval_median_rank": 2.0,
    }


def test_a_metric_without_a_finite_value_goes_out_as_null(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path
) -> None:
    metrics = {"top1": 0.5, "over": math.inf, "under": -math.inf, "nan": math.nan}
    record(sqlite_store, replace(ranked([1]), metrics=metrics))
    (line,) = call(sqlite_url, "export", "clip-benchmark").stdout.splitlines()
    assert json.loads(line)["metrics"] == {"acc1": 0.5, "over": None, "under": None, "nan": None}
    assert call(sqlite_url, "export", "clip-benchmark", "--out", tmp_path).exit_code == 0


def test_a_metric_that_one_condition_alone_could_measure_is_one(
    store: Store, database_url: str
) -> None:
    first, second = ({"mean_recall@1": value} for value in (math.nan, 0.5))
    record(
        store,
        found("image_to_text", 0.5, metrics=first),
        found("text_to_image", 0.5, metrics=second),
    )
    result = call(database_url, "export", "clip-benchmark")
    assert result.exit_code == 1
    assert "found: mean_recall@1" in result.stderr


def test_conditions_that_contradict_each_other_are_no_document(
    store: Store, database_url: str
) -> None:
    record(store, ranked([1, 6]), replace(ranked([6, 6]), condition="in the dark"))
    result = call(database_url, "export", "clip-benchmark")
    assert result.exit_code == 1
    assert "different values of one metric" in result.stderr
    assert "found: mean_per_class_recall" in result.stderr


def test_two_results_of_one_task_go_out_and_come_in_again(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    probes = [
        replace(ranked(ranks, name=name), evaluator="linear_probe", test_set="pets/test")
        for name, ranks in (("by lbfgs", [1, 1]), ("adamw", [1, 6]))
    ]
    run = record(store, *probes)
    folder = tmp_path / "out"
    done = call(database_url, "export", "clip-benchmark", "--out", folder)
    assert done.exit_code == 0, done.output
    start = f"vtab_pets_mmlab-{run[:12]}"
    assert sorted(file.name for file in folder.iterdir()) == [
        f"{start}-adamw_emoji_en_linear_probe.json",
        f"{start}-by lbfgs_emoji_en_linear_probe.json",
    ]
    lines = write(tmp_path / "a.jsonl", call(database_url, "export", "clip-benchmark").stdout)
    for number, written in enumerate((folder, lines)):
        again = f"sqlite:///{tmp_path / f'{number}.db'}"
        assert bring(again, "clip-benchmark", written)["added"] == 2
        assert sorted(values(again, "top1").values()) == [0.5, 1.0]


def test_one_evaluation_asked_in_two_ways_is_told_apart_by_its_protocol(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    run = store.submit(identity("twice", "", 0))
    claim = store.claim(run.run_id, "worker", 60, PROVENANCE)
    assert claim is not None
    plain, other = ranked([1, 6]), ranked([1, 1], protocol={"options": {"scale": 2}})
    store.finish(claim, [plain], {plain.name: "plain"})
    store.add_evaluations(run.run_id, [other], {other.name: "other"})
    lines = write(tmp_path / "a.jsonl", call(database_url, "export", "clip-benchmark").stdout)
    again = f"sqlite:///{tmp_path / 'again.db'}"
    assert bring(again, "clip-benchmark", lines)["added"] == 2


def test_exported_results_of_different_questions_come_in_apart(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    seven, all_labels, probe = (
        replace(ranked(ranks, name=name, protocol={"labels": name}), test_set="pets/test")
        for name, ranks in (("7", [1, 6]), ("81", [1, 1]), ("probe", [1, 2]))
    )
    record(store, seven, all_labels, replace(probe, evaluator="linear_probe"))
    record(store, seven, seed=1)
    lines = write(tmp_path / "a.jsonl", call(database_url, "export", "clip-benchmark").stdout)
    again = f"sqlite:///{tmp_path / 'again.db'}"
    bring(again, "clip-benchmark", lines)
    with open_store(again) as brought:
        found = list(boards(brought, leaderboard(brought)))
    zero_shot = "pets/test · zero_shot · test (protocol "
    shown = sorted((len(board.entries), board.title) for board in found)
    assert [count for count, _ in shown] == [1, 1, 2]
    assert shown[0] == (1, "pets/test · linear_probe · test")
    assert all(title.startswith(zero_shot) for _, title in shown[1:])
    told = [board.title for board in found if "they were exported with" in " ".join(board.notes)]
    assert len(told) == 2
    assert all(title.startswith(zero_shot) for title in told)
    named = call(again, "export", "clip-benchmark", "clip-benchmark").stdout
    came, went = (
        sorted(map(json.loads, text.splitlines()), key=itemgetter("pretrained", "task"))
        for text in (lines.read_text(), named)
    )
    assert went == came
    unnamed = call(again, "export", "clip-benchmark")
    assert unnamed.stdout == ""
    assert "imported runs are written only if named: mmlab export clip-benchmark NAME" in (
        unnamed.stderr
    )
