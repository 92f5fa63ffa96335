"""All scores of an evaluation as a file in the runs folder, where its spec wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mmlab.checkpoint import save_weights
from mmlab.records import Artifact, EvaluationResult


def write_scores(
    runs: Path, run_id: str, results: Sequence[EvaluationResult], hashes: Mapping[str, str]
) -> list[EvaluationResult]:
    """The results with their scores in files, safetensors of one tensor `scores` (samples, labels).

    The file's metadata are `samples` and `labels`, JSON lists of ids and texts in the tensor's
    order. Raises RunError where a file cannot be written.
    """
    return [
        result if result.scores is None else _written(runs, run_id, result, hashes[result.name])
        for result in results
    ]


def _written(runs: Path, run_id: str, result: EvaluationResult, identity: str) -> EvaluationResult:
    assert result.scores is not None, "only asked for where there are scores"
    ids = result.samples.ids if result.samples is not None else ()
    path = Path(run_id, f"{result.name}-{identity[:12]}.safetensors")
    metadata = {"samples": json.dumps(list(ids)), "labels": json.dumps(result.labels)}
    sha256 = save_weights(runs / path, {"scores": torch.from_numpy(result.scores)}, metadata)
    size = (runs / path).stat().st_size
    file = Artifact("scores", path.as_posix(), sha256, size)
    return replace(result, scores=None, artifacts=[*result.artifacts, file])
