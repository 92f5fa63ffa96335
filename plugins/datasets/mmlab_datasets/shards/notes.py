"""What a reader of shards decided that its user should know, one line each."""

from __future__ import annotations

import polars as pl

from mmlab_datasets.shards.reading import Reading
from mmlab_datasets.shards.tars import Unread


def write_notes(
    frame: pl.DataFrame, count: int, unread: Unread, reading: Reading, *, has_labels: bool
) -> list[str]:
    """Notes about samples of which there were `count` before some were joined."""
    has_texts = reading.text_field is not None or bool(reading.texts)
    notes = [_about_unread(unread, reading), _about_joined(frame, count)]
    notes += [_about_labels(frame)] if has_labels else []
    if has_texts:
        notes += [_about_lines(frame, reading), _about_copies(frame)]
    return [note for note in notes if note]


def _about_unread(unread: Unread, reading: Reading) -> str:
    parts = [
        f"{count:,} {what} (first: {unread.firsts[what]})" for what, count in unread.counts.items()
    ]
    more = f" and {len(parts) - 10} kinds more" if len(parts) > 10 else ""
    hint = (
        "; label_names reads .cls" if reading.labels == "none" and ".cls" in unread.counts else ""
    )
    return f"members that are not read: {', '.join(parts[:10])}{more}{hint}" if parts else ""


def _about_joined(frame: pl.DataFrame, count: int) -> str:
    if frame.height == count:
        return ""
    return f"{count:,} samples are {frame.height:,}: those of one group are one, with all captions"


def _about_labels(frame: pl.DataFrame) -> str:
    unknown = frame.filter(pl.col("labels").is_null())["id"]
    if not len(unknown):
        return ""
    return f"{len(unknown):,} of {frame.height:,} samples have no label (first: {unknown[0]})"


def _about_lines(frame: pl.DataFrame, reading: Reading) -> str:
    if reading.caption_lines or reading.text_field is not None:
        return ""
    has_lines = pl.element().str.contains("[\r\n]").any()
    several = frame.filter(pl.col("texts").list.eval(has_lines).list.first())["id"]
    if not len(several):
        return ""
    told = f"{len(several):,} captions have several lines, and each is one caption"
    return f"{told} (first: {several[0]}); caption_lines = true makes one of every line"


def _about_copies(frame: pl.DataFrame) -> str:
    """Samples whose pictures are those of others: they compete with them, as if they differed."""
    known = frame.filter(pl.col("picture_hash").is_not_null())
    copies = known.filter(~pl.col("picture_hash").is_first_distinct())
    if copies.is_empty():
        return ""
    copy, other = copies["id"][0], known.filter(pl.col("picture_hash") == copies["picture_hash"][0])
    told = f"{copies.height:,} samples have the very picture of another"
    return f"{told} (first: {copy} that of {other['id'][0]}); group_field joins their captions"
