"""Prompt study: what each template is worth, and which of them together do best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from mmlab.data.samples import prompt_names
from mmlab.data.tables import join_rows, take_rows
from mmlab.errors import DataError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import Learnt, ProtocolQuestion, hash_texts, nothing_left
from mmlab.evaluate.evaluators.zero_shot import (
    Combine,
    CombineOption,
    PromptsOption,
    QueriesOption,
    ScaleOption,
    ZeroShot,
    alike,
    combined,
    meaning_of,
)
from mmlab.evaluate.label_features import LabelFeatures
from mmlab.evaluate.label_results import KeptOption, Labelling, make_result
from mmlab.evaluate.metrics import (
    LABEL_METRICS,
    METRICS,
    mean_over_present,
    measure_labels,
    rank_metrics,
)
from mmlab.evaluate.probes import without_details
from mmlab.evaluate.prompts import Prompts, Template
from mmlab.evaluate.rank_labels import rank_labels
from mmlab.evaluate.ranked import LabelScores, TrueLabels
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.metric import Metric, under
from mmlab.plugin import Dataset, Features
from mmlab.records import EvaluationResult

By = Literal["top1", "mean_per_class_recall"]
Quality = Callable[[Sequence[int]], float]


class PromptStudy:
    """Zero-shot with every template alone, without each of them, with all, and with a selection.

    Conditions are "alone: TEMPLATE", "without: TEMPLATE", "all" and "selected". Templates are
    selected on the validation split: beginning with none, the one that helps most is added, until
    none helps; of equal ones the first. What is selected is then scored on the evaluated split, and
    told in the result's `templates` and `subject`. Results of "selected" compare between models
    that selected otherwise: what they share is the templates to choose from, and the procedure.

    Labels are encoded once for each template. Rows of single samples are kept of every condition,
    labels ranked first only of "all" and "selected".
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = under("{templates}", METRICS)
    label_metrics: ClassVar[tuple[Metric, ...]] = LABEL_METRICS
    learns_from: ClassVar[Sequence[Learnt]] = (
        Learnt("validation", instead="use zero_shot, which selects no templates"),
    )

    def __init__(
        self,
        *,
        queries: QueriesOption = None,
        prompts: PromptsOption = None,
        templates: Annotated[
            Annotated[Sequence[Template], Field(min_length=2)] | None,
            Field(description="templates to study, with one {} each; the dataset's unless given"),
        ] = None,
        combine: CombineOption = None,
        scale: ScaleOption = None,
        by: Annotated[By, Field(description="validation metric that selects templates")] = "top1",
        k: KeptOption = 5,
    ) -> None:
        self.by: By = by
        self.k = k
        self.zero_shot = ZeroShot(
            queries=queries,
            prompts=prompts,
            templates=templates,
            combine=combine,
            scale=scale,
            k=k,
            cards=0,
        )

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError or DataError as zero_shot does, and for fewer than two templates."""
        self.zero_shot.check(subject, dataset, name)
        templates = self.zero_shot.written(dataset, name).templates
        if len(set(templates)) < 2:
            raise too_few_templates(name, len(set(templates)))

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """A result for each condition."""
        self.check(subject, encoded.dataset, name)
        templates = tuple(dict.fromkeys(self.zero_shot.written(encoded.dataset, name).templates))
        asked = _Asked.of(self.zero_shot, subject, encoded, templates, name)
        validation = _Asked.of(
            self.zero_shot, subject, encoded.other("validation"), templates, name
        )
        selected, steps = select_templates(
            len(templates), lambda chosen: validation.quality(chosen, self.by)
        )
        results = [
            without_details(self._result(asked, name, condition, chosen))
            for condition, chosen in _conditions(templates)
        ]
        every = tuple(range(len(templates)))
        results.append(self._result(asked, name, "all", every))
        result = self._result(asked, name, "selected", selected, validation)
        told = [{"template": templates[place], self.by: value} for place, value in steps]
        results.append(replace(result, subject={**result.subject, "selection": told}))
        return results

    def _result(
        self,
        asked: _Asked,
        name: str,
        condition: str,
        chosen: Sequence[int],
        validation: _Asked | None = None,
    ) -> EvaluationResult:
        used = tuple(asked.templates[place] for place in chosen)
        question = self._question(asked, used, validation)
        keys = self.zero_shot.keys(asked.subject, name)
        described = asked.subject.describe(keys, asked.scores(chosen).calibration)
        labelling = Labelling(name, question, asked.encoded, asked.indexes, described, 0, condition)
        ranked = rank_labels(asked.scores(chosen), asked.truths, self.k, name)
        return replace(make_result(labelling, asked.truths, ranked), templates=used)

    def _question(
        self, asked: _Asked, used: tuple[str, ...], validation: _Asked | None
    ) -> ProtocolQuestion:
        """What is asked: of a selection all templates, and the samples that select."""
        templates = used if validation is None else asked.templates
        own = self.zero_shot.question(asked.subject, asked.encoded.dataset, asked.name, templates)
        own = replace(own, evaluator="prompts", version=self.version)
        if validation is None:
            return own
        ids = [validation.encoded.ids[index] for index in validation.indexes]
        options = {
            **own.options,
            "by": self.by,
            "selected_on": [validation.encoded.dataset.revision, hash_texts(ids)],
        }
        return replace(own, options=options)


@dataclass(frozen=True)
class _Asked:
    """Samples of a split, projected, and the features of all labels for each template."""

    zero_shot: ZeroShot
    subject: EvaluatedModel
    encoded: Encoded
    templates: tuple[str, ...]
    name: str
    indexes: Sequence[int]
    queries: Features
    by_template: Sequence[Features]

    @classmethod
    def of(
        cls,
        zero_shot: ZeroShot,
        subject: EvaluatedModel,
        encoded: Encoded,
        templates: tuple[str, ...],
        name: str,
    ) -> _Asked:
        """The labelled samples of a split."""
        queries, prompts = zero_shot.keys(subject, name)
        indexes = encoded.labelled(encoded.present(queries))
        if not indexes:
            needed = f"a known label and {subject.modality(queries)}"
            raise nothing_left(name, len(encoded.ids), needed)
        taken = take_rows(encoded.features[queries], torch.tensor(indexes))
        labels = [
            LabelFeatures(
                subject,
                prompts,
                Prompts(prompt_names(encoded.dataset), (template,)),
                averages=False,
            ).whole()
            for template in templates
        ]
        projected = subject.project(queries, taken)
        return cls(zero_shot, subject, encoded, templates, name, indexes, projected, labels)

    @property
    def truths(self) -> TrueLabels:
        """Labels of the samples."""
        return self.encoded.known_truths(self.indexes)

    def scores(self, chosen: Sequence[int]) -> LabelScores:
        """Scores of all labels, with the chosen templates alone."""
        subject, name = self.subject, self.name
        queries, prompts = self.zero_shot.keys(subject, name)
        combine = self.zero_shot.combination(subject, name)
        calibration = self.zero_shot.calibration(subject, name)
        labels = len(self.encoded.dataset.labels)
        answers = _joined([self.by_template[place] for place in chosen], combine)
        counts = torch.full((labels,), len(chosen))
        firsts = Prompts(prompt_names(self.encoded.dataset), self.templates).firsts

        def rows(part: slice) -> Tensor:
            asked = take_rows(self.queries, part)
            scores = subject.pair_scores(queries, asked, prompts, answers)
            return alike(combined(scores, counts, combine, calibration), firsts)

        return LabelScores(rows, labels, len(answers.pooled), meaning_of(combine, calibration))

    def quality(self, chosen: Sequence[int], by: By) -> float:
        """A metric of the chosen templates, as a result states it; 0 where it is not defined."""
        ranked = rank_labels(self.scores(chosen), self.truths, 1, self.name)
        count = len(self.encoded.dataset.labels)
        if by == "top1":
            return rank_metrics(ranked, count)["top1"] or 0.0
        # Without scores, for what orders all samples takes longest and is not asked.
        measures = measure_labels(replace(ranked, scores=None), count)
        return mean_over_present(measures["recall"], measures["support"]) or 0.0


def _joined(parts: Sequence[Features], combine: Combine) -> Features:
    """Features of labels with some templates: their mean, or a label's prompts side by side."""
    if combine == "features":
        return Features.of(torch.stack([part.pooled for part in parts]).mean(0))
    count, labels = len(parts), len(parts[0].pooled)
    order = torch.arange(count * labels).reshape(count, labels).T.flatten()
    return join_rows(parts).map(lambda x: x[order.to(x.device)])


def select_templates(
    count: int, quality_of: Quality
) -> tuple[tuple[int, ...], list[tuple[int, float]]]:
    """Places of the templates that forward selection takes, in order, and the quality after each.

    The one that helps most is added while any helps; of equal ones the first.
    """
    chosen: list[int] = []
    steps: list[tuple[int, float]] = []
    while len(chosen) < count:
        values = {
            place: quality_of([*chosen, place]) for place in range(count) if place not in chosen
        }
        place = max(values, key=lambda each: (values[each], -each))
        if steps and values[place] <= steps[-1][1]:
            break
        chosen.append(place)
        steps.append((place, values[place]))
    return tuple(chosen), steps


def _conditions(templates: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    places = range(len(templates))
    yield from ((f"alone: {templates[place]}", (place,)) for place in places)
    for place in places:
        rest = tuple(other for other in places if other != place)
        yield f"without: {templates[place]}", rest


def too_few_templates(name: str, count: int) -> DataError:
    """There is nothing to choose between."""
    return DataError(
        explain(
            f"evaluate.{name}.templates",
            "a study of templates needs several",
            found=f"{count} template{'s' if count != 1 else ''}",
            allowed="two or more different ones",
            next_step=f"set evaluate.{name}.templates, or use zero_shot",
        )
    )
