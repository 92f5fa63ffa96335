"""What was found, in sentences: made from rank groups and gains, and claiming no more than they do.

A row is said to beat another only where an interval that holds for its whole table says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from mmlab.metric import SHARE
from mmlab.report.boards.board import board_parts
from mmlab.report.boards.gain import gain_parts, gain_title
from mmlab.report.boards.words import (
    board_titles,
    counted,
    figure_text,
    in_words,
    listed,
    short_names,
)
from mmlab.report.leaderboard import main_metric
from mmlab.statistics.digits import interval_text

# Rows of frames: values of whatever column.
Row = dict[str, Any]

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "table": pl.String,
    "about": pl.String,
    "finding": pl.String,
}
#: Names that a sentence lists; further ones are counted.
_NAMED = 8


def findings(
    leaderboard: pl.DataFrame, gains: pl.DataFrame, failures: pl.DataFrame, lacks: str | None
) -> pl.DataFrame:
    """One row per sentence: the table it is made from, the title of its board, and itself.

    Gains come first, then each comparison of the leaderboard by its main metric, then what failed.
    Where there are no results, the one sentence says why.
    """
    found = [
        *([] if lacks is None else [("leaderboard", "", f"{lacks[0].upper()}{lacks[1:]}")]),
        *(() if gains.is_empty() else _of_gains(leaderboard, gains)),
        *_of_leaderboard(leaderboard),
        *(("failures", "failures", said) for said in _of_failures(failures)),
    ]
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def _of_gains(leaderboard: pl.DataFrame, gains: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    for part in gain_parts(gains):
        rows = part.to_dicts()
        labels = short_names(rows, is_named=False).labels
        for baseline in dict.fromkeys(row["best_unimodal"] for row in rows):
            alike = [row for row in rows if row["best_unimodal"] == baseline]
            names = [labels[row["experiment"], row["group_hash"]] for row in alike]
            told = _gain_sentences(leaderboard, alike, names)
            yield "fusion_gain", gain_title(rows[0]), _joined(told)


def _gain_sentences(
    leaderboard: pl.DataFrame, rows: Sequence[Row], names: Sequence[str]
) -> Iterator[str]:
    """Of fusions with one baseline: which beat it, which are worse, and of which none is shown."""
    baseline = f"the {rows[0]['best_unimodal']} alone"
    known = [i for i, row in enumerate(rows) if row["low"] is not None]
    if not known:
        reasons = listed(sorted({row["reason"] for row in rows if row["reason"]}))
        yield f"Whether {_some(names)} beat{_s(names)} {baseline} is not told: {reasons}"
        return
    above = [i for i in known if rows[i]["low"] > 0]
    whole = [i for i in above if not rows[i]["failed"]]
    flattered = [names[i] for i in above if rows[i]["failed"]]
    below = [names[i] for i in known if rows[i]["high"] < 0]
    yield _beating(leaderboard, rows, names, whole)
    if flattered:
        yield f"{_some(flattered)} {_are(flattered)} above it, but seeds failed, which may flatter"
    if below:
        yield f"{_some(below)} {_are(below)} worse than {baseline}"
    open_rows = len(rows) - len(above) - len(below)
    if open_rows and (above or below):
        yield f"For {_rest(open_rows)} no difference is shown"


def _beating(
    leaderboard: pl.DataFrame, rows: Sequence[Row], names: Sequence[str], above: Sequence[int]
) -> str:
    baseline = f"the {rows[0]['best_unimodal']} alone in {rows[0]['measure'].removeprefix('-')}"
    seeds, those = _seed_words(rows), [names[i] for i in above]
    if not those and len(rows) == 1:
        return f"{names[0]} is not shown to beat {baseline}{seeds}"
    if not those:
        return f"{_none_of(len(rows))} fusions is shown to beat {baseline}{seeds}"
    if len(those) == 1:
        gain = _gain_text(rows[above[0]])
        one = _so_many(1, len(rows))
        first = "" if len(rows) == 1 else f"{one} fusions beats {baseline}: "
        return f"{first}{those[0]}{'' if first else f' beats {baseline}'}, by {gain}{seeds}"
    among = _among_them(leaderboard, [rows[i] for i in above], those)
    return (
        f"{_so_many(len(those), len(rows))} fusions beat {baseline}: {_some(those)}{among}{seeds}"
    )


def _among_them(leaderboard: pl.DataFrame, rows: Sequence[Row], names: Sequence[str]) -> str:
    """Whether one of them beats another, where their ranks on one leaderboard tell it."""
    first = rows[0]
    same = [pl.col(key) == first[key] for key in ("experiment", "evaluation", "condition", "split")]
    metric = pl.col("metric") == first["measure"].removeprefix("-")
    hashes = [row["group_hash"] for row in rows]
    asked = leaderboard.filter(*same, metric, pl.col("group_hash").is_in(hashes))
    ranks = asked.drop_nulls("rank_low")
    if len(ranks) != len(rows) or ranks["protocol_hash"].n_unique() != 1:
        return ""
    if (ranks["rank_low"] == 1).all():  # nobody is shown to beat any of them
        none = f"none of the {in_words(len(rows))} is shown to beat another"
        return "; neither is shown to beat the other" if len(rows) == 2 else f"; {none}"
    tied = set(ranks.filter(pl.col("is_tied"))["group_hash"])
    best = [name for hash, name in zip(hashes, names, strict=True) if hash in tied]
    return f"; of these {_some(best)} may be the best" if best else ""


def _gain_text(row: Row) -> str:
    is_share = row["unit"] == SHARE
    text = interval_text(row["gain"], row["low"], row["high"], is_share=is_share, is_signed=True)
    value, _, ends = text.partition(" ")
    return f"{value.removeprefix('+')} points {ends}" if is_share else text.removeprefix("+")


def _of_leaderboard(board: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    parts = [part for part, _ in board_parts(board)]
    for part, title in zip(parts, board_titles(parts), strict=True):
        labels = short_names(part.iter_rows(named=True)).labels
        metric = main_metric(part)
        rows = part.filter(pl.col("metric") == metric).to_dicts()
        names = [labels[row["experiment"], row["group_hash"]] for row in rows]
        yield "leaderboard", title, _joined(_board_sentences(metric, rows, names))


def _board_sentences(metric: str, rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    """Of one comparison: who may be the best by its main metric, or why that is not told."""
    placed = [i for i, row in enumerate(rows) if row["place"] is not None]
    ranked = [i for i in placed if rows[i]["is_tied"] is not None]
    without = [names[i] for i, row in enumerate(rows) if row["mean"] is None]
    if len(rows) == 1 and not without:
        yield f"{names[0]} has a {metric} of {figure_text(rows[0])}{_alone(rows[0])}"
    elif rows[0]["better"] is None:
        yield f"Nobody declares which way {metric} is better, so that none is the best"
    elif len(ranked) > 1:
        yield from _ranked(metric, [rows[i] for i in ranked], [names[i] for i in ranked])
        if len(ranked) < len(placed):
            yield f"{_rest(len(placed) - len(ranked)).capitalize()} cannot be ranked with them"
    elif placed:
        yield _leading(metric, [rows[i] for i in placed], [names[i] for i in placed])
    if without:
        have = "has" if len(without) == 1 else "have"
        yield f"{_some(without)} {have} no {metric}: not finite or not defined"
    yield from _partly_failed(rows, names)


def _ranked(metric: str, rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    tied, seeds = [i for i, row in enumerate(rows) if row["is_tied"]], _seed_words(rows)
    if len(tied) == len(rows):
        another = "the other" if len(rows) == 2 else "another"
        yield f"{_none_of(len(rows))} is shown to be better than {another} by {metric}{seeds}"
    elif len(tied) == 1:
        best, end = rows[tied[0]], "better" if len(rows) == 2 else "best"
        but = ", though some of its seeds failed" if best["failed"] else ""
        of = f"the {end} of the {in_words(len(rows))} by {metric}"
        yield f"{names[tied[0]]} is {of}, {figure_text(best)}{but}{seeds}"
    else:
        those = _some([names[i] for i in tied])
        many = _so_many(len(tied), len(rows))
        yield f"{many} may be the best by {metric}: {those}{seeds}"


def _leading(metric: str, rows: Sequence[Row], names: Sequence[str]) -> str:
    """Who has the best mean, where samples do not tell whether it is more than chance."""
    first = [i for i, row in enumerate(rows) if row["place"] == 1]
    end = "highest" if rows[0]["better"] == "higher" else "lowest"
    have = "has" if len(first) == 1 else "have"
    of, value = f"the {end} {metric} of {in_words(len(rows))}", figure_text(rows[first[0]])
    said = f"{_some([names[i] for i in first])} {have} {of}, {value}"
    reasons = {row["reason"] for row in rows if row["low"] is None and row["reason"]}
    why = listed(sorted(reasons)) or "they were not asked the same samples, or too few"
    return f"{said}; whether that is more than chance is not told: {why}"


def _partly_failed(rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    failed = [
        f"{name} ({row['seeds']} of {row['planned']} are done)"
        for row, name in zip(rows, names, strict=True)
        if row["failed"]
    ]
    if failed:
        below = "" if len(failed) == len(rows) else ", which places it below those without"
        below = below if len(failed) == 1 else below.replace("it", "them")
        yield f"Seeds of {_some(failed)} failed{below}"


def _of_failures(failures: pl.DataFrame) -> Iterator[str]:
    if failures.is_empty():
        return
    ends = Counter(outcome or "before it was a run" for outcome in failures["outcome"])
    told = ", ".join(f"{count:,} {end}" for end, count in sorted(ends.items()))
    yield f"{counted(len(failures), 'run')} failed: {told}."


def _alone(row: Row) -> str:
    seed = ", with one seed" if row["seeds"] == 1 and row["low"] is not None else ""
    return f"{seed}; nothing else was asked the same"


def _seed_words(rows: Sequence[Row]) -> str:
    """A warning where intervals know one seed alone."""
    single = [row["seeds"] == 1 for row in rows]
    if all(single):
        return " (one seed each: others may turn it around)"
    return " (some have one seed: others may turn it around)" if any(single) else ""


def _none_of(count: int) -> str:
    return "Neither of the two" if count == 2 else f"None of the {in_words(count)}"


def _so_many(count: int, of: int) -> str:
    if count == of:
        return "Both" if count == 2 else f"All {in_words(count)}"
    if in_words(of) == str(of):  # not "six of 13"
        return f"{count} of {of}"
    return f"{in_words(count).capitalize()} of {in_words(of)}"


def _rest(count: int) -> str:
    return "the other" if count == 1 else f"the other {in_words(count)}"


def _some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    if len(names) <= _NAMED + 1:
        return listed(names)
    return listed([*names[:_NAMED], f"{in_words(len(names) - _NAMED)} more"])


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""


def _joined(sentences: Iterable[str]) -> str:
    return " ".join(f"{sentence}." for sentence in sentences)
