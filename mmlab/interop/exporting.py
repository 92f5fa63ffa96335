"""Results of the store as CLIP_benchmark's documents: one per run and test set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from mmlab.interop.clip_benchmark import OWN
from mmlab.interop.names import EVALUATORS, Metric, dataset_of, theirs_of
from mmlab.store import EvaluationRow, RunDetail

#: A document of CLIP_benchmark; its values are texts but for `metrics` and our own addition.
Document = dict[str, object]


def as_documents(details: Iterable[RunDetail]) -> Iterator[Document]:
    """The documents of done runs. Results of other splits and other questions are left out."""
    for detail in details:
        for parts in _by_question(detail.evaluations):
            yield _document(detail, parts)


def _by_question(evaluations: Sequence[EvaluationRow]) -> Iterable[list[EvaluationRow]]:
    """Results that make one document: the directions of retrieval belong together."""
    parts: dict[tuple[str, str], list[EvaluationRow]] = {}
    for evaluation in evaluations:
        is_known = evaluation.evaluator in EVALUATORS.values() or "task" in evaluation.subject
        if is_known and evaluation.split == "test":
            key = (evaluation.name, evaluation.evaluation_hash)
            parts.setdefault(key, []).append(evaluation)
    return parts.values()


def _document(detail: RunDetail, parts: Sequence[EvaluationRow]) -> Document:
    first = parts[0]
    names = _imported_names(first) if detail.run.origin else _own_names(detail, first)
    metrics = {
        theirs_of(Metric(name, part.condition), names["task"]): value
        for part in parts
        for name, value in part.metrics.items()
    }
    own = {
        "run": detail.run.run_id,
        "experiment": detail.run.experiment,
        "cell": detail.run.cell,
        "seed": detail.run.seed,
        "evaluation": first.name,
        "protocol_hash": first.protocol_hash,
        "samples": first.sample_count,
    }
    return {**names, "metrics": metrics, **({} if detail.run.origin else {OWN: own})}


def _imported_names(evaluation: EvaluationRow) -> dict[str, str]:
    """The words in which the figures were published."""
    keys = ("dataset", "model", "pretrained", "task", "language")
    return {key: str(evaluation.subject[key]) for key in keys}


def _own_names(detail: RunDetail, evaluation: EvaluationRow) -> dict[str, str]:
    """A pretrained architecture keeps its name; what was trained here is named by its run."""
    tower = _pretrained_tower(detail)
    tasks = {ours: theirs for theirs, ours in EVALUATORS.items()}
    is_trained = detail.resolved.get("train") is not None
    tag = str(tower.get("pretrained") or "")
    return {
        "dataset": _dataset(detail, evaluation),
        "model": str(tower.get("architecture") or detail.run.experiment),
        "pretrained": tag if tag and not is_trained else f"mmlab-{detail.run.run_id[:12]}",
        "task": tasks[evaluation.evaluator],
        "language": "en",
    }


def _pretrained_tower(detail: RunDetail) -> Mapping[str, object]:
    """The options of the first encoder that names an architecture."""
    encoders = cast(Mapping[str, Mapping[str, object]], detail.resolved.get("encoders", {}))
    return next((table for table in encoders.values() if "architecture" in table), {})


def _dataset(detail: RunDetail, evaluation: EvaluationRow) -> str:
    """CLIP_benchmark's name of the test set, else the component's."""
    if evaluation.test_set is not None:
        return dataset_of(evaluation.test_set)
    tables = cast(Sequence[Mapping[str, object]], detail.resolved.get("evaluate", []))
    mine = next((t for t in tables if evaluation.name in (t.get("name"), t.get("use"))), {})
    table = mine.get("dataset") or detail.resolved.get("dataset") or {}
    return str(cast(Mapping[str, object], table).get("use", evaluation.name))
