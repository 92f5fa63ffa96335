"""Zero-shot: labels written as prompts, ranked for every sample by the model's own similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor

from mmlab.evaluate import faults
from mmlab.evaluate.data import Encoded, Subject, concatenate, take
from mmlab.evaluate.labelling import Labelling, LabelScores, make_result, rank_labels
from mmlab.evaluate.protocol import Question
from mmlab.plugin import Calibration, Dataset, Features
from mmlab.records import EvaluationResult

PLACEHOLDER = "{}"

#: Prompts encoded and projected before they are averaged.
PROMPTS_AT_ONCE = 256


def _check_template(template: str) -> str:
    if template.count(PLACEHOLDER) != 1:
        text = "a template needs exactly one {} for the label"
        allowed = 'a text with one {}, such as "a photo of a {}."'
        context = {"text": text, "allowed": allowed, "next_step": "put {} where the label belongs"}
        raise PydanticCustomError("template", "{text}", context)
    return template


Template = Annotated[str, AfterValidator(_check_template)]


class ZeroShot:
    """Which label fits: every query is scored against every label, written as prompts.

    A label's prompts are its name in each template. Where the fusion averages prompts as features,
    the projected features of a label's prompts are averaged: a cosine fusion projects to length 1
    and scores by direction, so that is normalise, mean, normalise. Otherwise each prompt is scored
    and the scores are averaged. Encoders run in the subject's precision, all else in float32.

    Labels are ranked by (-score, label id). Probabilities come from the model's temperature: a
    softmax over labels, or each label's own sigmoid. A sample with several truths counts by the one
    ranked best. Left out are samples without a known label or without the query's input.

    Source: Radford et al., arXiv:2103.00020, section 3.1.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"similarity"})

    def __init__(
        self,
        *,
        queries: Annotated[
            str | None, Field(description="encoder of the samples; the one that reads no text")
        ] = None,
        prompts: Annotated[
            str | None, Field(description="encoder of the prompts; the one that reads text")
        ] = None,
        templates: Annotated[
            Annotated[Sequence[Template], Field(min_length=1)] | None,
            Field(description="prompts with one {} each; the dataset's unless given"),
        ] = None,
        scale: Annotated[
            float | None, Field(gt=0, description="softmax scale; the model's own unless given")
        ] = None,
        k: Annotated[int, Field(ge=1, le=1000, description="labels kept per sample")] = 5,
        cards: Annotated[int, Field(ge=0, le=1000, description="samples with a picture")] = 24,
    ) -> None:
        self.queries = queries
        self.prompts = prompts
        self.templates = templates
        self.scale = scale
        self.k = k
        self.cards = cards

    def check(self, subject: Subject, dataset: Dataset, name: str) -> None:
        """Raise SpecError or DataError for what the model or the dataset lacks."""
        queries, _ = self._keys(subject, name)
        self._calibration(subject, name)
        self._templates(dataset, name)
        if not dataset.labels:
            raise faults.no_labels(name)
        if subject.modality(queries) not in dataset.modalities:
            raise faults.lacks_modality(name, subject.modality(queries), dataset.modalities)

    @torch.no_grad()
    def __call__(self, subject: Subject, encoded: Encoded, name: str) -> list[EvaluationResult]:
        """One result."""
        self.check(subject, encoded.dataset, name)
        queries, prompts = self._keys(subject, name)
        indexes = encoded.labelled(encoded.present(queries))
        if not indexes:
            needed = f"a known label and {subject.modality(queries)}"
            raise faults.nothing_left(name, len(encoded.ids), needed)
        truths = [encoded.truths[index] for index in indexes]
        question = self._question(subject, encoded.dataset, name)
        scores = self._scores(subject, encoded, indexes, name)
        ranked = rank_labels(scores, truths, self.k, name)
        described = subject.describe((queries, prompts), scores.calibration)
        labelling = Labelling(name, question, encoded, indexes, described, self.cards)
        return [make_result(labelling, truths, ranked)]

    def _scores(
        self, subject: Subject, encoded: Encoded, indexes: Sequence[int], name: str
    ) -> LabelScores:
        """The scores of every label for the samples at `indexes`."""
        queries, prompts = self._keys(subject, name)
        labels, templates = encoded.dataset.labels, self._templates(encoded.dataset, name)
        asked = subject.project(queries, take(encoded.features[queries], torch.tensor(indexes)))
        answers = encode_labels(subject, prompts, labels, templates)
        width = len(answers.pooled)

        def rows(chosen: slice) -> Tensor:
            scores = subject.pair_scores(queries, take(asked, chosen), prompts, answers)
            return scores.reshape(len(scores), len(labels), -1).mean(2)  # (rows, C)

        return LabelScores(rows, len(labels), width, self._calibration(subject, name))

    def _question(self, subject: Subject, dataset: Dataset, name: str) -> Question:
        """What is asked, named by modalities: a model's encoder keys are its own affair."""
        queries, prompts = (subject.modality(key) for key in self._keys(subject, name))
        options = {"queries": queries, "prompts": prompts, "scale": self.scale}
        templates = self._templates(dataset, name)
        return Question("zero_shot", self.version, options, dataset.labels, templates)

    def _keys(self, subject: Subject, name: str) -> tuple[str, str]:
        """Encoder keys of queries and prompts."""
        inputs = subject.model.inputs
        if not subject.gives_similarity:
            raise faults.needs_similarity(name, inputs)
        for option, key in (("queries", self.queries), ("prompts", self.prompts)):
            if key is not None and key not in inputs:
                raise faults.wrong_inputs(name, option, key, inputs)
        prompts = self.prompts or self._default_prompts(subject, name)
        queries = inputs[1 - inputs.index(prompts)]
        if self.queries is not None and self.queries != queries:
            raise faults.wrong_inputs(name, "queries", self.queries, inputs)
        return queries, prompts

    def _default_prompts(self, subject: Subject, name: str) -> str:
        inputs = subject.model.inputs
        if self.queries is not None:
            inputs = tuple(key for key in inputs if key != self.queries)
        texts = [key for key in inputs if subject.modality(key) == "text"]
        if len(texts) != 1:
            raise faults.no_reader_of_prompts(name, inputs, len(texts))
        return texts[0]

    def _calibration(self, subject: Subject, name: str) -> Calibration:
        if self.scale is not None:
            return Calibration(self.scale)
        if subject.calibration is None:
            raise faults.needs_calibration(name)
        return subject.calibration

    def _templates(self, dataset: Dataset, name: str) -> tuple[str, ...]:
        templates = tuple(dataset.templates if self.templates is None else self.templates)
        wrong = [template for template in templates if template.count(PLACEHOLDER) != 1]
        if wrong or not templates:
            raise faults.wrong_templates(name, repr(wrong[0]) if wrong else "no template")
        return templates


def write_prompts(labels: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every template filled with every label, label by label; a label may contain braces itself.

    >>> write_prompts(["crab", "{}"], ["a {}.", "two {}s."])
    ['a crab.', 'two crabs.', 'a {}.', 'two {}s.']
    """
    return [template.replace(PLACEHOLDER, label) for label in labels for template in templates]


def encode_labels(
    subject: Subject, key: str, labels: Sequence[str], templates: Sequence[str]
) -> Features:
    """Projected features of each label, or of each of its prompts where scores are averaged.

    Prompts are encoded some labels at a time, so that memory does not grow with templates where
    features are averaged.
    """
    step = max(1, PROMPTS_AT_ONCE // len(templates))
    averages = subject.fusion.prompts == "features"
    parts = []
    for start in range(0, len(labels), step):
        prompts = write_prompts(labels[start : start + step], templates)
        projected = subject.project(key, subject.encode_raws(key, prompts))
        parts.append(_average(projected, len(templates)) if averages else projected)
    return concatenate(parts)


def _average(prompts: Features, prompts_per_label: int) -> Features:
    width = prompts.pooled.shape[-1]
    return Features.of(prompts.pooled.reshape(-1, prompts_per_label, width).mean(1))
