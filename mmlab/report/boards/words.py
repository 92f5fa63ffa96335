"""Numbers and names of a board as text, the same in every format.

Numbers are per cent for fractions, four digits for the rest. Names say what sets rows apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mmlab.metric import SHARE
from mmlab.statistics.digits import interval_text

#: What an interval varies over, in words.
INTERVAL_WORDS = {
    "seeds and samples": "95% over new samples and new seeds",
    "samples": "95% over new samples; another seed is not in it",
    "draws": "95% Student t over draws (one seed)",
    "none": "no interval",
}


def interval_words(row: Mapping[str, Any]) -> str:
    """What the interval of a leaderboard row covers, or why it has none, and what would help.

    >>> interval_words({"interval": "none", "seeds": 3, "undefined": 1})
    'no interval (1 of 3 seeds is not finite or not defined)'
    >>> interval_words({"interval": "samples", "reason": "too few samples", "advice": None})
    '95% over new samples; another seed is not in it (too few samples)'
    """
    seeds, undefined = row.get("seeds", 1), row.get("undefined", 0)
    more = "; ".join(filter(None, (row.get("reason"), row.get("advice"))))
    if row["interval"] == "none" and undefined:
        more = f"{undefined} of {seeds} seeds {'is' if undefined == 1 else 'are'} "
        more += "not finite or not defined"
    return f"{INTERVAL_WORDS[row['interval']]}{f' ({more})' if more else ''}"


def progress_words(row: Mapping[str, Any]) -> str:
    """How many seeds a figure is over, and of a group that is not whole how the others stand.

    >>> whole = {"seeds": 3, "planned": 3, "failed": 0, "running": 0, "failures": None}
    >>> progress_words(whole)
    '3'
    >>> progress_words({**whole, "planned": 6, "failed": 2, "running": 1, "failures": "nan"})
    '3 of 6; 2 failed: nan; 1 running'
    """
    seeds, planned = row["seeds"], row["planned"] or 0
    if planned <= seeds and not row["failed"]:
        return str(seeds)
    ends = f": {row['failures']}" if row["failures"] else ""
    failed = f"{row['failed']} failed{ends}" if row["failed"] else ""
    running = f"{row['running']} running" if row["running"] else ""
    return "; ".join(filter(None, [f"{seeds} of {planned}", failed, running]))


def number(unit: str, value: float | None) -> str:
    """A value of a metric of this unit.

    >>> number("share", 0.1262), number("rank", 12.3456), number("share", None)
    ('12.6%', '12.35', '—')
    """
    if value is None:
        return "—"
    return f"{100 * value:.1f}%" if unit == SHARE else f"{value:.4g}"


def axis_number(unit: str, value: float) -> str:
    """A round value on an axis.

    >>> axis_number("share", 0.4), axis_number("rank", 2.5)
    ('40%', '2.5')
    """
    return f"{100 * value:.4g}%" if unit == SHARE else f"{value:.4g}"


def figure_text(row: Mapping[str, Any]) -> str:
    """A leaderboard row's mean with its interval, in as many digits as that allows.

    >>> figure_text({"unit": "share", "mean": 0.5, "low": 0.4, "high": 0.62})
    '50% [40, 62]'
    """
    if row["mean"] is None:
        return number(row["unit"], None)
    return interval_text(row["mean"], row["low"], row["high"], is_share=row["unit"] == SHARE)


def counted(count: int, what: str) -> str:
    """So many of something.

    >>> counted(1, "sample"), counted(1200, "sample")
    ('1 sample', '1,200 samples')
    """
    return f"{count:,} {what}{'s' if count != 1 else ''}"


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def in_words(count: int) -> str:
    """A number as a sentence has it.

    >>> in_words(6), in_words(1200)
    ('six', '1,200')
    """
    return _WORDS[count] if count < len(_WORDS) else f"{count:,}"


def time_text(seconds: float) -> str:
    """A time as a table has it.

    >>> time_text(3.94), time_text(125), time_text(4000)
    ('3.9 s', '2.1 min', '1.1 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def listed(items: Sequence[str]) -> str:
    """Items in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', '')
    """
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def interval_notes(kinds: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What intervals vary over: those of the first, which is the main one, and others that differ.

    >>> interval_notes({"r2": ["no interval"], "mse": ["95% normal"], "mae": ["no interval"]})
    ('r2: no interval', 'mse: 95% normal')
    """
    main = next(iter(kinds))
    others: dict[str, list[str]] = {}
    for name, found in kinds.items():
        for words in found:
            if not words.startswith("no interval") and words not in kinds[main]:
                others.setdefault(words, []).append(name)
    prefix = f"{main}: " if others else ""
    return (
        *(f"{prefix}{words}" for words in kinds[main]),
        *(f"{', '.join(names)}: {words}" for words, names in others.items()),
    )


def words_of(rows: pl.DataFrame) -> list[str]:
    """`interval_words` of rows, each once."""
    told = ("interval", "seeds", "undefined", "reason", "advice")
    columns = [name for name in told if name in rows.columns]
    return sorted({interval_words(row) for row in rows.select(columns).unique().to_dicts()})


def group_labels(
    rows: Iterable[Mapping[str, Any]], *, is_named: bool = True
) -> dict[tuple[str, str], str]:
    """A name for every group of seeds, by experiment and group hash.

    It is the experiment and what sets the group apart in its sweep; where that is the same for
    several groups (other versions of the code, say), also the start of the group hash. Without
    `is_named` it leaves out the experiment, which the title of a table then tells, where it can.
    """
    plain = {(row["experiment"], row["group_hash"]): _name(row, is_named) for row in rows}
    return _told_apart(plain)


def _name(row: Mapping[str, Any], is_named: bool) -> str:
    is_needed = is_named or not row["cell"]
    return _joined(row["experiment"] if is_needed else "", row["cell"], row)


def _joined(experiment: str, cell: str, row: Mapping[str, Any]) -> str:
    name = " · ".join(filter(None, (experiment, cell)))
    return f"{name} (imported)" if row.get("origin") else name


@dataclass(frozen=True)
class Names:
    """What the rows of one table are called: what sets them apart, and no more.

    `labels` by experiment and group hash, `heading` says what they are, and `shared` what all of
    them have in common, for the title.
    """

    labels: Mapping[tuple[str, str], str]
    heading: str
    shared: tuple[str, ...]


def short_names(rows: Iterable[Mapping[str, Any]], *, is_named: bool = True) -> Names:
    """Names without what is the same in every row; of one row it is all of its name.

    Without `is_named` the experiment is left out where it is one, for the title tells it.

    >>> row = {"experiment": "emoji", "group_hash": "a1", "cell": "fusion=sum, lr=0.1"}
    >>> names = short_names([row, {**row, "group_hash": "b2", "cell": "fusion=gmu, lr=0.1"}])
    >>> names.heading, list(names.labels.values()), names.shared
    ('fusion', ['sum', 'gmu'], ('emoji', 'lr=0.1'))
    """
    found = {(row["experiment"], row["group_hash"]): row for row in rows}
    every = {key: settings_of(row["cell"]) for key, row in found.items()}
    if len(found) < 2:
        labels = group_labels(found.values(), is_named=is_named)
        return Names(labels, "experiment" if is_named else "cell", ())
    experiments = list(dict.fromkeys(key[0] for key in found))
    shared = [one for one in next(iter(every.values())) if all(one in of for of in every.values())]
    left = {key: [one for one in of if one not in shared] for key, of in every.items()}
    path = _only_path(left.values())
    cells = {key: ", ".join(of).removeprefix(f"{path}=") for key, of in left.items()}
    is_one = len(experiments) == 1
    plain = {
        key: _joined("" if is_one and cell else key[0], cell, found[key])
        for key, cell in cells.items()
    }
    told = [*([] if is_one else ["experiment"]), *([path or "cell"] if any(cells.values()) else [])]
    heading = " · ".join(told) or "experiment"
    common = experiments if is_one and is_named else []
    return Names(_told_apart(plain), heading, (*common, *shared))


def settings_of(cell: str) -> list[str]:
    """The settings of which the name of a cell consists; commas within one part nothing.

    >>> settings_of("fusion=concat(dropout=0.3, dim=8), lr=0.1")
    ['fusion=concat(dropout=0.3, dim=8)', 'lr=0.1']
    """
    parts, depth = [""], 0
    for place, character in enumerate(cell):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and cell.startswith(", ", place):
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _only_path(left: Iterable[Sequence[str]]) -> str:
    """The path of the one setting in which rows differ; empty where they differ otherwise."""
    paths = {settings[0].partition("=")[0] if len(settings) == 1 else "" for settings in left}
    is_set = all("=" in settings[0] for settings in left if settings)
    return paths.pop() if len(paths) == 1 and is_set else ""


def _told_apart(plain: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Names, with the start of the group hash where several have the same."""
    counts = Counter(plain.values())
    return {
        key: label if counts[label] == 1 else f"{label} #{key[1][:6]}"
        for key, label in plain.items()
    }


def is_suite(part: pl.DataFrame) -> bool:
    """Whether the rows of a comparison are means over datasets."""
    row = part.row(0, named=True)
    return row["suite"] is not None and row["dataset"] is None


def board_name(part: pl.DataFrame) -> tuple[str, str, str]:
    """Evaluation, condition and split; imported figures have the name of their test set alone."""
    row = part.row(0, named=True)
    asked = f" · {row['evaluator']}" if is_published(row) else ""
    return f"{row['evaluation']}{asked}", row["condition"], row["split"]


def is_published(row: Mapping[str, Any]) -> bool:
    """Whether it is a figure of another tool, without the samples that it is of."""
    return row["origin"] is not None and not row["samples"]


def board_titles(parts: Sequence[pl.DataFrame]) -> list[str]:
    """The title of every comparison, with its protocol where several have the same name."""
    names = [comparison_label(*board_name(part)) for part in parts]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name} (protocol {part['protocol_hash'][0][:8]})"
        for name, part in zip(names, parts, strict=True)
    ]


def comparison_label(evaluation: str, condition: str, split: str) -> str:
    """What names a comparison: the evaluation, its condition where it has one, and the split."""
    return f"{evaluation} · {condition} · {split}" if condition else f"{evaluation} · {split}"
