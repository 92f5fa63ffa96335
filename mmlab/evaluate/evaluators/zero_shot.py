"""Zero-shot: labels written as prompts, ranked for every sample by the model's own similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

from mmlab.data.samples import prompt_names
from mmlab.data.tables import take_rows
from mmlab.errors import DataError, SpecError, explain
from mmlab.evaluate import rank_labels as ranking
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import (
    ProtocolQuestion,
    lacks_modality,
    needs_similarity,
    no_labels,
    nothing_left,
)
from mmlab.evaluate.label_features import (
    LabelFeatures,
    mean_probabilities,
    mean_scores,
    mean_sigmoids,
)
from mmlab.evaluate.label_results import (
    CardsOption,
    KeptOption,
    Labelling,
    MetricsOption,
    check_metrics,
    make_result,
    protocol_of,
    with_asked,
)
from mmlab.evaluate.metrics import LABEL_METRICS, METRICS
from mmlab.evaluate.prompts import PLACEHOLDER, Prompts, Template, read_prompts, tell_apart
from mmlab.evaluate.ranked import LabelScores, RankedLabels, TrueLabels
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.metric import Metric
from mmlab.plan.component import Part
from mmlab.plugin import Calibration, Dataset, Features
from mmlab.records import EvaluationResult

Combine = Literal["features", "scores", "probabilities"]

QueriesOption = Annotated[
    str | None, Field(description="encoder of the samples; the one that reads no text")
]
PromptsOption = Annotated[
    str | None, Field(description="encoder of the prompts; the one that reads text")
]
CombineOption = Annotated[
    Combine | None,
    Field(description="what is averaged over a label's prompts; by default as fusion says"),
]
ScaleOption = Annotated[
    float | None, Field(gt=0, description="softmax scale; the model's own unless given")
]


class ZeroShot:
    """Which label fits: every query is scored against every label, written as prompts.

    A label's prompts are its name in each template (or what the dataset calls it in prompts), or
    its own list of `prompts_file`. `combine` says what is averaged over them. "features": projected
    features; a cosine fusion projects to length 1 and scores by direction, so that is normalise,
    mean, normalise. "scores": each prompt's score. "probabilities": the softmax over labels for one
    prompt of each, averaged. By default it is features where an average of them means something, as
    the fusion says, else scores. Encoders run in the subject's precision, all else in float32.

    Labels are ranked by (-score, label id); those of the same prompts score exactly alike, as long
    as there are too few labels to be asked block by block (65,536). Probabilities come from the
    model's temperature: a softmax over labels, or each label's own sigmoid. A sample with several
    truths counts by the one ranked best. Left out are samples without a known label or without the
    query's input.

    Source: Radford et al., arXiv:2103.00020, section 3.1.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    label_metrics: ClassVar[tuple[Metric, ...]] = LABEL_METRICS

    def __init__(
        self,
        *,
        queries: QueriesOption = None,
        prompts: PromptsOption = None,
        templates: Annotated[
            Annotated[Sequence[Template], Field(min_length=1)] | None,
            Field(description="prompts with one {} each; the dataset's unless given"),
        ] = None,
        prompts_file: Annotated[
            Path | None,
            Field(description='TOML or JSON file of label = ["prompt", ...], instead of templates'),
        ] = None,
        combine: CombineOption = None,
        scale: ScaleOption = None,
        k: KeptOption = 5,
        keep_scores: Annotated[
            bool, Field(description="keep all scores as a file, (samples, labels) float16")
        ] = False,
        cards: CardsOption = 24,
        metrics: MetricsOption = (),
    ) -> None:
        if templates is not None and prompts_file is not None:
            raise templates_and_file()
        self.queries = queries
        self.prompts = prompts
        self.templates = templates
        self.prompts_file = prompts_file
        self.combine = combine
        self.scale = scale
        self.k = k
        self.keep_scores = keep_scores
        self.cards = cards
        self.asked = cast(Sequence[Part], metrics)

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError or DataError for what the model or the dataset lacks.

        Also for prompts of different labels that the encoder reads as the same, as
        `tell_apart` says.
        """
        queries, key = self.keys(subject, name)
        self.calibration(subject, name)
        prompts = self.written(dataset, name)
        if not dataset.labels:
            raise no_labels(name)
        combine = self.combination(subject, name)
        if combine == "probabilities" and not prompts.is_even:
            raise uneven_prompts(name)
        if self._is_one_by_one(combine) and len(dataset.labels) > ranking.BLOCK_LABELS:
            raise too_many_labels(name, len(dataset.labels), ranking.BLOCK_LABELS)
        if subject.modality(queries) not in dataset.modalities:
            raise lacks_modality(name, subject.modality(queries), dataset.modalities)
        check_told_apart(subject, key, prompts, f"evaluate.{name}")
        check_metrics(self.asked, self.metrics, dataset, name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """One result."""
        self.check(subject, encoded.dataset, name)
        queries, prompts = self.keys(subject, name)
        indexes = encoded.labelled(encoded.present(queries))
        if not indexes:
            needed = f"a known label and {subject.modality(queries)}"
            raise nothing_left(name, len(encoded.ids), needed)
        truths = encoded.known_truths(indexes)
        question = self.question(subject, encoded.dataset, name)
        written, combine = self.written(encoded.dataset, name), self.combination(subject, name)
        averages = combine == "features"
        with LabelFeatures(subject, prompts, written, averages=averages) as labels:
            chosen = take_rows(encoded.features[queries], torch.tensor(indexes))
            found = self.rank(subject, chosen, labels, truths, name)
        described = subject.describe((queries, prompts), self.calibration(subject, name))
        described["combine"] = combine
        labelling = Labelling(name, question, encoded, indexes, described, self.cards)
        meaning = meaning_of(combine, self.calibration(subject, name))
        result = make_result(labelling, truths, found)
        return [with_asked(result, self.asked, labelling, found, meaning)]

    def rank(
        self,
        subject: EvaluatedModel,
        queries: Features,
        labels: LabelFeatures,
        truths: TrueLabels,
        name: str,
    ) -> RankedLabels:
        """The labels ranked for each of some samples, whose encoded features are given."""
        asked = subject.project(self.keys(subject, name)[0], queries)
        scores = self.scores(subject, asked, labels, name)
        return ranking.rank_labels(scores, truths, self.k, name, keep_scores=self.keep_scores)

    def scores(
        self, subject: EvaluatedModel, asked: Features, labels: LabelFeatures, name: str
    ) -> LabelScores:
        """The scores of every label for the samples whose projected features are given."""
        queries, prompts = self.keys(subject, name)
        combine, calibration = self.combination(subject, name), self.calibration(subject, name)
        count = len(labels.prompts.labels)
        width = count if combine == "features" else sum(labels.prompts.counts(slice(0, count)))
        meaning = meaning_of(combine, calibration)

        def scored(rows: slice, answers: Features, columns: slice) -> Tensor:
            scores = subject.pair_scores(queries, take_rows(asked, rows), prompts, answers)
            counts = torch.tensor(labels.prompts.counts(columns))
            return combined(scores, counts, combine, calibration)

        if count > ranking.BLOCK_LABELS:

            def block(rows: slice, columns: slice) -> Tensor:
                return scored(rows, labels.block(columns), columns)

            def nothing(rows: slice) -> Tensor:
                raise AssertionError("so many labels are asked for block by block")

            return LabelScores(nothing, count, width, meaning, block)
        everything, answers, firsts = slice(0, count), labels.whole(), labels.prompts.firsts

        def whole(rows: slice) -> Tensor:
            return alike(scored(rows, answers, everything), firsts)

        return LabelScores(whole, count, width, meaning)

    def question(
        self,
        subject: EvaluatedModel,
        dataset: Dataset,
        name: str,
        used: tuple[str, ...] | None = None,
    ) -> ProtocolQuestion:
        """What is asked, named by modalities: a model's encoder keys are its own affair.

        What is averaged is part of it where a label has several prompts, unless that is features.
        `used` are the templates, if not all of them.
        """
        queries, prompts = (subject.modality(key) for key in self.keys(subject, name))
        return self.ask((queries, prompts), self.combination(subject, name), dataset, name, used)

    def ask(
        self,
        modalities: tuple[str, str],
        combine: Combine,
        dataset: Dataset,
        name: str,
        used: tuple[str, ...] | None = None,
    ) -> ProtocolQuestion:
        """As `question`, of whatever model reads the modalities of queries and of prompts."""
        queries, prompts = modalities
        options: dict[str, object] = {"queries": queries, "prompts": prompts, "scale": self.scale}
        written = self.written(dataset, name)
        if used is not None:
            written = replace(written, templates=used)
        if combine != "features" and written.most > 1:
            options["combine"] = combine
        if written.by_label is not None:
            options["prompts_sha256"] = written.identity
        options |= protocol_of(self.asked)
        templates, names = written.templates, prompt_names(dataset)
        if not templates or names == dataset.labels:
            names = ()
        return ProtocolQuestion(
            "zero_shot", self.version, options, dataset.labels, templates, names
        )

    def combination(self, subject: EvaluatedModel, name: str) -> Combine:
        """What is averaged over a label's prompts."""
        own: Combine = "features" if subject.fusion.prompts == "features" else "scores"
        if self.combine == "features" and own != "features":
            raise no_mean_of_features(name)
        return self.combine or own

    def _is_one_by_one(self, combine: Combine) -> bool:
        """Whether scores need all labels at once."""
        return combine == "probabilities" or self.keep_scores

    def keys(self, subject: EvaluatedModel, name: str) -> tuple[str, str]:
        """Encoder keys of queries and prompts."""
        inputs = subject.model.inputs
        if not subject.gives_similarity:
            raise needs_similarity(name, inputs)
        return self.keys_among({key: subject.modality(key) for key in inputs}, name)

    def keys_among(self, modalities: Mapping[str, str], name: str) -> tuple[str, str]:
        """Keys of queries and prompts among two inputs, each with its modality."""
        inputs = tuple(modalities)
        for option, key in (("queries", self.queries), ("prompts", self.prompts)):
            if key is not None and key not in inputs:
                raise wrong_inputs(name, option, key, inputs)
        prompts = self.prompts or self._default_prompts(modalities, name)
        queries = inputs[1 - inputs.index(prompts)]
        if self.queries is not None and self.queries != queries:
            raise wrong_inputs(name, "queries", self.queries, inputs)
        return queries, prompts

    def _default_prompts(self, modalities: Mapping[str, str], name: str) -> str:
        inputs = tuple(modalities)
        if self.queries is not None:
            inputs = tuple(key for key in inputs if key != self.queries)
        texts = [key for key in inputs if modalities[key] == "text"]
        if len(texts) != 1:
            raise no_reader_of_prompts(name, inputs, len(texts))
        return texts[0]

    def calibration(self, subject: EvaluatedModel, name: str) -> Calibration:
        """How one prompt's scores become probabilities."""
        if self.scale is not None:
            return Calibration(self.scale)
        if subject.calibration is None:
            raise needs_calibration(name)
        return subject.calibration

    def written(self, dataset: Dataset, name: str) -> Prompts:
        """The prompts of every label of a dataset."""
        if self.prompts_file is not None:
            return Prompts(dataset.labels, by_label=read_prompts(self.prompts_file, dataset.labels))
        templates = tuple(dataset.templates if self.templates is None else self.templates)
        wrong = [template for template in templates if template.count(PLACEHOLDER) != 1]
        if wrong or not templates:
            raise wrong_templates(name, repr(wrong[0]) if wrong else "no template")
        return Prompts(prompt_names(dataset), templates)


def check_told_apart(subject: EvaluatedModel, key: str, prompts: Prompts, place: str) -> None:
    """Raise DataError or tell of labels whose prompts encode alike; each set of prompts once."""
    asked = (key, prompts.identity)
    if asked in subject.checked:
        return
    told = tell_apart(subject.readers[key].encoder, prompts, place, key)
    if told is not None:
        subject.note(told)
    subject.checked.add(asked)


def alike(scores: Tensor, firsts: Sequence[int] | None) -> Tensor:
    """Scores (B, C) in which each label has those of the first one of the same prompts.

    Equal features give equal scores up to rounding, which must not decide between labels.
    """
    return scores if firsts is None else scores[:, torch.tensor(firsts, device=scores.device)]


def meaning_of(combine: Combine, calibration: Calibration) -> Calibration:
    """How the combined scores become probabilities: logs and logits are so by themselves."""
    return Calibration(1.0, 0.0, calibration.kind) if combine == "probabilities" else calibration


def combined(scores: Tensor, counts: Tensor, combine: Combine, calibration: Calibration) -> Tensor:
    """One score a label: (B, prompts, or labels where features are averaged) -> (B, C)."""
    if combine == "features":
        return scores
    if combine == "scores":
        return mean_scores(scores, counts)
    if calibration.kind == "sigmoid":
        return mean_sigmoids(scores, counts, calibration.scale, calibration.bias)
    return mean_probabilities(scores, counts, calibration.scale)


def needs_calibration(name: str) -> SpecError:
    """Nothing says how scores become probabilities."""
    return SpecError(
        explain(
            f"evaluate.{name}.scale",
            "nothing says how scores become probabilities",
            found="no loss and no pretrained encoder with a temperature",
            allowed="a loss that owns one (info_nce, say), pretrained weights, or a number above 0",
            next_step=f"set evaluate.{name}.scale, 100 for CLIP's cosines",
        )
    )


def wrong_inputs(name: str, option: str, found: object, inputs: Sequence[str]) -> SpecError:
    """An option names no input, or the same one twice."""
    return SpecError(
        explain(
            f"evaluate.{name}.{option}",
            "queries and prompts must be the two inputs of the fusion",
            found=repr(found),
            allowed=f"{inputs[0]!r} and {inputs[1]!r}, one each",
            next_step=f"set `{option}` to one of them, or leave it out",
        )
    )


def no_reader_of_prompts(name: str, inputs: Sequence[str], text_count: int) -> SpecError:
    """It is not clear which input reads the prompts."""
    return SpecError(
        explain(
            f"evaluate.{name}.prompts",
            "exactly one input must read text, so that it can read the prompts",
            found=f"{text_count} text encoders among {', '.join(inputs)}",
            allowed="one encoder of the modality text, or the option `prompts`",
            next_step=f"set evaluate.{name}.prompts to the encoder that reads prompts",
        )
    )


def wrong_templates(name: str, found: object) -> DataError:
    """A template has no place for the label, or several."""
    return DataError(
        explain(
            f"evaluate.{name}.templates",
            "every template needs exactly one {} for the label",
            found=found,
            allowed='one template or more, each with one {}, such as "a photo of a {}."',
            next_step=f"set evaluate.{name}.templates, or correct the dataset's",
        )
    )


def templates_and_file() -> SpecError:
    """Prompts come from two places."""
    return SpecError(
        explain(
            "evaluate.zero_shot",
            "prompts come from templates or from a file, not from both",
            found="templates and prompts_file",
            allowed="one of them, or neither: then the dataset's templates are used",
            next_step="remove one",
        )
    )


def no_mean_of_features(name: str) -> SpecError:
    """An average of features would mean nothing to this fusion."""
    return SpecError(
        explain(
            f"evaluate.{name}.combine",
            "this fusion gives no sense to an average of features",
            found="features",
            allowed="scores, probabilities",
            next_step="leave `combine` out",
        )
    )


def uneven_prompts(name: str) -> SpecError:
    """Probabilities over labels need one prompt of each label at a time."""
    return SpecError(
        explain(
            f"evaluate.{name}.combine",
            "probabilities are averaged over as many prompts for every label",
            found="labels with different numbers of prompts",
            allowed="features, scores; or a file with lists of one length",
            next_step="leave `combine` out",
        )
    )


def too_many_labels(name: str, count: int, allowed: int) -> DataError:
    """What is wanted needs the scores of all labels at once."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "so many labels are scored in blocks, of which no whole row of scores is kept",
            found=f"{count:,} labels, with keep_scores or combine = 'probabilities'",
            allowed=f"at most {allowed:,} labels with these options",
            next_step="leave these options out",
        )
    )
