"""Cards of detections: a picture, the boxes that are in it, and those that were found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.report.cards import not_done, spread, webp_uri
from mmlab.store import Store
from mmlab.store.bulk import among
from mmlab.store.views import box_detections, box_truths, run_evaluations, sample_pictures

#: Boxes that a card shows of those that were found.
FIRST = 5
#: How cards are chosen, for the reader of a report.
SELECTION = (
    "Not the best ones: of the pictures that are kept, ordered by the share of their boxes that "
    "was found, some are taken at equal distances."
)

Corners = tuple[float, float, float, float]
Row = dict[str, Any]


@dataclass(frozen=True)
class FoundBox:
    """A box that was found: its rank by score in the picture, and what it is.

    `truth` is the number of the true box that it is, None where it is none. One that `is_ignored`
    is a box that need not be found, and counts neither as right nor as wrong.
    """

    rank: int
    label: str
    box: Corners
    score: float
    truth: int | None
    is_right: bool
    is_ignored: bool

    @property
    def mark(self) -> str:
        """A tick for a true box, a cross for none, a ring for one that need not be found."""
        return "✓" if self.is_right else "○" if self.is_ignored else "✗"


@dataclass(frozen=True)
class TrueBox:
    """A box that is in the picture; `found_by` is the rank of the box that found it, if any.

    One that is not `needed` is a crowd, or difficult.
    """

    number: int
    label: str
    box: Corners
    needed: bool
    found_by: int | None

    @property
    def mark(self) -> str:
        """A tick where it was found, a cross where it was missed; a ring if that is no matter."""
        if self.found_by is not None:
            return "✓"
        return "✗" if self.needed else "○"


@dataclass(frozen=True)
class BoxCard:
    """What one model found in one picture, surest first, and what is there.

    `width` and `height` are the picture's own in pixels, in which boxes are; None if unknown.
    """

    run_id: str
    experiment: str
    cell: str
    seed: int
    evaluation: str
    condition: str
    sample: str
    found: tuple[FoundBox, ...]
    truths: tuple[TrueBox, ...]
    picture: bytes | None
    width: int | None
    height: int | None

    @property
    def title(self) -> str:
        """How many of the boxes that are to be found were found: "2 of 3 boxes found"."""
        needed = [truth for truth in self.truths if truth.needed]
        hits = sum(truth.found_by is not None for truth in needed)
        return f"{hits} of {_count(len(needed), 'box', 'boxes')} found"

    @property
    def first(self) -> tuple[FoundBox, ...]:
        """The surest boxes, which a card shows."""
        return self.found[:FIRST]

    @property
    def note(self) -> str:
        """What a card leaves out."""
        more = len(self.found) - len(self.first)
        hidden = _count(more, "less sure box is", "less sure boxes are")
        parts = [f"{hidden} not shown"] if more else []
        if self.picture is not None and not self.is_drawable:
            parts.append("how large the picture is was not stored, so boxes are not drawn")
        return "; ".join(parts)

    @property
    def is_drawable(self) -> bool:
        """Whether boxes can be drawn on the picture."""
        return self.picture is not None and self.width is not None and self.height is not None

    @property
    def picture_uri(self) -> str | None:
        """The picture as a `data:` URI; None without one."""
        return webp_uri(self.picture)


def box_cards(store: Store, run: str, sample: str, evaluation: str | None = None) -> list[BoxCard]:
    """What a run found in one picture, a card for each evaluation that looked for boxes in it.

    `sample` is the dataset's own id of the picture. Empty where none did. Raises UsageError for a
    run that is not done.
    """
    found_run = store.find_run(run)
    if found_run.status != "done":
        raise not_done(found_run)
    cards = []
    for asked in _evaluations(store, run, evaluation):
        for boxes in (box_truths, box_detections):
            query = select(boxes.c.sample_id).where(boxes.c.evaluation_id == asked["evaluation_id"])
            ids = store.frame(query.where(boxes.c.sample == sample).limit(1))["sample_id"]
            if len(ids):
                cards += _cards(store, asked, ids.to_list())
                break
    return cards


def choose_box_cards(
    store: Store, run: str, evaluation: str, condition: str = "", count: int = 12
) -> list[BoxCard]:
    """Up to `count` cards of a run's detection, fairly spread over the share that was found.

    Of pictures that are kept; of any where none is. See SELECTION.
    """
    asked = [it for it in _evaluations(store, run, evaluation) if it["condition"] == condition]
    if not asked:
        return []
    return _cards(store, asked[-1], _chosen(store, asked[-1]["evaluation_id"], count))


def _evaluations(store: Store, run: str, name: str | None) -> list[Row]:
    """Those evaluations of a run that looked for boxes."""
    row, boxes = run_evaluations.c, box_truths.c
    query = (
        select(
            row.evaluation_id,
            row.run_id,
            row.experiment,
            row.cell,
            row.seed,
            row.evaluation,
            row.condition,
        )
        .where(row.run_id == run)
        .where(select(boxes.number).where(boxes.evaluation_id == row.evaluation_id).exists())
        .order_by(row.evaluation_id)
    )
    return store.frame(query if name is None else query.where(row.evaluation == name)).to_dicts()


def _chosen(store: Store, evaluation_id: int, count: int) -> list[int]:
    """Ids of the pictures to show, by the share of their boxes that was found."""
    row, picture = box_truths.c, sample_pictures.c
    found = box_detections.c
    is_found = select(found.rank).where(
        found.evaluation_id == row.evaluation_id,
        found.sample_id == row.sample_id,
        found.truth == row.number,
    )
    needed = select(row.sample_id, is_found.exists().label("is_found")).where(
        row.evaluation_id == evaluation_id, ~row.is_crowd, ~row.is_difficult
    )
    share = pl.col("is_found").cast(pl.Float64).mean().alias("share")
    shares = store.frame(needed).group_by("sample_id").agg(share).sort("share", "sample_id")
    kept = store.frame(select(picture.sample_id))["sample_id"]
    pictured = shares.filter(shares["sample_id"].is_in(kept.implode()))
    ordered = (pictured if len(pictured) else shares)["sample_id"].to_list()
    return [ordered[place] for place in spread(len(ordered), count)] if ordered else []


def _cards(store: Store, asked: Row, ids: Sequence[int]) -> list[BoxCard]:
    if not ids:
        return []
    number = asked["evaluation_id"]
    found = _by_sample(store, box_detections, number, ids, "rank")
    truths = _by_sample(store, box_truths, number, ids, "number")
    row = sample_pictures.c
    query = select(row.sample_id, row.image, row.width, row.height)
    pictures = {
        each["sample_id"]: each
        for each in store.frame(query.where(among(row.sample_id, ids))).to_dicts()
    }
    return [_card(asked, found[i], truths[i], pictures.get(i, {})) for i in ids]


def _by_sample(
    store: Store, view: Any, evaluation_id: int, ids: Sequence[int], order: str
) -> dict[int, list[Row]]:
    """The rows of a view of boxes by their pictures, in order."""
    query = select(view).where(view.c.evaluation_id == evaluation_id, among(view.c.sample_id, ids))
    rows = defaultdict[int, list[Row]](list)
    for row in store.frame(query.order_by(view.c.sample_id, view.c[order])).iter_rows(named=True):
        rows[row["sample_id"]].append(row)
    return rows


def _card(asked: Row, found: list[Row], truths: list[Row], picture: Row) -> BoxCard:
    by_truth = {row["truth"]: row["rank"] for row in reversed(found) if row["truth"] is not None}
    return BoxCard(
        **{key: asked[key] for key in ("run_id", "experiment", "cell", "seed")},
        evaluation=asked["evaluation"],
        condition=asked["condition"],
        sample=next(iter([*found, *truths]))["sample"],
        found=tuple(_found(found)),
        truths=tuple(_truths(truths, by_truth)),
        picture=picture.get("image"),
        width=picture.get("width"),
        height=picture.get("height"),
    )


def _found(rows: Iterable[Row]) -> Iterable[FoundBox]:
    for row in rows:
        about = {key: row[key] for key in ("rank", "label", "score", "truth")}
        yield FoundBox(
            **about, box=_box(row), is_right=row["is_right"], is_ignored=row["is_ignored"]
        )


def _truths(rows: Iterable[Row], by_truth: dict[int, int]) -> Iterable[TrueBox]:
    for row in rows:
        needed = not (row["is_crowd"] or row["is_difficult"])
        rank = by_truth.get(row["number"])
        yield TrueBox(row["number"], row["label"], _box(row), needed, rank)


def _box(row: Row) -> Corners:
    return row["x0"], row["y0"], row["x1"], row["y1"]


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
