"""Published figures come in, as CLIP_benchmark and open_clip write them."""

from __future__ import annotations

from pathlib import Path

from support.published_figures import BENCHMARK, DOCUMENT, OPEN_CLIP, bring, call, values, write
from support.store_values import dump

from mmlab.store import open_store

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
