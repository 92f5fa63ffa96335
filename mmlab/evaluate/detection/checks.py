"""Whether a detection can be asked of a model and a dataset, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmlab.data.samples import has_boxes
from mmlab.evaluate.detection.faults import (
    known_background,
    no_boxes,
    no_pictures,
    too_many_answers,
)
from mmlab.evaluate.detection.proposals import no_proposals, read_proposals
from mmlab.evaluate.detection.regions import check_patches
from mmlab.evaluate.prompts import Prompts
from mmlab.evaluate.rank_labels import BLOCK_LABELS
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.plugin import Dataset, Proposing


def check_answers(dataset: Dataset, prompts: Prompts, background: Sequence[str], name: str) -> None:
    """Raise where the dataset has no boxes, or too many labels, or a background is there twice.

    Also where a background is a prompt of a label.
    """
    if not has_boxes(dataset):
        raise no_boxes(name)
    if len(dataset.labels) + len(background) > BLOCK_LABELS:
        raise too_many_answers(name, len(dataset.labels))
    known = set(prompts.texts(slice(None))) if background else set()
    for text in background:
        if text in known:
            raise known_background(name, text)
        known.add(text)


def check_regions(
    regions: str, proposals: Path | None, subject: EvaluatedModel, key: str, dataset: Dataset,
    name: str,
) -> None:  # fmt: skip
    """Raise where an encoder cannot look at such regions, or nobody proposes any."""
    if regions == "windows" and subject.readers[key].placeholder.ndim != 3:
        raise no_pictures(name, key)
    if regions == "tokens":
        check_patches(subject, key, name)
    if regions == "proposals" and proposals is not None:
        read_proposals(proposals)
    elif regions == "proposals" and not isinstance(dataset, Proposing):
        raise no_proposals(name)
