"""Planted results with known figures, for tests of the report and for looking at it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.records import EvaluationResult, MetricPoint, Rankings, SampleResults
from mmlab.store import CellRow, RunIdentity, SpecRow, Store

PROVENANCE = {
    "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "is_dirty": True},
    "plugins": {"mmlab-encoders": {"version": "0.1.0", "source": None}},
    "libraries": {"torch": "2.15.0", "numpy": "2.3.0"},
    "python": "3.11.9",
    "machine": {"device": "x86_64", "device_type": "cpu"},
}


def identity(experiment: str, cell: str, seed: int) -> RunIdentity:
    """One cell of an experiment; its cell text is its group."""
    row = CellRow(
        spec=SpecRow(f"{experiment}.toml", f'name = "{experiment}"\n', {}),
        experiment=experiment,
        position=0,
        seed=seed,
        label=cell,
        axes={"fusion": cell},
        overrides={"set": [], "files": []},
        budget=None,
        resolved={},
    )
    train, group = f"train-{experiment}-{cell}-{seed}", f"group-{experiment}-{cell}"
    return RunIdentity(row, {}, train, group)


def record(
    store: Store,
    *results: EvaluationResult,
    experiment: str = "emoji",
    cell: str = "",
    seed: int = 0,
    curve: Sequence[float] = (),
    rerun: bool = False,
    summary: Mapping[str, object] | None = None,
) -> str:
    """A done run with one curve, mostly with one evaluation; its id."""
    run = store.submit(identity(experiment, cell, seed), rerun=rerun)
    claim = store.claim(run.run_id, "worker", 60, PROVENANCE)
    assert claim is not None, "a new run is free"
    points = [MetricPoint("train/loss", 10 * step, value) for step, value in enumerate(curve)]
    store.record_points(claim, points)
    hashes = {result.name: f"evaluation-{run.run_id}-{result.name}" for result in results}
    store.finish(claim, list(results), hashes, summary=summary)
    return run.run_id


def ranked(
    ranks: Sequence[int],
    labels: Sequence[str] = ("cat", "dog", "owl", "fox", "bee", "ant"),
    *,
    name: str = "zero_shot",
    k: int = 5,
    truths: Sequence[Sequence[int]] | None = None,
    templates: tuple[str, ...] = ("a photo of a {}.", "a drawing of a {}."),
    protocol: Mapping[str, object] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> EvaluationResult:
    """A zero-shot result in which sample i ranks its truth, label i modulo C, at `ranks[i]`.

    The label at rank r has the probability 2 ** -r.
    """
    count = len(labels)
    truths = truths or [[index % count] for index in range(len(ranks))]
    orders = np.array([_order(t[0], rank, count) for t, rank in zip(truths, ranks, strict=True)])
    rank = np.array(ranks, dtype=np.int32)
    halves = 0.5 ** np.arange(1, k + 1, dtype=np.float32)
    return EvaluationResult(
        name=name,
        evaluator="zero_shot",
        condition="",
        split="test",
        dataset_revision="revision-1",
        protocol=protocol or {"evaluator": "zero_shot", "labels": list(labels)},
        subject={"precision": "fp32"},
        metrics={
            "top1": float((rank == 1).mean()),
            "top5": float((rank <= 5).mean()) if count >= 5 else None,
            "mean_per_class_recall": float((rank == 1).mean()),
            "mean_rank": float(rank.mean()),
        },
        labels=tuple(labels),
        templates=templates,
        samples=SampleResults(
            ids=[f"sample-{index:04d}" for index in range(len(ranks))],
            truths=truths,
            rank=rank,
            probability=(0.5**rank).astype(np.float32),
            top_label=orders[:, 0].astype(np.int32),
            top_probability=np.full(len(ranks), 0.5, dtype=np.float32),
            has_tie=np.zeros(len(ranks), dtype=np.bool_),
            outcome=(rank == 1).astype(np.float32),
        ),
        rankings=Rankings(
            label=orders[:, :k].astype(np.int32),
            score=np.tile(halves[: min(k, count)], (len(ranks), 1)),
        ),
        label_metrics={
            "recall": np.linspace(0, 1, count, dtype=np.float32),
            "support": np.arange(count, dtype=np.float32),
        },
        thumbnails=pictures or {},
        declared=ZeroShot.metrics,
        declared_of_labels=ZeroShot.label_metrics,
    )


def beyond(ranks: list[int], k: int = 5) -> EvaluationResult:
    """Of the first k labels alone: a truth behind them has no rank, and misses."""
    result = ranked(ranks, k=k)
    assert result.samples is not None
    nothing = np.full(len(ranks), np.nan, np.float32)
    known = np.where(result.samples.rank > k, 0, result.samples.rank)
    samples = replace(result.samples, rank=known, probability=nothing, top_probability=nothing)
    return replace(result, samples=samples)


def _order(truth: int, rank: int, count: int) -> list[int]:
    others = [label for label in range(count) if label != truth]
    return [*others[: rank - 1], truth, *others[rank - 1 :]]


def picture(colour: str) -> bytes:
    """A small WebP picture: a disc of this colour."""
    image = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(image).ellipse((12, 12, 116, 116), fill=colour)
    file = io.BytesIO()
    image.save(file, "WEBP")
    return file.getvalue()


def asked(
    outcomes: Sequence[float],
    *,
    ids: Sequence[str] | None = None,
    evaluator: str = "classification",
    condition: str = "",
    metrics: Mapping[str, float | None] | None = None,
    options: Mapping[str, object] | None = None,
) -> EvaluationResult:
    """A result of these outcomes, one a sample, whose protocol is what a real one consists of."""
    names = list(ids or (f"sample-{index:04d}" for index in range(len(outcomes))))
    count = len(names)
    return EvaluationResult(
        name=evaluator,
        evaluator=evaluator,
        condition=condition,
        split="test",
        dataset_revision="revision-1",
        protocol={
            "evaluator": evaluator,
            "condition": condition,
            "options": dict(options or {}),
            "samples": names,
        },
        subject={},
        metrics=_usual(evaluator, outcomes) if metrics is None else metrics,
        declared=Registry.discover(BUILTINS).resolve("evaluator", evaluator).metrics,  # type: ignore[attr-defined]
        samples=SampleResults(
            ids=names,
            truths=[()] * count,
            rank=np.zeros(count, dtype=np.int32),
            probability=np.full(count, np.nan, dtype=np.float32),
            top_label=np.full(count, -1, dtype=np.int32),
            top_probability=np.full(count, np.nan, dtype=np.float32),
            has_tie=np.zeros(count, dtype=np.bool_),
            outcome=np.array(outcomes, dtype=np.float32),
        ),
    )


def _usual(evaluator: str, outcomes: Sequence[float]) -> dict[str, float | None]:
    """The metric that is the mean of an evaluator's outcomes, or minus that."""
    mean = float(np.mean(outcomes))
    return {"mse": -mean} if evaluator == "regression" else {"top1": mean}


def record_fusion(
    store: Store,
    use: str,
    inputs: Sequence[str],
    *results: EvaluationResult,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    summary: Mapping[str, object] | None = None,
    rerun: bool = False,
) -> str:
    """A done run of a fusion over encoders; its id. `settings` are its sweep's other axes."""
    axes = {"fusion": {"use": use, "inputs": list(inputs)}, **(settings or {})}
    others = [f"{path}={value}" for path, value in (settings or {}).items()]
    cell = ", ".join([f"fusion={use}({'+'.join(inputs)})", *others])
    resolved = {"fusion": {"use": use, "inputs": list(inputs)}}
    made = identity("emoji", cell, seed)
    made = replace(made, cell=replace(made.cell, axes=axes), resolved=resolved)
    run = store.submit(made, rerun=rerun)
    claim = store.claim(run.run_id, "worker", 60, PROVENANCE)
    assert claim is not None, "a new run is free"
    hashes = {result.name: f"evaluation-{run.run_id}-{result.name}" for result in results}
    store.finish(claim, results, hashes, [], dict(summary or {}), None)
    return run.run_id
