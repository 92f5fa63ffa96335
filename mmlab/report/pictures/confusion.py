"""A confusion matrix: which label was taken for which; of many labels the pairs that matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from markupsafe import Markup

from mmlab.report.boards.words import counted
from mmlab.report.pictures.axes import Axis, Frame, draw_axes, short, x_axis
from mmlab.report.pictures.drawing import LINE, element, hover, joined, text, text_width
from mmlab.report.pictures.picture import Picture, file_name

#: Labels of a matrix; of more the most confused pairs are drawn, so many of them.
MOST_LABELS, PAIRS = 12, 15
_WIDTH, _CELL, _LABEL_WIDTH, _PAIR_HEIGHT = 460.0, 27.0, 130.0, 36.0

Counts = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Pair:
    """Samples of a true label that were taken for another one, of all with that true label."""

    truth: str
    predicted: str
    count: float
    total: float


def confusion_counts(confusions: pl.DataFrame, labels: Sequence[str]) -> Counts:
    """How often each true label (row) met each label ranked first (column): (C, C).

    `confusions` has `truth`, `predicted` and `sample_count`.
    """
    place = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)))
    for truth, predicted, count in confusions.select("truth", "predicted", "sample_count").rows():
        counts[place[truth], place[predicted]] += count
    return counts


def matrix_picture(counts: Counts, labels: Sequence[str], title: str, runs: int = 1) -> Picture:
    """Shares of each true label's samples; `counts` are means over the runs of one recipe."""
    width = min(max(map(text_width, labels)), _LABEL_WIDTH)
    left, top = width + 8, width * 0.72 + 2 * LINE + 12
    cell = min(46.0, (_WIDTH - left - 40) / len(labels))
    height = top + len(labels) * _CELL + 6
    frame = Frame(left, top, left + cell * len(labels), height)
    body = joined(
        [
            text(2, top - 6, "truth", role="name"),
            text(left, LINE, "ranked first", role="name"),
            *_column_names(labels, frame, cell, width),
            *_cells(counts, labels, frame, cell, width),
        ]
    )
    caption = (
        "Each row is a true label and adds up to 100%; on the diagonal are the samples that were "
        "right. A dark cell beside it is a confusion; one without a dark counterpart across the "
        "diagonal is one-sided."
    )
    return _picture(title, body, height, caption, runs)


def pairs_picture(
    pairs: Sequence[Pair], right: float, labels: int, title: str, runs: int = 1
) -> Picture:
    """The most confused pairs of many labels; `right` is the share of all that were right."""
    frame = Frame(6, 6, _WIDTH - 175, 6 + _PAIR_HEIGHT * len(pairs))
    x = x_axis("samples", (0.0, max(pair.count for pair in pairs)), frame, None)
    bars = (part for place, pair in enumerate(pairs) for part in _bar(pair, place, frame, x))
    caption = (
        f"The pairs of {labels:,} labels that were confused most often: the true label, and the "
        f"one that was ranked first instead. Of all samples {100 * right:.0f}% were right."
    )
    body = joined([draw_axes(frame, x, None), *bars])
    return _picture(title, body, frame.bottom + 40, caption, runs)


def _picture(title: str, body: Markup, height: float, caption: str, runs: int) -> Picture:
    over = f" Counts are means over {runs} runs." if runs > 1 else ""
    return Picture(
        name=file_name("confusion", title),
        title=f"Confusions · {title}",
        caption=caption + over,
        width=_WIDTH,
        height=height,
        body=body,
    )


def _column_names(
    labels: Sequence[str], frame: Frame, cell: float, width: float
) -> Iterator[Markup]:
    for place, label in enumerate(labels):
        x, y = frame.left + cell * (place + 0.5) + 4, frame.top - 6
        shown = text(0, 0, label, limit=width)
        yield element("g", shown, transform=f"translate({x:.1f} {y:.1f}) rotate(-42)")


def _cells(
    counts: Counts, labels: Sequence[str], frame: Frame, cell: float, width: float
) -> Iterator[Markup]:
    totals = counts.sum(1)
    for row, truth in enumerate(labels):
        y = frame.top + row * _CELL
        yield text(frame.left - 6, y + 18, truth, anchor="end", limit=width)
        for column, predicted in enumerate(labels):
            count, x = counts[row, column], frame.left + column * cell
            share = count / totals[row] if totals[row] else 0.0
            if count:
                told = f"{truth}, ranked first: {predicted}"
                many = f"{short(count)} of {counted_mean(totals[row])}"
                yield element(
                    "rect",
                    hover(told, many),
                    class_="right" if row == column else "wrong",
                    x=x + 0.5,
                    y=y + 0.5,
                    width=cell - 1,
                    height=_CELL - 1,
                    fill_opacity=max(share, 0.06),
                )
            shown = f"{100 * share:.0f}" if count else "·"
            yield text(x + cell / 2, y + 18, shown, anchor="middle", role="on")


def counted_mean(count: float) -> str:
    """How many samples, of a mean over runs.

    >>> counted_mean(3.0), counted_mean(10 / 3)
    ('3 samples', '3.33 samples')
    """
    return counted(int(count), "sample") if count == int(count) else f"{short(count)} samples"


def _bar(pair: Pair, place: int, frame: Frame, x: Axis) -> Iterator[Markup]:
    y, end = frame.top + _PAIR_HEIGHT * place, x.scale(pair.count)
    name = f"{pair.truth} taken for {pair.predicted}"
    yield text(frame.left, y + LINE - 3, name, limit=_WIDTH - 4)
    told = hover(name, f"{short(pair.count)} of {counted_mean(pair.total)}")
    bar = {"x": frame.left, "y": y + LINE + 3, "width": max(end - frame.left, 1.0), "height": 7}
    yield element("rect", told, class_="worst", **bar)
    share = f"{100 * pair.count / pair.total:.0f}% of its samples"
    yield text(end + 5, y + LINE + 12, f"{short(pair.count)} · {share}")
