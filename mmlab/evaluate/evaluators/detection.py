"""Zero-shot object detection: which of the labels are in a picture, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from mmlab.evaluate.detection import pointing, results
from mmlab.evaluate.detection.checks import check_answers, check_regions
from mmlab.evaluate.detection.choose import with_backgrounds
from mmlab.evaluate.detection.faults import uneven_background
from mmlab.evaluate.detection.found import Reading
from mmlab.evaluate.detection.grid import WINDOWS_AT_ONCE, Grid
from mmlab.evaluate.detection.metrics import LABEL_METRICS as BOX_LABEL_METRICS
from mmlab.evaluate.detection.metrics import measure_labels
from mmlab.evaluate.detection.options import (
    AspectsOption,
    BackgroundOption,
    ChoiceOption,
    LevelOption,
    OverlapOption,
    ProposalsOption,
    RegionsOption,
    ScalesOption,
    ScoreOption,
    StrideOption,
    ThresholdOption,
)
from mmlab.evaluate.detection.proposals import find_proposals
from mmlab.evaluate.detection.regions import Look, Patches, Proposals, Windows
from mmlab.evaluate.detection.scene import Crops, Scenes
from mmlab.evaluate.detection.search import Choice, Search
from mmlab.evaluate.encode import Encoded, encode_split
from mmlab.evaluate.evaluator import (
    Learnt,
    ProtocolQuestion,
    hash_texts,
    make_protocol,
    nothing_left,
)
from mmlab.evaluate.evaluators.zero_shot import (
    CombineOption,
    PromptsOption,
    QueriesOption,
    ScaleOption,
    ZeroShot,
    meaning_of,
)
from mmlab.evaluate.label_features import LabelFeatures
from mmlab.evaluate.label_results import (
    CardsOption,
    KeptOption,
    SmallPicture,
    small_pictures,
    with_pictures,
)
from mmlab.evaluate.metrics import LABEL_METRICS, METRICS
from mmlab.evaluate.prompts import Prompts, Template
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.files import file_sha256
from mmlab.metric import SHARE, Metric, under
from mmlab.plugin import Dataset
from mmlab.records import EvaluationResult

_NAMED = {metric.name for metric in BOX_LABEL_METRICS}


class Detection:
    """Find the dataset's labels in pictures without a detector, as three results.

    "found": regions of each picture are ranked against the labels' prompts as zero_shot does, and
    those that are surest of a label become boxes, less the ones that overlap a surer one of it
    (non-maximum suppression). Measured as COCO measures detectors. `regions` are "windows" of
    several scales, "tokens" (the patches of a vision transformer, from one forward pass: maps of
    scores, and a box around each connected peak), or "proposals" of the dataset or a file.

    "oracle": the true boxes are cut out and classified: zero_shot of these crops, so "what"
    without "where". "pointing": whether the region that is surest of a label that is there lies on
    it: "where" without "what" and without the size of a box.

    A region of nothing has a surest label too. `background` are whole prompts that compete with
    the labels ("a photo of nothing"): those that raise AP50 on the validation split are taken, or
    all of them. Boxes of less than `threshold` are no boxes; "validation" chooses the one of the
    best F1 at an IoU of 0.5 on that split. Precision, F1 and found@0.5 hang on it; average
    precision needs none. Left out are samples of which it is not known what is where.

    Sources: Lin et al., arXiv:1405.0312 (metrics); Zhou et al., arXiv:2112.01071 (patches of CLIP
    as dense features); Zhang et al., arXiv:1608.00507 (pointing game).
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = (
        *under("found", results.METRICS),
        *under("oracle", METRICS),
        *under("pointing", pointing.METRICS),
    )
    label_metrics: ClassVar[tuple[Metric, ...]] = (
        *BOX_LABEL_METRICS,
        *(metric for metric in LABEL_METRICS if metric.name not in _NAMED),
        Metric("hits", "higher", SHARE),
    )

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
        regions: RegionsOption = "windows",
        proposals: ProposalsOption = None,
        scales: ScalesOption = Grid.scales,
        aspects: AspectsOption = Grid.aspects,
        stride: StrideOption = Grid.stride,
        score: ScoreOption = "probability",
        overlap: OverlapOption = 0.5,
        level: LevelOption = 0.5,
        background: BackgroundOption = (),
        choose_background: ChoiceOption = True,
        threshold: ThresholdOption = None,
        k: KeptOption = 5,
        cards: CardsOption = 24,
    ) -> None:
        self.zero_shot = ZeroShot(
            queries=queries,
            prompts=prompts,
            templates=templates,
            prompts_file=prompts_file,
            combine=combine,
            scale=scale,
            k=k,
            cards=cards,
        )
        self.regions, self.proposals = regions, proposals
        self.grid = Grid(tuple(scales), tuple(aspects), stride)
        self.score, self.overlap, self.level = score, overlap, level
        self.background = tuple(background)
        self.chooses_background = bool(background) and choose_background
        self.threshold = threshold

    @property
    def learns_from(self) -> Sequence[Learnt]:
        """The validation split, where it chooses something."""
        if not self.chooses_background and self.threshold != "validation":
            return ()
        instead = "set threshold to a number, and choose_background = false"
        return (Learnt("validation", instead=instead),)

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise as zero_shot does, and where boxes, patches or proposals lack."""
        self.zero_shot.check(subject, dataset, name)
        key, _ = self.zero_shot.keys(subject, name)
        check_answers(dataset, self.zero_shot.written(dataset, name), self.background, name)
        if self.background and self.zero_shot.combination(subject, name) == "probabilities":
            raise uneven_background(name)
        check_regions(self.regions, self.proposals, subject, key, dataset, name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """Three results: "found", "oracle" and "pointing"."""
        self.check(subject, encoded.dataset, name)
        key, prompts = self.zero_shot.keys(subject, name)
        scenes = self._scenes(subject, encoded, name)
        crops, truths = Crops(scenes), scenes.truths
        if not len(crops):
            raise nothing_left(name, len(encoded.ids), "a box that is to be found")
        written = self.answers(encoded.dataset, name)
        averages = self.zero_shot.combination(subject, name) == "features"
        with LabelFeatures(subject, prompts, written, averages=averages) as answers:
            choice, learnt = self._choose(subject, encoded, answers, name)
            search = self._search(subject, scenes, answers, name)
            found, points = search.find(scenes, encoded.split, choice)
        subjects = subject.describe((key, prompts), self.zero_shot.calibration(subject, name))
        subjects["background"] = [self.background[each] for each in choice.backgrounds]
        subjects["threshold"] = choice.threshold if self.threshold is not None else None
        about = results.About(name, encoded, scenes, subjects)
        count = len(encoded.dataset.labels)
        matches, curves, metrics = results.found_metrics(found, truths, count)
        asked = self.question(subject, encoded.dataset, name, {**self._options(), **learnt})
        rows = results.box_rows(crops, truths, found, matches)
        boxes = replace(
            about.result(asked, "found", metrics, rows),
            boxes=results.box_results(scenes, truths, found, matches),
        )
        pictures = self._pictures(scenes, encoded)
        rows, metrics, hits = results.point_rows(scenes, truths, points, count)
        pointed = about.result(asked, "pointing", metrics, rows)
        return [
            replace(with_pictures(boxes, pictures), label_metrics=measure_labels(curves)),
            self._oracle(subject, encoded, crops, name),
            replace(pointed, label_metrics={"hits": hits}),
        ]

    def _scenes(self, subject: EvaluatedModel, encoded: Encoded, name: str) -> Scenes:
        key, _ = self.zero_shot.keys(subject, name)
        return Scenes.of(encoded, key, subject.modality(key))

    def _pictures(self, scenes: Scenes, encoded: Encoded) -> dict[str, SmallPicture]:
        """Small pictures of whole scenes, of those that are wanted."""
        cards, wanted = self.zero_shot.cards, encoded.wanted
        return small_pictures(scenes.dataset, scenes.ids, scenes.indexes, cards, wanted)

    def _search(
        self, subject: EvaluatedModel, scenes: Scenes, answers: LabelFeatures, name: str
    ) -> Search:
        key, _ = self.zero_shot.keys(subject, name)
        combine = self.zero_shot.combination(subject, name)
        calibration = meaning_of(combine, self.zero_shot.calibration(subject, name))
        return Search(
            subject=subject,
            key=key,
            zero_shot=self.zero_shot,
            answers=answers,
            label_count=len(scenes.dataset.labels),
            look=self._look(subject, scenes, key, name),
            reading=Reading(calibration, self.score, self.overlap, self.level),
            options=self._options(),
            name=name,
        )

    def _look(self, subject: EvaluatedModel, scenes: Scenes, key: str, name: str) -> Look:
        if self.regions == "windows":
            return Windows(subject, key, self.grid)
        if self.regions == "tokens":
            return Patches(subject, key)
        return Proposals(subject, key, find_proposals(scenes, self.proposals, name))

    def _choose(
        self, subject: EvaluatedModel, encoded: Encoded, answers: LabelFeatures, name: str
    ) -> tuple[Choice, dict[str, object]]:
        """What validation chooses, or the spec says; and the samples that chose."""
        every = () if self.chooses_background else tuple(range(len(self.background)))
        is_chosen = self.threshold == "validation"
        threshold = float("-inf") if self.threshold is None or is_chosen else float(self.threshold)
        if not self.learns_from:
            return Choice(every, threshold), {}
        validation = encoded.other("validation")
        scenes = self._scenes(subject, validation, name)
        search = self._search(subject, scenes, answers, name)
        found = search.choose(
            scenes, every, backgrounds=self.chooses_background, threshold=is_chosen
        )
        choice = found if is_chosen else replace(found, threshold=threshold)
        selected_on = [validation.dataset.revision, hash_texts(scenes.ids)]
        return choice, {"selected_on": selected_on}

    def _oracle(
        self, subject: EvaluatedModel, encoded: Encoded, crops: Crops, name: str
    ) -> EvaluationResult:
        """Zero-shot of the true boxes' crops."""
        seen = encode_split(subject, crops, encoded.split, WINDOWS_AT_ONCE)
        (result,) = self.zero_shot(subject, replace(seen, wanted=encoded.wanted), name)
        asked = self.question(subject, encoded.dataset, name, {})
        assert result.samples is not None, "zero_shot gives a row of each sample"
        return replace(
            result,
            evaluator=asked.evaluator,
            condition="oracle",
            dataset_revision=encoded.dataset.revision,
            protocol=make_protocol(asked, encoded, crops.ids, "oracle"),
            skipped=len(encoded.ids) - len(crops.scenes),
            samples=replace(result.samples, clusters=crops.clusters),
        )

    def answers(self, dataset: Dataset, name: str) -> Prompts:
        """The prompts of every label, and behind them every background as a label of its own."""
        return with_backgrounds(self.zero_shot.written(dataset, name), self.background)

    def question(
        self, subject: EvaluatedModel, dataset: Dataset, name: str, options: dict[str, object]
    ) -> ProtocolQuestion:
        """What is asked: the prompts as zero_shot has them, and further options."""
        own = self.zero_shot.question(subject, dataset, name)
        return replace(
            own,
            evaluator="detection",
            version=self.version,
            options={**own.options, **options},
        )

    def _options(self) -> dict[str, object]:
        """Those that change what is found; of a kind of regions, its own alone."""
        options: dict[str, object] = {
            "regions": self.regions,
            "score": self.score,
            "overlap": self.overlap,
            "threshold": self.threshold,
            "background": list(self.background),
        }
        if self.regions == "windows":
            options |= {"scales": list(self.grid.scales), "aspects": list(self.grid.aspects)}
            return {**options, "stride": self.grid.stride}
        if self.regions == "tokens":
            return {**options, "level": self.level}
        if self.proposals is not None:
            options["proposals_sha256"] = file_sha256(self.proposals)
        return options
