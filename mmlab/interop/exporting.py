"""Results of the store as CLIP_benchmark's documents: one per run and test set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from mmlab.errors import DataError, explain
from mmlab.interop.clip_benchmark import NAMES, OWN
from mmlab.interop.names import (
    DIRECTIONS,
    EVALUATORS,
    RETRIEVAL,
    NamedMetric,
    dataset_of,
    theirs_of,
)
from mmlab.records import SHARED_CAPTIONS
from mmlab.store import EvaluationRow, RunDetail

#: A document of CLIP_benchmark; its values are texts but for `metrics` and our own addition.
Document = dict[str, object]

#: Characters that are enough of a run's id or a hash.
SHORT = 12
_HASHES = ("run", "protocol_hash")


def as_documents(details: Iterable[RunDetail]) -> list[Document]:
    """The documents of done runs. Results of other splits and other questions are left out.

    Where several would be taken for one, `pretrained` also says what they differ in: the run, or
    the evaluation's name, or its protocol.
    """
    return _told_apart(
        [
            _document(detail, parts)
            for detail in details
            for parts in _by_question(detail.evaluations)
        ]
    )


def left_out(details: Iterable[RunDetail]) -> list[str]:
    """What has the name of CLIP_benchmark's retrieval and is, or may be, another; a line each."""
    return [
        f"left out: {evaluation.name} of {detail.run.experiment} {detail.run.run_id[:SHORT]}, "
        f"{_why_left_out(evaluation)}"
        for detail in details
        for evaluation in detail.evaluations
        if _has_counterpart(evaluation) and _shares_captions(evaluation)
        if evaluation.condition == DIRECTIONS["text"]  # once for both
    ]


def _why_left_out(evaluation: EvaluationRow) -> str:
    if SHARED_CAPTIONS not in evaluation.subject:
        return (
            "for an earlier version of mmlab did not count shared captions, so that it may not be "
            'CLIP_benchmark\'s question; evaluate the run anew with repeated_captions = "own"'
        )
    return (
        "where samples that share a caption answer for each other, as CLIP_benchmark does not "
        'count; evaluate the run with repeated_captions = "own" for figures that it does'
    )


def _by_question(evaluations: Sequence[EvaluationRow]) -> Iterable[list[EvaluationRow]]:
    """Results that make one document: the directions of retrieval belong together."""
    parts: dict[tuple[str, str], list[EvaluationRow]] = {}
    for evaluation in evaluations:
        if _has_counterpart(evaluation) and not _shares_captions(evaluation):
            key = (evaluation.name, evaluation.evaluation_hash)
            parts.setdefault(key, []).append(evaluation)
    return parts.values()


def _has_counterpart(evaluation: EvaluationRow) -> bool:
    """Whether a test result is of a task that they have; retrieval is of pictures and texts."""
    if evaluation.split != "test":
        return False
    if "task" in evaluation.subject:  # an imported one
        return True
    if evaluation.evaluator == EVALUATORS[RETRIEVAL]:
        return evaluation.condition in DIRECTIONS.values()
    return evaluation.evaluator in EVALUATORS.values()


def _shares_captions(evaluation: EvaluationRow) -> bool:
    """Whether samples answered for others with the same caption, or may have done so."""
    if evaluation.evaluator != EVALUATORS[RETRIEVAL] or "task" in evaluation.subject:
        return False
    options = cast(Mapping[str, object], evaluation.protocol.get("options", {}))
    return evaluation.subject.get(SHARED_CAPTIONS) != 0 and "repeated_captions" not in options


def _document(detail: RunDetail, parts: Sequence[EvaluationRow]) -> Document:
    first = parts[0]
    is_published = "task" in first.subject
    names = _imported_names(first) if is_published else _own_names(detail, first)
    metrics = dict[str, float | None]()
    for part in parts:
        for name, value in part.metrics.items():
            theirs = theirs_of(NamedMetric(name, part.condition), names["task"])
            written = _as_json(value)
            if metrics.setdefault(theirs, written) != written:
                raise _two_meanings(detail, first, theirs)
    if is_published:
        told = {OWN: first.subject[OWN]} if OWN in first.subject else {}
        return {**names, "metrics": metrics, **told}
    own = {
        "run": detail.run.run_id,
        "experiment": detail.run.experiment,
        "cell": detail.run.cell,
        "seed": detail.run.seed,
        "evaluation": first.name,
        "protocol_hash": first.protocol_hash,
        "samples": first.sample_count,
    }
    return {**names, "metrics": metrics, OWN: own}


def _as_json(value: float | None) -> float | None:
    """A metric as a document has it: JSON has neither NaN nor infinities: null is undefined."""
    return None if value is None or not math.isfinite(value) else value


def _two_meanings(detail: RunDetail, evaluation: EvaluationRow, metric: str) -> DataError:
    return DataError(
        explain(
            f"{detail.run.experiment} {detail.run.run_id[:SHORT]}: {evaluation.name}",
            "conditions of one evaluation have different values of one metric",
            found=metric,
            allowed="one value for each of CLIP_benchmark's metrics",
            next_step="export other runs; mmlab report shows every condition of this one",
        )
    )


def _told_apart(documents: Iterable[Document]) -> list[Document]:
    """Each once; documents of one model, test set and task say what they differ in."""
    alike: dict[tuple[object, ...], list[Document]] = {}
    for document in documents:
        same = alike.setdefault(tuple(document[key] for key in NAMES), [])
        if document not in same:
            same.append(document)
    return [_named(document, same) for same in alike.values() for document in same]


def _named(document: Document, alike: Sequence[Document]) -> Document:
    """A document among those of its model, test set and task, itself one of them."""
    mine, others = _own_words(document), [_own_words(one) for one in alike]
    keys = [key for key in ("run", "evaluation") if len({own.get(key) for own in others}) > 1]
    if len({tuple(own.get(key) for key in keys) for own in others}) < len(others):
        keys.append("protocol_hash")
    told = [mine[key] for key in keys if key in mine]
    return {**document, "pretrained": "-".join([str(document["pretrained"]), *told])}


def _own_words(document: Document) -> dict[str, str]:
    """What we add to a document, shortened as far as it still tells results apart."""
    own = cast(Mapping[str, object], document.get(OWN, {}))
    return {key: str(value)[:SHORT] if key in _HASHES else str(value) for key, value in own.items()}


def _imported_names(evaluation: EvaluationRow) -> dict[str, str]:
    """The words in which the figures were published."""
    keys = ("dataset", "model", "pretrained", "task", "language")
    return {key: str(evaluation.subject[key]) for key in keys}


def _own_names(detail: RunDetail, evaluation: EvaluationRow) -> dict[str, str]:
    """A pretrained architecture keeps its name; what was trained here is named by its run."""
    tower = _pretrained_tower(detail)
    tasks = {ours: theirs for theirs, ours in EVALUATORS.items()}
    is_trained = detail.resolved.get("train") is not None
    tag, maker = str(tower.get("pretrained") or ""), detail.run.origin or "mmlab"
    return {
        "dataset": _dataset(detail, evaluation),
        "model": str(tower.get("architecture") or detail.run.experiment),
        "pretrained": tag if tag and not is_trained else f"{maker}-{detail.run.run_id[:SHORT]}",
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
    if detail.run.origin:  # predictions of somebody else's model say what they are of
        return str(evaluation.subject.get("dataset", evaluation.name))
    tables = cast(Sequence[Mapping[str, object]], detail.resolved.get("evaluate", []))
    name, _, key = evaluation.name.partition("/")  # of a suite it is SUITE/DATASET
    mine = next((t for t in tables if name in (t.get("name"), t.get("use"))), {})
    suite = cast(Mapping[str, object], mine.get("datasets") or {})
    table = suite.get(key) or mine.get("dataset") or detail.resolved.get("dataset") or {}
    return str(cast(Mapping[str, object], table).get("use", evaluation.name))
