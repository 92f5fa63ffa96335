"""A card of boxes in the terminal, drawn with rich."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mmlab.errors import visible
from mmlab.report.box_cards import BoxCard, Corners

#: Boxes found that the terminal lists; `--json` has all.
LISTED = 20
_STYLES = {"✓": "green", "✗": "red", "○": "dim"}


def draw_boxes(card: BoxCard) -> Group:
    """The card for a rich console: what is in the picture, and the surest boxes found."""
    place = " · ".join(
        filter(None, (card.experiment, card.cell, f"seed {card.seed}", card.evaluation))
    )
    parts: list[RenderableType] = [
        Text(card.title, style="bold"),
        Text(f"sample {visible(card.sample)} · {visible(place)}", style="dim"),
        Text(),
        _truths(card),
        Text(),
        _found(card),
    ]
    if len(card.found) > LISTED:
        more = len(card.found) - LISTED
        parts += [Text(), Text(f"{more} less sure, see --json", style="dim")]
    return Group(*parts)


def _truths(card: BoxCard) -> Table:
    table = _table("in the picture", "x0, y0, x1, y1 in pixels", "found by")
    for truth in card.truths:
        by = "" if truth.found_by is None else f"box {truth.found_by}"
        if not truth.needed:
            by = f"{by}, need not be found".removeprefix(", ")
        table.add_row(_mark(truth.mark), visible(truth.label), corners(truth.box), by)
    return table


def _found(card: BoxCard) -> Table:
    table = _table("found, surest first", "x0, y0, x1, y1 in pixels", "score")
    for found in card.found[:LISTED]:
        label = f"{found.rank}  {visible(found.label)}"
        table.add_row(_mark(found.mark), label, corners(found.box), f"{found.score:.4g}")
    return table


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("")
    for head, side in zip(heads, ("left", "left", "right"), strict=True):
        table.add_column(head, justify="right" if side == "right" else "left", overflow="fold")
    return table


def _mark(mark: str) -> Text:
    return Text(mark, style=_STYLES[mark])


def corners(box: Corners) -> str:
    """The ends of a box, to a tenth of a pixel.

    >>> corners((0, 1.25, 30, 40.06))
    '0, 1.2, 30, 40.1'
    """
    return ", ".join(f"{end:.1f}".removesuffix(".0") for end in box)
