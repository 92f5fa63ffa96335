"""Background prompts and the least score of a box, as a validation split chooses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mmlab.evaluate.detection.boxes import Detections, TrueBoxes
from mmlab.evaluate.detection.matching import SIZES, match
from mmlab.evaluate.prompts import Prompts

ANY_SIZE = (SIZES["all"],)
HALF = np.array([0.5])


def with_backgrounds(prompts: Prompts, background: Sequence[str]) -> Prompts:
    """The prompts of every label, and behind them every background as a label of its own."""
    if not background:
        return prompts
    labels = range(len(prompts.labels))
    own = [tuple(prompts.texts(slice(label, label + 1))) for label in labels]
    alone = [(text,) for text in background]
    return Prompts((*prompts.labels, *background), by_label=(*own, *alone))


def choose_backgrounds(count: int, quality: Callable[[Sequence[int]], float]) -> tuple[int, ...]:
    """The backgrounds that forward selection takes, in order.

    It begins with none; the one that helps most is added while any helps, of equal ones the first.
    """
    chosen, best = list[int](), quality(())
    while len(chosen) < count:
        rest = [each for each in range(count) if each not in chosen]
        values = {each: quality((*chosen, each)) for each in rest}
        at = max(rest, key=lambda each: (values[each], -each))
        if values[at] <= best:
            break
        chosen.append(at)
        best = values[at]
    return tuple(chosen)


def precision_and_recall(
    found: Detections, truths: TrueBoxes
) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and their harmonic mean (F1) of all boxes at an IoU of 0.5, in that order.

    All labels together. None where nothing is found, or nothing is to be found.
    """
    matches, wanted = match(found, truths, ANY_SIZE, HALF), int((~truths.is_ignored).sum())
    right, wrong = int(matches.is_right.sum()), int(matches.is_wrong.sum())
    precision = right / (right + wrong) if right + wrong else None
    recall = right / wanted if wanted else None
    f1 = 2 * right / (right + wrong + wanted) if wanted else None
    return precision, recall, f1


def choose_threshold(found: Detections, truths: TrueBoxes) -> float:
    """The least score at which F1 at an IoU of 0.5 is largest; of equal ones the highest score.

    Minus infinity where nothing that is found is right.
    """
    matches, wanted = match(found, truths, ANY_SIZE, HALF), int((~truths.is_ignored).sum())
    scores = found.score[matches.index]
    order = np.argsort(-scores, kind="stable")
    right = matches.is_right[0, 0, order].cumsum()
    wrong = matches.is_wrong[0, 0, order].cumsum()
    # A threshold cuts between scores only: of equal ones, the last says what it gives.
    is_last = np.append(np.diff(scores[order]) != 0, True)[: len(order)]
    values = np.where(is_last, 2 * right / np.maximum(right + wrong + wanted, 1), -1.0)
    if not len(values) or values.max() <= 0:
        return -np.inf
    return float(scores[order][values.argmax()])
