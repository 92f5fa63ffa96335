"""Published figures come in beside one's own, and results go out as other tools write them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from mmlab_datasets.published.catalogue import TEST_SETS, describe
from support.report_values import PROVENANCE, identity, ranked, record
from support.store_values import dump

from mmlab.cli import main
from mmlab.errors import DataError
from mmlab.interop import clip_benchmark, names, open_clip
from mmlab.interop.gathered import SHOWN, Faults
from mmlab.interop.importing import as_runs
from mmlab.records import EvaluationResult
from mmlab.report.boards import boards
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store, open_store

# As CLIP_benchmark's benchmark.csv states them.
BENCHMARK = """\
acc1,acc5,mean_per_class_recall,dataset,model,pretrained,task,mean_average_precision,\
image_retrieval_recall@5,text_retrieval_recall@5,model_fullname
0.50722,0.92556,0.48961,vtab/eurosat,ViT-B-32,openai,zeroshot_classification,,,,ViT-B-32 openai
0.93813,0.99863,0.93721,vtab/pets,ViT-L-14-336,openai,zeroshot_classification,,,,ViT-L-14-336
,,,flickr30k,ViT-B-32,openai,zeroshot_retrieval,,0.8338,0.949,ViT-B-32 openai
,,,voc2007_multilabel,ViT-B-32,openai,zeroshot_classification,0.76013,,,ViT-B-32 openai
0.2883,,0.3645,vtab/kitti_closest_vehicle_distance,RN50,openai,zeroshot_classification,,,,RN50
"""
# As open_clip's docs/openclip_results.csv states them, its broken average included.
OPEN_CLIP = """\
name,pretrained,Average perf. on 38 datasets,ImageNet 1k,EuroSAT,Oxford-IIIT Pet,Flickr,GeoDE
ViT-L-14-336,openai,0.6284065414845551,0.7656,0.6144,0.9369,0.7730,0.9015
coca_ViT-L-14,laion2b_s13b_b90k,030282.6305070175546877,0.7564,0.6850,0.9400,,
"""
RETRIEVAL = """\
name,pretrained,params (M),FLOPs (B),Average score,Flickr image retr. R@1,Flickr text retr. R@10,\
WinoGAViL avg jaccard score,WinoGAViL jaccard score 10-12
ViT-B-32,openai,151.28,14.78,0.6321,0.5878,0.9820,0.5054,0.4125
"""
# The header of docs/openclip_results.csv, whole.
HEADER = (
    "name,pretrained,Average perf. on 38 datasets,ImageNet 1k,Caltech-101,CIFAR-10,CIFAR-100,"
    "CLEVR Counts,CLEVR Distance,Country211,Describable Textures,EuroSAT,FGVC Aircraft,Food-101,"
    "GTSRB,ImageNet Sketch,ImageNet v2,ImageNet-A,ImageNet-O,ImageNet-R,KITTI Vehicle Distance,"
    "MNIST,ObjectNet,Oxford Flowers-102,Oxford-IIIT Pet,Pascal VOC 2007,PatchCamelyon,"
    "Rendered SST2,RESISC45,Stanford Cars,STL-10,SUN397,SVHN,Flickr,MSCOCO,WinoGAViL,iWildCam,"
    "Camelyon17,FMoW,Dollar Street,GeoDE"
)
LANGUAGES = """\
model,version,avg,xtd10 image_retrieval_recall@1 avg,xtd10 image_retrieval_recall@1 de,\
xtd10 image_retrieval_recall@1 en,xtd10 text_retrieval_recall@1 de
nllb-clip-base,v1,0.5,0.45,0.4,0.5,0.6
"""
DOCUMENT = {
    "dataset": "food101",
    "model": "ViT-B-32",
    "pretrained": "openai",
    "task": "zeroshot_classification",
    "metrics": {"acc1": 0.84, "acc5": float("nan"), "mean_per_class_recall": 0.84},
    "language": "en",
}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def call(db: str | Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments), "--db", str(db)])


def bring(db: str, tool: str, *files: Path) -> dict[str, Any]:  # Any: a JSON document
    result = call(db, "import", tool, "--json", *files)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def values(db: str, metric: str) -> dict[tuple[str, str, str], float]:
    """(evaluation, condition, cell) -> mean of a metric."""
    with open_store(db) as store:
        board = leaderboard(store).filter(pl.col("metric") == metric)
    return {(r["evaluation"], r["condition"], r["cell"]): r["mean"] for r in board.to_dicts()}


# --- what comes in --------------------------------------------------------------------------


def test_a_csv_of_clip_benchmark_is_runs_of_models_without_a_spec(
    database_url: str, tmp_path: Path
) -> None:
    done = bring(database_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    assert (done["models"], done["results"], done["added"]) == (3, 5, 5)
    assert values(database_url, "top1")["eurosat/vtab-test", "", "ViT-B-32 openai"] == 0.50722
    assert values(database_url, "mAP")["voc2007_multilabel", "", "ViT-B-32 openai"] == 0.76013
    recall = values(database_url, "recall@5")
    flickr = "flickr30k/karpathy-test"
    assert recall[flickr, "text_to_image", "ViT-B-32 openai"] == 0.8338
    assert recall[flickr, "image_to_text", "ViT-B-32 openai"] == 0.949
    rows = dump(database_url)["runs"]
    assert len(rows) == 3
    with open_store(database_url) as store:
        assert {(row.status, row.origin) for row in store.runs()} == {("done", "clip-benchmark")}


def test_a_json_document_with_nan_has_no_top5(sqlite_url: str, tmp_path: Path) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "one.json", DOCUMENT))
    assert values(sqlite_url, "top5") == {("food101/test", "", "ViT-B-32 openai"): None}


def test_a_folder_stands_for_its_json_files(sqlite_url: str, tmp_path: Path) -> None:
    for number, dataset in enumerate(("food101", "wds/sun397", "cars")):
        write(tmp_path / f"{number}.json", {**DOCUMENT, "dataset": dataset})
    assert bring(sqlite_url, "clip-benchmark", tmp_path)["added"] == 3
    assert ("sun397/all", "", "ViT-B-32 openai") in values(sqlite_url, "top1")


def test_tables_of_open_clip_quote_the_metric_that_datacomp_names(
    sqlite_url: str, tmp_path: Path
) -> None:
    tables = (write(tmp_path / "a.csv", OPEN_CLIP), write(tmp_path / "b.csv", RETRIEVAL))
    assert bring(sqlite_url, "open-clip", *tables)["results"] == 10
    large, small = "ViT-L-14-336 openai", "ViT-B-32 openai"
    assert values(sqlite_url, "top1")["imagenet/validation", "", large] == 0.7656
    assert values(sqlite_url, "mean_per_class_recall")["pets/test", "", large] == 0.9369
    assert values(sqlite_url, "acc_wg")["fairness/geode", "", large] == 0.9015
    flickr = "flickr30k/karpathy-test"
    for direction in ("image_to_text", "text_to_image"):
        assert values(sqlite_url, "mean_recall@1")[flickr, direction, large] == 0.7730
    assert values(sqlite_url, "recall@1")[flickr, "text_to_image", small] == 0.5878
    assert values(sqlite_url, "recall@10")[flickr, "image_to_text", small] == 0.9820


def test_every_column_of_open_clips_table_is_known(sqlite_url: str, tmp_path: Path) -> None:
    values = ",".join(["0.5"] * (HEADER.count(",") - 2))
    table = write(tmp_path / "a.csv", f"{HEADER}\nViT-B-32,openai,0.5,{values}\n")
    assert bring(sqlite_url, "open-clip", table)["results"] == 38


def test_figures_of_other_languages_stay_apart(sqlite_url: str, tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", LANGUAGES)
    assert bring(sqlite_url, "open-clip", table)["results"] == 2
    model = "nllb-clip-base v1"
    assert values(sqlite_url, "recall@1") == {
        ("xtd10", "text_to_image", model): 0.5,
        ("xtd10 (de)", "text_to_image", model): 0.4,
        ("xtd10 (de)", "image_to_text", model): 0.6,
    }


def test_an_imported_run_is_neither_loaded_nor_evaluated(sqlite_url: str, tmp_path: Path) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "one.json", DOCUMENT))
    asked = write(tmp_path / "more.toml", '[[evaluate]]\nuse = "zero_shot"\n')
    result = call(sqlite_url, "evaluate", "clip-benchmark", asked)
    assert result.exit_code == 2
    assert "ViT-B-32 openai, imported from clip-benchmark" in result.stderr


def test_the_same_file_twice_adds_nothing(database_url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "benchmark.csv", BENCHMARK)
    bring(database_url, "clip-benchmark", file)
    before = dump(database_url)
    assert bring(database_url, "clip-benchmark", file, file)["added"] == 0
    assert dump(database_url) == before


def test_a_model_that_is_there_gets_more_results(sqlite_url: str, tmp_path: Path) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "one.json", DOCUMENT))
    assert len(dump(sqlite_url)["runs"]) == 3


# --- where they stand -----------------------------------------------------------------------


def test_imported_figures_compare_with_each_other_and_never_with_a_run(
    store: Store, tmp_path: Path
) -> None:
    record(store, ranked([1, 6]))
    ours = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    theirs = read(tmp_path, open_clip.read_results, OPEN_CLIP)
    store.add_imported([*as_runs(ours, "clip-benchmark"), *as_runs(theirs, "open-clip")])
    board = leaderboard(store)
    eurosat = board.filter(pl.col("evaluation") == "eurosat/vtab-test", pl.col("metric") == "top1")
    assert eurosat["place"].to_list() == [1, 2, 3]
    assert eurosat["mean"].to_list() == [0.6850, 0.6144, 0.50722]
    own = board.filter(pl.col("origin").is_null())["protocol_hash"].unique()
    assert not set(own) & set(board.filter(pl.col("origin").is_not_null())["protocol_hash"])


def read(folder: Path, reader: Callable[[list[Path]], list[Any]], text: str) -> list[Any]:
    return reader([write(folder / "figures.csv", text)])


def test_imported_figures_stand_below_ones_own_of_the_test_set(
    store: Store, tmp_path: Path
) -> None:
    record(store, replace(ranked([1, 6]), test_set="eurosat/vtab-test"), experiment="mine")
    figures = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    store.add_imported(as_runs(figures, "clip-benchmark"))
    first, *others = boards(store, leaderboard(store))
    assert [(entry.place, entry.label) for entry in first.entries] == [
        (1, "mine"),
        (None, "clip-benchmark · ViT-B-32 openai (imported)"),
    ]
    assert any("imported" in note for note in first.notes)
    assert not first.has_undefined
    assert "eurosat/vtab-test · zero_shot · test" not in [board.title for board in others]
    assert len(others) == 5


def test_another_test_set_of_the_same_pictures_stays_apart(store: Store, tmp_path: Path) -> None:
    record(store, replace(ranked([1, 6]), test_set="eurosat/all"), experiment="mine")
    figures = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    store.add_imported(as_runs(figures, "clip-benchmark"))
    first = next(board for board in boards(store, leaderboard(store)) if board.samples)
    assert [entry.label for entry in first.entries] == ["mine"]


def test_a_board_is_ranked_by_the_metric_that_is_quoted_for_its_test_set(
    store: Store, tmp_path: Path
) -> None:
    store.add_imported(
        as_runs(read(tmp_path, clip_benchmark.read_results, BENCHMARK), "clip-benchmark")
    )
    mains = {board.title: board.main for board in boards(store, leaderboard(store))}
    assert mains["pets/test · zero_shot · test"] == "mean_per_class_recall"
    assert mains["eurosat/vtab-test · zero_shot · test"] == "top1"


def test_a_group_without_the_first_metric_is_shown_without_a_place(
    store: Store, tmp_path: Path
) -> None:
    recalls = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    means = read(tmp_path, open_clip.read_results, OPEN_CLIP)
    store.add_imported([*as_runs(recalls, "clip-benchmark"), *as_runs(means, "open-clip")])
    titled = {board.title: board for board in boards(store, leaderboard(store))}
    board = titled["flickr30k/karpathy-test · retrieval · image_to_text · test"]
    assert [entry.place for entry in board.entries] == [1, None]


@pytest.mark.parametrize("format", ["html", "md", "csv"])
def test_every_report_takes_imported_figures(sqlite_url: str, tmp_path: Path, format: str) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    out = tmp_path / f"report.{format}"
    assert call(sqlite_url, "report", "--out", out).exit_code == 0
    assert "ViT-B-32 openai" in out.read_text()
    assert "(imported)" in call(sqlite_url, "report").stdout
    assert "done (imported)" in call(sqlite_url, "ls").stdout
    assert "from clip-benchmark" in call(sqlite_url, "show", "clip-benchmark").stdout


# --- what goes out --------------------------------------------------------------------------


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
    zero_shot = "pets/test · zero_shot · test"
    assert sorted((board.title, len(board.entries)) for board in found) == [
        ("pets/test · linear_probe · test", 1),
        (zero_shot, 1),
        (zero_shot, 2),
    ]
    told = [board.title for board in found if "they were exported with" in " ".join(board.notes)]
    assert told == [zero_shot, zero_shot]
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


@given(st.sampled_from(sorted(names.TEST_SETS)))
def test_names_lead_there_and_back(dataset: str) -> None:
    ours = names.test_set_of(dataset)
    assert names.test_set_of(names.dataset_of(ours)) == ours


def test_published_datasets_have_the_names_and_metrics_of_what_is_imported() -> None:
    assert set(TEST_SETS) - set(names.TEST_SETS.values()) == {"fashion-mnist/test"}
    for test_set in TEST_SETS:
        dataset, _, name = test_set.partition("/")
        quoted = describe(dataset).test_set(name).main_metric
        assert (names.main_metric_of(test_set, "zero_shot") or "top1") == quoted


# --- bad input ------------------------------------------------------------------------------

BAD = {
    "no number": (".csv", BENCHMARK.replace("0.50722", "high"), "row 1, acc1", "'high'"),
    "above one": (".csv", BENCHMARK.replace("0.93721", "93.7"), "row 2, mean_per", "'93.7'"),
    "a row cut short": (".csv", BENCHMARK + "0.5,0.6\n", "row 6", "cells"),
    "no column": (".csv", BENCHMARK.replace("pretrained,task", "tag,task"), "'pretrained'", ""),
    "another table": (".csv", "a,b\n1,2\n", "lacks the column", "found: a,b\n  allowed"),
    "no model": (".csv", BENCHMARK.replace(",RN50,", ",,"), "row 5, model", "''"),
    "nothing": (".csv", "", "empty", ""),
    "half a document": (".json", '{"dataset": "food101"', "damaged", ""),
    "deep nesting": (".json", "[" * 100_000, "damaged", ""),
    "no metrics": (".json", {**DOCUMENT, "metrics": {}}, "no metrics", ""),
    "a truth": (".json", {**DOCUMENT, "metrics": {"acc1": True}}, "acc1", "True"),
    "no table": (".json", {**DOCUMENT, "mmlab": ["first"]}, "mmlab", "['first']"),
    "a table within": (
        ".json",
        {**DOCUMENT, "mmlab": {"protocol_hash": {}}},
        "protocol_hash",
        "{}",
    ),
    "a list": (".json", {**DOCUMENT, "model": ["ViT"]}, "model", "['ViT']"),
    "a contradiction": (
        ".json",
        [DOCUMENT, {**DOCUMENT, "metrics": {"acc1": 0.1}}],
        "document 2: it contradicts",
        "{'acc1': 0.1}",
    ),
    "half a surrogate pair": (
        ".json",
        {**DOCUMENT, "pretrained": "a\ud800"},
        "pretrained",
        "ud800",
    ),
    "a metric without a name": (".json", {**DOCUMENT, "metrics": {"": 0.1}}, "metrics", "''"),
    "a number beyond all": (".json", {**DOCUMENT, "metrics": {"x": 10**400}}, "x", "1000"),
    "infinity": (".json", {**DOCUMENT, "metrics": {"x": float("inf")}}, "x", "inf"),
    "a NUL": (".json", {**DOCUMENT, "model": "a\0b"}, "model", r"a\x00b"),
    "another ending": (".txt", BENCHMARK, "ending", ".txt"),
}


@pytest.mark.parametrize(("ending", "content", "place", "found"), BAD.values(), ids=BAD)
def test_bad_input_names_its_place_and_writes_nothing(
    sqlite_url: str, tmp_path: Path, ending: str, content: object, place: str, found: str
) -> None:
    good = write(tmp_path / "good.json", DOCUMENT)
    bad = write(tmp_path / f"bad{ending}", content)
    before = dump(sqlite_url)
    result = call(sqlite_url, "import", "clip-benchmark", good, bad)
    assert result.exit_code == 1, result.output
    for part in (str(bad), place, found, "next:"):
        assert part in result.stderr
    assert dump(sqlite_url) == before


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (OPEN_CLIP.replace("EuroSAT", "EuroSat"), "column 'EuroSat'"),
        (OPEN_CLIP.replace("0.6144", "61.44"), "row 1, column 'EuroSAT'"),
        (OPEN_CLIP.replace("name,", "title,"), "columns are not open_clip's"),
        ("", "columns are not open_clip's"),
    ],
)
def test_a_table_that_is_not_open_clips_is_refused(
    sqlite_url: str, tmp_path: Path, content: str, place: str
) -> None:
    result = call(sqlite_url, "import", "open-clip", write(tmp_path / "bad.csv", content))
    assert result.exit_code == 1
    assert place in result.stderr


def test_faults_of_all_files_are_told_at_once(sqlite_url: str, tmp_path: Path) -> None:
    bad = [write(tmp_path / f"{n}.csv", OPEN_CLIP.replace("0.6144", "no")) for n in range(2)]
    result = call(sqlite_url, "import", "open-clip", *bad, tmp_path / "absent.csv")
    assert all(name in result.stderr for name in ("0.csv", "1.csv", "absent.csv"))


def test_every_fault_of_every_row_is_told(sqlite_url: str, tmp_path: Path) -> None:
    content = BENCHMARK.replace("0.50722", "high").replace("0.93721", "93.7")
    bad = write(tmp_path / "bad.csv", content.replace(",RN50,", ",,"))
    said = call(sqlite_url, "import", "clip-benchmark", bad).stderr
    for place in ("row 1, acc1", "row 2, mean_per_class_recall", "row 5, model"):
        assert f"{bad}: {place}: " in said
    document = {**DOCUMENT, "model": 1, "metrics": {"acc1": "no", "acc5": 2.0}}
    lines = write(tmp_path / "bad.json", [document, {**document, "task": ""}])
    said = call(sqlite_url, "import", "clip-benchmark", lines).stderr
    assert said.count("found: ") == 3 + 4
    table = write(
        tmp_path / "table.csv", OPEN_CLIP.replace("0.6144", "no").replace("GeoDE", "GeoD")
    )
    said = call(sqlite_url, "import", "open-clip", table).stderr
    assert "row 1, column 'EuroSAT'" in said
    assert "column 'GeoD': these are no results" in said


def test_of_very_many_faults_the_first_are_told() -> None:
    faults = Faults()
    for number in range(SHOWN + 3):
        with faults.kept():
            raise DataError(f"fault {number}")
    with pytest.raises(DataError, match=r"fault 199\n\nand 3 more faults$"):
        faults.raise_all()
