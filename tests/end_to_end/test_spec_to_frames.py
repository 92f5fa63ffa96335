"""From TOML to frames with the real plugins: the whole line, on SQLite and on Postgres."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import polars as pl
import pytest
import torch
from mmlab_datasets.emoji import Emoji
from polars.testing import assert_frame_equal
from safetensors.torch import save_file
from sqlalchemy import func, select
from support import strange
from support.lab import CONCAT, DATASET, ENCODERS, PAIRED, RETRIEVAL, SCRIPTED, TRAIN, Lab

import mmlab
from mmlab.data.loader import evaluation_batches
from mmlab.store.tables import label_metrics, samples
from mmlab.store.views import leaderboard as finals

EMOJI = """\
[dataset]
use = "emoji"
labels = "category"

[encoders.image]
use = "convnet"
image_size = 32
width = 8
levels = 2

[encoders.text]
use = "transformer"
width = 16
depth = 1
length = 8

[fusion]
use = "concat"
dim = 16

[head]
use = "linear"

[[losses]]
use = "cross_entropy"

[[losses]]
use = "info_nce"

[train]
max_steps = 12
batch_size = 32
emit_every = 4

[[evaluate]]
use = "classification"

[[evaluate]]
use = "zero_shot"

[[evaluate]]
use = "retrieval"
"""


@pytest.mark.slow
def test_one_spec_leaves_everything_that_is_promised(lab: Lab) -> None:
    detail = lab.run_one(lab.write("emoji", [EMOJI]))
    names = {(e.name, e.condition) for e in detail.evaluations}
    assert {name for name, _ in names} == {"classification", "zero_shot", "retrieval"}
    assert len([name for name, condition in names if condition]) == 2
    with mmlab.results(lab.db) as results:
        curves, rankings = results.curves("emoji"), results.rankings("emoji", "zero_shot")
        labels = results.labels()
        (card,) = results.cards("emoji", "zero_shot", count=1)
    assert {"train/loss", "train/lr", "validation/loss"} <= set(curves["metric"])
    assert sorted(curves.filter(pl.col("metric") == "train/loss")["step"]) == [4, 8, 12]
    count = len(Emoji("test", labels="category"))
    assert len(rankings) == 5 * count
    assert rankings["score"].is_between(0, 1).all()
    assert labels["label"].n_unique() == 7
    assert card.picture
    assert {kept.role for kept in detail.artifacts} == {"best", "final"}
    assert detail.provenance["plugins"].keys() >= {"mmlab-datasets", "mmlab-encoders"}


@pytest.mark.slow
def test_a_loaded_run_of_real_plugins_predicts_what_was_stored(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("emoji", [EMOJI]))
    experiment, dataset = mmlab.load("emoji", sqlite_lab.db), Emoji("test", labels="category")
    hits = []
    with torch.no_grad():
        for batch in evaluation_batches(dataset, experiment.readers, 32):
            prediction = experiment.model(batch).prediction
            assert prediction is not None
            hits += (prediction.argmax(dim=1) == batch.target).tolist()
    (stored,) = [e for e in detail.evaluations if e.name == "classification"]
    assert sum(hits) / len(hits) == pytest.approx(stored.metrics["top1"], abs=1e-9)


MULTI = (
    DATASET + "multi = true\n",
    ENCODERS,
    CONCAT,
    SCRIPTED,
    '[[losses]]\nuse = "info_nce"\n',
    TRAIN,
    '[[evaluate]]\nuse = "classification"\n',
    '[[evaluate]]\nuse = "zero_shot"\n',
    RETRIEVAL,
    "[sweep]\nseeds = [0, 1]\n",
)


def test_sqlite_and_postgres_give_equal_frames(
    sqlite_lab: Lab, postgres_url: str, tmp_path: Path
) -> None:
    spec = sqlite_lab.write("multi", MULTI)
    found = []
    for url in (sqlite_lab.db, postgres_url):
        outcomes = Lab(tmp_path, url).run(spec)
        assert [outcome.error for outcome in outcomes] == [None, None]
        found.append(frames(url, [outcome.run_id or "" for outcome in outcomes]))
    for name, frame in found[0].items():
        assert len(frame) > 0, name
        assert_frame_equal(frame, found[1][name], check_exact=True)
    labels = found[0]["labels"]
    assert labels.filter(pl.col("label") == "red 🟥").height == 2
    assert labels.filter(pl.col("label") == "never seen 🦜")["recall"].is_null().all()
    assert "nan" in found[0]["curves"]["value_kind"].to_list()
    truths = (
        found[0]["rankings"].group_by("seed", "evaluation", "sample").agg(pl.col("is_truth").sum())
    )
    assert truths["is_truth"].max() == 2


def frames(url: str, runs: list[str]) -> dict[str, pl.DataFrame]:
    """What analysts read, without what measures time."""
    with mmlab.results(url) as results:
        return {
            "leaderboard": results.leaderboard().drop("seconds"),
            "labels": results.labels(),
            "rankings": pl.concat(
                results.rankings(run).with_columns(pl.lit(seed).alias("seed"))
                for seed, run in enumerate(runs)
            ),
            "curves": pl.concat(results.curves(run) for run in runs).filter(
                pl.col("metric") != "train/samples_per_second"
            ),
            "finals": results.store.frame(
                select(*[c for c in finals.c if c.name not in ("run_id", "finished_at")]).order_by(
                    finals.c.seed, finals.c.evaluation, finals.c.condition, finals.c.metric
                )
            ),
        }


def test_labels_without_a_sample_are_stored_as_not_defined(lab: Lab) -> None:
    lab.run(lab.write("multi", MULTI[:-1]))
    with lab.store() as store:
        undefined = store.frame(
            select(func.count().label("n")).where(label_metrics.c.value.is_(None))
        )
        count = store.frame(select(func.count().label("n")).select_from(samples))
    assert undefined["n"][0] > 0
    assert count["n"][0] == 24


CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PRETRAINED = """\
[dataset]
use = "emoji"
labels = "category"

[encoders.image]
use = "open_clip"
architecture = "local-dir:FOLDER"

[encoders.text]
use = "open_clip"
architecture = "local-dir:FOLDER"

[fusion]
use = "inner_product"

[[evaluate]]
use = "zero_shot"
"""


def clip(folder: Path) -> str:
    """A spec that evaluates a tiny model which open_clip itself wrote."""
    folder.mkdir()
    config = json.dumps({"model_cfg": CLIP, "preprocess_cfg": {}})
    (folder / "open_clip_config.json").write_text(config)
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return PRETRAINED.replace("FOLDER", str(folder))


@pytest.mark.slow
def test_a_pretrained_model_is_evaluated_without_training(lab: Lab) -> None:
    spec = lab.write("clip", [clip(lab.folder / "clip")])
    detail = lab.run_one(spec)
    assert (detail.run.status, detail.artifacts) == ("done", [])
    assert detail.evaluations[0].step is None
    assert detail.evaluations[0].sample_count == len(Emoji("test"))
    assert "weights of the folder clip, sha256 " in detail.summary["weights"]["image"]
    assert "steps" not in detail.summary
    assert lab.statuses(spec) == ["skipped"]
    assert lab.shown.notes == []


@pytest.mark.slow
def test_changed_weights_of_a_pretrained_model_evaluate_again(sqlite_lab: Lab) -> None:
    folder = sqlite_lab.folder / "clip"
    spec = sqlite_lab.write("clip", [clip(folder)])
    random = ('encoders.image.pretrained=""', 'encoders.text.pretrained=""')
    assert sqlite_lab.statuses(spec) == ["done"]
    assert sqlite_lab.statuses(spec, *random) == ["done"]
    assert [note.split(":")[0] for note in sqlite_lab.shown.notes] == [
        "encoders.image",
        "encoders.text",
    ]
    weights = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False).state_dict()
    save_file({n: x * 2 for n, x in weights.items()}, folder / "open_clip_model.safetensors")
    assert sqlite_lab.statuses(spec) == ["done"]


@pytest.mark.slow
def test_components_of_a_stranger_are_run_and_named(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange.install(monkeypatch, sqlite_lab.folder / "strangers")
    detail = sqlite_lab.run_one(strange.SPEC, "train.epochs=1")
    assert detail.provenance["plugins"]["stranger-mmlab"]["version"] == "3.1.4"
    assert mmlab.load("stranger-shapes", sqlite_lab.db).model.inputs == ("image", "text")


def test_two_specs_with_one_content_are_two_experiments(sqlite_lab: Lab) -> None:
    one, two = sqlite_lab.write("one", PAIRED), sqlite_lab.write("two", PAIRED)
    assert sqlite_lab.statuses([one, two]) == ["done", "done"]
    first, second = (sqlite_lab.detail(name) for name in ("one", "two"))
    assert first.artifacts[0].sha256 == second.artifacts[0].sha256
