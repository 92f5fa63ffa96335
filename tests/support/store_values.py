"""Identities and results to put into a store, for tests and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import MetaData, create_engine, select

from mmlab.metric import SHARE, Metric
from mmlab.records import (
    Artifact,
    BoxResults,
    Confusions,
    EvaluationResult,
    MetricPoint,
    Rankings,
    Reliability,
    SampleResults,
    SampleTargets,
    Shots,
)
from mmlab.store import CellClaim, CellRow, Claim, RunIdentity, SpecRow, Store, Submission
from mmlab.store.address import parse_address

LABELS = (
    "plain",
    "quotes ' \" ` and %s {} \\",
    "emoji 🦜🏳️‍🌈",
    "<b onclick=alert(1)>HTML</b> &amp;",
    "line one\nline two\ttab\r",
    "right to left שלום",
    "x" * 20_000,
)


def identity(name: str = "one", seed: int = 0) -> RunIdentity:
    """A cell of the experiment `emoji`; `name` and `seed` make its train hash."""
    spec = SpecRow("emoji.toml", f'name = "emoji" # {name} 🦜\n', {"name": "emoji"})
    resolved = {"name": "emoji", "fusion": {"use": "gating"}}
    cell = CellRow(
        spec=spec,
        experiment="emoji",
        position=2,
        seed=seed,
        label="fusion=gating",
        axes={"fusion": {"use": "gating"}},
        overrides={"set": ['meta.who="🦜"'], "files": [{"name": "more.toml", "text": "a = 1\n"}]},
        budget=900,
        resolved=resolved,
    )
    return RunIdentity(cell, resolved, f"train-{name}-{seed}", f"group-{name}")


def queued(seed: int = 0, experiment: str = "emoji", **asked: Any) -> Submission:
    """A cell for the queue; `asked` are the submission's other values."""
    return Submission(replace(identity().cell, seed=seed, experiment=experiment), **asked)


def taken(store: Store, lease_seconds: float = 60, worker: str = "worker") -> CellClaim:
    """The next cell of the queue, which must have one."""
    cell = store.claim_cell(worker, lease_seconds)
    assert cell is not None, "there is a cell to claim"
    return cell


def begun(store: Store, cell: CellClaim) -> Claim:
    """The claimed run that a claimed cell becomes."""
    asked = cell.queued.cell
    name = "one" if asked.experiment == "emoji" else asked.experiment
    of_cell = replace(identity(name, asked.seed), cell=asked)
    run = store.submit(of_cell, cell=cell)
    claim = store.claim(run.run_id, cell.worker, cell.lease_seconds, cell=cell)
    assert claim is not None, "the run is free"
    return claim


def claimed(store: Store, name: str = "one", seed: int = 0, lease_seconds: float = 60) -> Claim:
    """A submitted and claimed run."""
    run = store.submit(identity(name, seed))
    claim = store.claim(run.run_id, "worker", lease_seconds, {"git": None})
    assert claim is not None, "a new run is free"
    return claim


def points(*values: float) -> list[MetricPoint]:
    """A curve with these values at steps 1, 2, ..."""
    return [MetricPoint("train/loss", step, value) for step, value in enumerate(values, start=1)]


def boxes(samples: Sequence[str]) -> BoxResults:
    """Three boxes found, of which the surest is none and one is a crowd; the last has none."""
    return BoxResults(
        samples=tuple(samples),
        sample=np.array([0, 0, 1], np.int32),
        label=np.array([0, 1, 0], np.int32),
        box=np.array([[0, 0, 10, 10], [1 / 3, 2, 30, 40.5], [5, 5, 6, 6]], np.float64),
        score=np.array([0.9, 0.1, 1 / 3], np.float64),
        truth=np.array([-1, 1, 0], np.int32),
        true_sample=np.array([0, 0, 1], np.int32),
        true_label=np.array([0, 1, 0], np.int32),
        true_box=np.array([[50, 50, 60, 60], [0, 0, 30, 40], [0, 0, 640, 480]], np.float64),
        true_area=np.array([100, 900.5, 307200], np.float64),
        is_crowd=np.array([False, False, True]),
        is_difficult=np.array([False, False, False]),
    )


def evaluation(
    name: str = "zero_shot",
    labels: Sequence[str] = LABELS,
    sample_ids: Sequence[str] = ("a", "b 🦜", "c"),
    label_metrics: Mapping[str, Any] | None = None,
) -> EvaluationResult:
    """A result with everything that is awkward: no truth, several truths, NaN, undefined."""
    count, depth = len(sample_ids), min(3, len(labels))
    order = np.arange(count * depth, dtype=np.int32).reshape(count, depth)
    scores = np.linspace(0.9, 0.1, count * depth, dtype=np.float32).reshape(count, depth)
    scores[0, -1] = np.nan
    return EvaluationResult(
        name=name,
        evaluator="zero_shot",
        condition="",
        split="test",
        dataset_revision="revision-1",
        protocol={"evaluator": "zero_shot", "labels": "abc", "k": 5},
        subject={"scale": 100.0, "precision": "fp32"},
        metrics={"top1": 0.5, "top5": None, "nan": math.nan, "up": math.inf, "down": -math.inf},
        skipped=1,
        labels=tuple(labels),
        templates=("a photo of a {}.",),
        samples=SampleResults(
            ids=tuple(sample_ids),
            truths=[[0], [1, 2], *([[]] * (count - 2))],
            rank=np.array([1, 2, *([0] * (count - 2))], dtype=np.int32),
            probability=np.array([0.25, 0.125, *([np.nan] * (count - 2))], dtype=np.float32),
            top_label=np.arange(count, dtype=np.int32) % len(labels),
            top_probability=np.full(count, 0.1, dtype=np.float32),
            has_tie=np.arange(count) % 2 == 1,
            outcome=np.array([1, 0, *([np.nan] * (count - 2))], dtype=np.float32),
        ),
        rankings=Rankings(label=order % len(labels), score=scores),
        label_metrics=label_metrics
        or {"recall": np.linspace(0, 1, len(labels), dtype=np.float32) / np.float32(0.3)}
        | {"ap": np.full(len(labels), np.nan, dtype=np.float32)},
        thumbnails={sample_ids[0]: b"RIFF....WEBP"},
        picture_sizes={sample_ids[0]: (640, 480)},
        boxes=boxes(sample_ids),
        suite=("small 🦜", "other"),
        confusions=Confusions(*(np.array(x, dtype=np.int32) for x in ([0, 1], [1, 1], [2, 1]))),
        reliability=Reliability(
            np.array([0, 0.5], dtype=np.float32),
            np.array([0.5, 1], dtype=np.float32),
            np.array([3, 0], dtype=np.int32),
            np.array([0.25, np.nan], dtype=np.float32),
            np.array([1 / 3, np.nan], dtype=np.float32),
        ),
        targets=SampleTargets(
            ("age", "height 📏"),
            np.array([[0.1, np.nan]] * count),
            np.array([[40.5, 1.0 / 3]] * count),
        ),
        shots=Shots("revision-0", "train", ("seen 🦜", "also seen")),
        declared=(
            Metric("top{k}", "higher", SHARE, mean_of="rank<={k}"),
            Metric("down", "lower", "🦜"),
        ),
        declared_of_labels=(Metric("recall", "higher", SHARE),),
    )


def artifact(run_id: str) -> Artifact:
    """The best weights of a run."""
    return Artifact("best", f"{run_id}/best.safetensors", "ab" * 32, 12)


def finish(
    store: Store,
    claim: Claim,
    result: EvaluationResult | None = None,
    cell: CellClaim | None = None,
) -> None:
    """Record a result and the best weights, and mark the run done, and the cell."""
    result = result or evaluation()
    hashes = {result.name: f"evaluation-{claim.run_id}"}
    files = [artifact(claim.run_id)]
    store.finish(claim, [result], hashes, files, {"seconds": 1.5}, step=7, cell=cell)


#: Tables that say what was asked, and of whom; all others say what came of it.
ASKED = ("specs", "cells", "queue", "identities", "properties")


def results_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, but those that say what was asked."""
    return {name: rows for name, rows in dump(url).items() if name not in ASKED}


def dump(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, to tell whether anything was written."""
    engine = create_engine(parse_address(url).url)
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        rows = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return rows
