"""Figures as CLIP_benchmark and open_clip publish them, and the commands that take them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from click.testing import CliRunner, Result

from mmlab.cli import main
from mmlab.report.leaderboard import leaderboard
from mmlab.store import open_store

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


def read(folder: Path, reader: Callable[[list[Path]], list[Any]], text: str) -> list[Any]:
    return reader([write(folder / "figures.csv", text)])
