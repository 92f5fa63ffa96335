"""True boxes that one side finds and another does not, drawn on their pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from mmlab.report.compare.questions import Question
from mmlab.store import Store, views
from mmlab.store.bulk import among

#: A line of this colour, in pixels of the small picture, between two of white.
COLOUR, WIDTH = "#c0392f", 1


def is_about_boxes(store: Store, question: Question) -> bool:
    """Whether the samples of a question are true boxes in pictures: PICTURE#NUMBER."""
    row = views.box_truths.c
    query = select(row.number).where(row.evaluation_id == question.numbers[0]).limit(1)
    return len(store.frame(query)) > 0


def boxed_pictures(store: Store, question: Question, samples: Sequence[str]) -> dict[str, bytes]:
    """Small pictures, WebP bytes, with the box of each of these samples that has one kept."""
    return dict(_drawn(store, question, set(samples)))


def _drawn(store: Store, question: Question, samples: set[str]) -> Iterator[tuple[str, bytes]]:
    pictures = sorted({sample.rpartition("#")[0] for sample in samples})
    kept = _kept(store, question, pictures)
    row = views.box_truths.c
    query = select(row.sample, row.number, row.x0, row.y0, row.x1, row.y1)
    mine = row.evaluation_id == question.numbers[0], among(row.sample, pictures)
    for picture, number, *box in store.frame(query.where(*mine)).iter_rows():
        if picture in kept and f"{picture}#{number}" in samples:
            yield f"{picture}#{number}", _with_box(*kept[picture], box)


def _kept(
    store: Store, question: Question, pictures: Sequence[str]
) -> dict[str, tuple[bytes, int, int]]:
    """Small pictures by sample, with width and height of the whole ones."""
    row = views.sample_pictures.c
    mine = row.dataset_revision == question.dataset_revision, row.split == question.split
    query = select(row.sample, row.image, row.width, row.height).where(*mine)
    found = store.frame(query.where(row.width.is_not(None), among(row.sample, pictures)))
    return {sample: (image, width, height) for sample, image, width, height in found.iter_rows()}


def _with_box(image: bytes, width: int, height: int, box: Sequence[float]) -> bytes:
    from PIL import Image, ImageDraw  # for comparisons of detections alone

    picture: Any = Image.open(io.BytesIO(image)).convert("RGB")
    across, down = picture.width / width, picture.height / height
    left, upper, right, lower = (
        round(end * scale) for end, scale in zip(box, (across, down) * 2, strict=True)
    )
    pen = ImageDraw.Draw(picture)
    for more, colour in ((WIDTH, "white"), (-WIDTH, "white"), (0, COLOUR)):
        corners = (left - more, upper - more, right + more, lower + more)
        if corners[0] <= corners[2] and corners[1] <= corners[3]:
            pen.rectangle(corners, outline=colour, width=WIDTH)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=90)
    return file.getvalue()
