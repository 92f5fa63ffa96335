"""A model that looks for labels in pictures, and what a validation split chooses for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmlab.evaluate.detection.boxes import Detections, TrueBoxes
from mmlab.evaluate.detection.choose import choose_backgrounds, choose_threshold
from mmlab.evaluate.detection.found import (
    Found,
    Reading,
    ScoredRegions,
    as_piece,
    from_pieces,
)
from mmlab.evaluate.detection.held import HeldRegions
from mmlab.evaluate.detection.metrics import detection_curves
from mmlab.evaluate.detection.regions import Look
from mmlab.evaluate.detection.scene import Scenes
from mmlab.evaluate.evaluator import hash_texts
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.label_features import LabelFeatures
from mmlab.evaluate.subject import EvaluatedModel, Piece, Work, check_numbers
from mmlab.records import Doubles


@dataclass(frozen=True)
class Choice:
    """What is among the answers beside the labels, and the least score that a box needs."""

    backgrounds: tuple[int, ...] = ()
    threshold: float = -np.inf


@dataclass(frozen=True)
class Search:
    """Regions of a picture held to every label, and to every background behind them.

    `options` are all that a finding depends on but the model, the data and the choice, as JSON.
    """

    subject: EvaluatedModel
    key: str
    zero_shot: ZeroShot
    answers: LabelFeatures
    label_count: int
    look: Look
    reading: Reading
    options: Mapping[str, object]
    name: str

    def scored(self, scenes: Scenes, scene: int) -> ScoredRegions:
        """One picture's regions with the scores of all answers."""
        found = self.look(scenes.picture(scene), scenes.ids[scene])
        count = len(self.answers.prompts.labels)
        scores = torch.zeros(0, count)
        if found.features is not None:
            asked = self.subject.project(self.key, found.features)
            scorer = self.zero_shot.scores(self.subject, asked, self.answers, self.name)
            scores = scorer.rows(slice(0, len(found.boxes))).cpu()
            check_numbers(scores, self.name)
        return ScoredRegions(found.boxes, scores, found.size, found.cells)

    def find(self, scenes: Scenes, split: str, choice: Choice) -> tuple[Detections, Doubles]:
        """Detections in all pictures and the points of each label; kept in parts."""

        def make(first: int) -> Iterator[Piece]:
            for scene in range(first, len(scenes)):
                yield as_piece(self.read(self.scored(scenes, scene), choice.backgrounds))

        def about() -> dict[str, object]:
            return {
                "revision": scenes.dataset.revision,
                "samples": hash_texts(scenes.ids),
                "backgrounds": list(choice.backgrounds),
                "prompts": self.answers.prompts.identity,
                **self.options,
            }

        work = Work(f"regions {split}", len(scenes), 1, about)
        return from_pieces(list(self.subject.parts.each(work, make)), choice.threshold)

    def read(self, regions: ScoredRegions, backgrounds: Sequence[int]) -> Found:
        """What is found in a picture whose regions have scores."""
        return self.reading(regions, self.label_count, backgrounds)

    def choose(
        self, scenes: Scenes, always: tuple[int, ...], *, backgrounds: bool, threshold: bool
    ) -> Choice:
        """The backgrounds that help AP50 most, and the threshold of the best F1, as asked for.

        `always` are the backgrounds where none are chosen.
        """
        truths = scenes.truths
        chosen = self._choose_backgrounds(scenes, truths) if backgrounds else always
        if not threshold:
            return Choice(chosen)
        found = self.find(scenes, "validation", Choice(chosen))[0]
        return Choice(chosen, choose_threshold(found, truths))

    def _choose_backgrounds(self, scenes: Scenes, truths: TrueBoxes) -> tuple[int, ...]:
        """Those that raise AP50; the regions are encoded once, and held for every trial."""
        with HeldRegions() as every:
            for scene in range(len(scenes)):
                every.add(self.scored(scenes, scene))

            def detections(some: Sequence[int]) -> Detections:
                pieces = [as_piece(self.read(regions, some)) for regions in every]
                return from_pieces(pieces, -np.inf)[0]

            def quality(some: Sequence[int]) -> float:
                curves = detection_curves(detections(some), truths, self.label_count)
                values = curves.precision[0, 0]
                return float(np.nanmean(values)) if not np.isnan(values).all() else 0.0

            count = len(self.answers.prompts.labels) - self.label_count
            return choose_backgrounds(count, quality)
