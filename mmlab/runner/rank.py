"""Labels of one's own ranked by a loaded model for inputs of one's own; nothing is stored.

A model that scores pairs ranks whatever labels it is given, as zero-shot does, and one with a head
ranks the labels that it was trained on. What is asked is checked before anything is encoded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mmlab.data.given import GivenSamples
from mmlab.errors import check_text
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.given import NAME, rank_by_head, rank_by_prompts
from mmlab.evaluate.prompts import PLACEHOLDER
from mmlab.evaluate.ranked import RankedLabels, TrueLabels
from mmlab.model.build import BuiltCell
from mmlab.model.device import resolve_precision
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.runner.rank_faults import (
    cannot_rank,
    labels_in_its_place,
    lacks_input,
    needs_labels,
    needs_scale,
    needs_two_labels,
    no_input,
    no_row,
    not_a_label,
    not_a_template,
    not_as_many,
    unclear_prompts,
    unknown_input,
)
from mmlab.runner.score import EVALUATION_BATCH_SIZE

#: Options of a model's zero-shot evaluation that hold for labels of one's own too.
KEPT_OPTIONS = ("queries", "prompts", "combine", "scale")


@dataclass(frozen=True)
class RankRequest:
    """What is asked: a column of values by encoder key or modality, and labels in order.

    `labels` None means those of the head. `truths` are the labels that are right, one a sample, or
    none where nobody knows. `top` is how many labels are wanted. `templates`, `prompts` (the
    encoder that reads them) and `scale` are as the evaluator zero_shot has them; without the last
    two the model's own evaluation says them, or the model itself.
    """

    inputs: Mapping[str, Sequence[object]]
    labels: Sequence[str] | None
    templates: Sequence[str]
    truths: Sequence[str] = ()
    top: int = 5
    prompts: str | None = None
    scale: float | None = None


@dataclass(frozen=True)
class RankedInputs:
    """The samples that were asked about, and their labels, ranked block by block in their order.

    `samples` has the labels and templates; a head has none of these.
    """

    samples: GivenSamples
    truths: TrueLabels
    blocks: Sequence[RankedLabels]


def rank_inputs(
    built: BuiltCell,
    request: RankRequest,
    device: torch.device,
    note: Callable[[str], None] = lambda text: None,
) -> RankedInputs:
    """Rank labels for every sample; `note` hears of labels that cannot be told apart.

    Raises UsageError for what cannot be asked, DataError for a file that cannot be read, and
    RunError where a score is no number.
    """
    columns = _columns(built, request.inputs)
    subject, by_head = _subject(built, device, note), request.labels is None
    labels = _head_labels(built) if by_head else _checked_labels(request.labels or ())
    question = None if by_head else _question(built, subject, request, columns)
    samples = GivenSamples(
        columns,
        Registry.discover(BUILTINS),
        labels=labels,
        templates=() if by_head else request.templates,
        is_multi_label=by_head and built.data.is_multi_label,
        video_frames=_video_frames(built),
    )
    truths, batch_size = _truths(request.truths, labels, len(samples)), _batch_size(built)
    if question is None:
        found = rank_by_head(subject, samples, truths, request.top, batch_size)
    else:
        found = rank_by_prompts(question, subject, samples, truths, batch_size)
    return RankedInputs(samples, truths, list(found))


def main_input(built: BuiltCell) -> str:
    """The modality of values that are given without a name: pictures, else what is no text."""
    found = [built.readers[key].modality for key in built.model.inputs]
    order = ("image", *(modality for modality in found if modality != "text"), "text")
    return next(modality for modality in order if modality in found)


def zero_shot_name(built: BuiltCell) -> str | None:
    """The first zero-shot evaluation of the model's spec, if it has one."""
    named = built.plan.evaluators.items()
    return next((name for name, found in named if found.entry.name == "zero_shot"), None)


def _columns(
    built: BuiltCell, inputs: Mapping[str, Sequence[object]]
) -> dict[str, Sequence[object]]:
    """The values by modality, as many of each. Raises UsageError."""
    known = {key: built.readers[key].modality for key in built.model.inputs}
    columns: dict[str, Sequence[object]] = {}
    for name, values in inputs.items():
        modality = known.get(name, name)
        if modality not in known.values():
            raise unknown_input(name, known)
        read = map(_read_row, values) if modality == "tabular" else values
        columns[modality] = [*columns.get(modality, ()), *read]
    counts = {modality: len(values) for modality, values in columns.items()}
    if not sum(counts.values()):
        raise no_input(known)
    if len(set(counts.values())) > 1:
        raise not_as_many("inputs", counts)
    for modality, values in columns.items():
        for value in values:
            if isinstance(value, str):
                check_text(f"inputs: {modality}", value)
    return columns


def _read_row(value: object) -> object:
    """A row of a table, from its JSON where it is a text."""
    if not isinstance(value, str):
        return value
    try:
        found: object = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise no_row(value) from error
    if not isinstance(found, dict):
        raise no_row(value)
    return found


def _checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels as they are given, none of them empty and each once."""
    for number, label in enumerate(labels, start=1):
        if not label.strip():
            raise not_a_label(f"label {number} is empty", repr(label), "texts that are not empty")
        check_text(f"labels: label {number}", label)
    label, times = max(Counter(labels).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise not_a_label("a label is there more than once", repr(label), "each label once")
    if not labels:
        raise not_a_label("there is no label", "0 labels", "two labels or more")
    return tuple(labels)


def _head_labels(built: BuiltCell) -> tuple[str, ...]:
    """The labels that the model's own head decides between."""
    if built.model.head is None or built.plan.predicts_targets:
        raise needs_labels(has_head=built.model.head is not None)
    return built.data.labels


def _question(
    built: BuiltCell, subject: EvaluatedModel, request: RankRequest, columns: Mapping[str, object]
) -> ZeroShot:
    """Zero-shot as the model's own evaluation asks it, of the columns that are given."""
    modalities = {key: subject.modality(key) for key in subject.model.inputs}
    if not subject.gives_similarity:
        raise cannot_rank(tuple(modalities), has_head=built.model.head is not None)
    options = _own_options(built)
    if request.prompts is not None:
        options |= {"prompts": request.prompts, "queries": None}
    options["scale"] = request.scale or options["scale"]
    for template in request.templates:
        if template.count(PLACEHOLDER) != 1:
            raise not_a_template(template)
    question = ZeroShot(**options, templates=request.templates, k=request.top)
    if subject.calibration is None and question.scale is None:
        raise needs_scale()
    if request.prompts not in (None, *modalities) or not _names_prompts(question, modalities):
        raise unclear_prompts(request.prompts, modalities)
    queries, prompts = question.keys(subject, NAME)
    _require_query(columns, modalities[queries], modalities[prompts])
    if len(request.labels or ()) < 2 and question.calibration(subject, NAME).kind == "softmax":
        raise needs_two_labels()
    return question


def _own_options(built: BuiltCell) -> dict[str, Any]:  # Any: options of an evaluator
    """Options that the first zero-shot evaluation of the model's spec sets."""
    name = zero_shot_name(built)
    options = {} if name is None else built.plan.evaluators[name].options
    return {key: options.get(key) for key in KEPT_OPTIONS}


def _names_prompts(question: ZeroShot, modalities: Mapping[str, str]) -> bool:
    """Whether it is clear which of two inputs reads the prompts."""
    is_named = question.prompts is not None or question.queries is not None
    return is_named or list(modalities.values()).count("text") == 1


def _require_query(columns: Mapping[str, object], queries: str, prompts: str) -> None:
    """Raise UsageError unless exactly what the labels are ranked for is given."""
    if queries not in columns:
        raise lacks_input(queries, columns)
    if prompts != queries and prompts in columns:
        raise labels_in_its_place(prompts, queries)


def _truths(truths: Sequence[str], labels: Sequence[str], count: int) -> TrueLabels:
    """The ids of the true labels; () of each sample where nobody knows them."""
    if not truths:
        return [()] * count
    if len(truths) != count:
        raise not_as_many("truths", {"inputs": count, "truths": len(truths)})
    ids = {label: number for number, label in enumerate(labels)}
    unknown = next((truth for truth in truths if truth not in ids), None)
    if unknown is not None:
        raise not_a_label("a truth is none of the labels", repr(unknown), "one of the labels")
    return [(ids[truth],) for truth in truths]


def _subject(built: BuiltCell, device: torch.device, note: Callable[[str], None]) -> EvaluatedModel:
    table = built.plan.cell.spec.train
    return EvaluatedModel(
        model=built.model,
        calibration=built.calibration(),
        device=device,
        precision=resolve_precision(table.precision if table else "auto", device),
        readers=built.readers,
        note=note,
    )


def _batch_size(built: BuiltCell) -> int:
    table = built.plan.cell.spec.train
    return table.batch_size if table else EVALUATION_BATCH_SIZE


def _video_frames(built: BuiltCell) -> int:
    """As many frames of a video as the model's own data have, where they say it."""
    found = built.plan.dataset.options.get("video_frames", 16)
    return found if isinstance(found, int) else 16
