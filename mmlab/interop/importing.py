"""Figures of other tools as runs and results of the store, with their protocol as far as known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from mmlab.errors import UsageError, explain
from mmlab.hashing import digest
from mmlab.interop.clip_benchmark import OWN
from mmlab.interop.figures import Figures, without_repeats
from mmlab.interop.names import (
    DIRECTIONS,
    EVALUATORS,
    MEAN_RECALL,
    PUBLISHED,
    RETRIEVAL,
    main_metric_of,
    metric_of,
    test_set_of,
)
from mmlab.metric import under
from mmlab.records import EvaluationResult
from mmlab.spec.tables import Name
from mmlab.store import ImportedRun

#: Where results of predictions come from, in place of a tool.
PREDICTIONS = "predictions"

#: What a protocol of one's own states and a published figure does not.
UNKNOWN = ("dataset_revision", "labels", "options", "samples", "templates", "version")


def as_runs(figures: Sequence[Figures], tool: str) -> list[ImportedRun]:
    """One run per model and its pretraining, a result for each test set, task and language.

    Raises DataError where two files or rows say different things of one subject.
    """
    models: dict[tuple[str, str], list[Figures]] = {}
    for one in without_repeats(figures):
        models.setdefault((one.model, one.pretrained), []).append(one)
    return [_run(tool, *names, found) for names, found in models.items()]


def _run(tool: str, model: str, pretrained: str, figures: Iterable[Figures]) -> ImportedRun:
    axes = {"model": model, "pretrained": pretrained}
    return ImportedRun(
        origin=tool,
        cell=f"{model} {pretrained}",
        axes=axes,
        train_hash=digest({"imported_from": tool, **axes}),
        evaluations=[pair for one in figures for pair in _results(tool, one)],
    )


def _results(tool: str, figures: Figures) -> list[tuple[str, EvaluationResult]]:
    """The result, or for retrieval one per direction."""
    identity = digest([tool, *figures.key, dict(figures.metrics)])
    evaluator = EVALUATORS.get(figures.task, figures.task)
    by_condition: dict[str, dict[str, float | None]] = {}
    for name, value in figures.metrics.items():
        for condition, ours in _placed(name, evaluator):
            by_condition.setdefault(condition, {})[ours] = value
    return [
        (identity, _result(figures, evaluator, condition, metrics))
        for condition, metrics in by_condition.items()
    ]


def _placed(name: str, evaluator: str) -> list[tuple[str, str]]:
    """Condition and name of a metric here; the mean over both directions belongs to each."""
    metric = metric_of(name)
    if evaluator == EVALUATORS[RETRIEVAL] and metric.name == MEAN_RECALL:
        return [(condition, MEAN_RECALL) for condition in DIRECTIONS.values()]
    return [(metric.condition, metric.name)]


def _result(
    figures: Figures, evaluator: str, condition: str, metrics: Mapping[str, float | None]
) -> EvaluationResult:
    test_set = test_set_of(figures.dataset)
    spoken = "" if figures.language == "en" else f" ({figures.language})"
    return EvaluationResult(
        name=f"{test_set}{spoken}",
        evaluator=evaluator,
        condition=condition,
        split="test",
        dataset_revision="unknown",
        protocol=_protocol(figures, evaluator, condition),
        subject={
            "model": figures.model,
            "pretrained": figures.pretrained,
            "dataset": figures.dataset,
            "task": figures.task,
            "language": figures.language,
            "file": figures.file.name,
            "sha256": figures.file.sha256,
            "labels": list(figures.labels),
            **({OWN: dict(figures.own)} if figures.own else {}),
        },
        metrics=metrics,
        templates=tuple(figures.templates),
        test_set=test_set if not spoken else None,
        main_metric=main_metric_of(test_set, evaluator),
        declared=under(condition, PUBLISHED),
    )


def _protocol(figures: Figures, evaluator: str, condition: str) -> dict[str, object]:
    """What is known; it equals other imported ones of the same question, and never a run's own.

    What mmlab exported states the hash of the protocol that it was asked with.
    """
    asked = {key: figures.own[key] for key in ("protocol_hash",) if key in figures.own}
    return {
        "is_imported": True,
        "evaluator": evaluator,
        "task": figures.task,
        "condition": condition,
        "test_set": test_set_of(figures.dataset),
        "language": figures.language,
        "unknown": list(UNKNOWN),
        **asked,
    }


def check_name(name: str) -> None:
    """Raise UsageError for what no experiment may be called."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise UsageError(
            explain(
                "--name",
                "no experiment may be called so",
                found=ascii(name)[:200],
                allowed="1 to 100 letters, digits, _, . and -, the first a letter, a digit or _",
                next_step="choose another name",
            )
        ) from error


def as_predicted_run(
    name: str, seed: int, content: Sequence[object], results: Sequence[EvaluationResult]
) -> ImportedRun:
    """Results of somebody else's predictions as a run of an experiment of its own name.

    The first is of all samples. `content` identifies the predictions: the same ones are not added
    again to what they answer.
    """
    first = results[0]
    identity = [first.name, dict(first.protocol), *content]
    group = {"imported_from": PREDICTIONS, "model": name}
    train_hash = digest({**group, "seed": seed})
    return ImportedRun(
        origin=PREDICTIONS,
        cell="",
        axes={},
        train_hash=train_hash,
        group_hash=digest(group),
        seed=seed,
        experiment=name,
        evaluations=[(digest([train_hash, *identity]), result) for result in results],
    )
