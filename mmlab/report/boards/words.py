"""Numbers of a board as text, and in words why two results of one name are not compared.

Numbers are the same in every format: per cent for fractions, four digits for the rest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from mmlab.hashing import canonical_json
from mmlab.metric import SHARE
from mmlab.statistics.digits import interval_text

# A protocol is a table of JSON: values of whatever kind.
Protocol = Mapping[str, Any]

#: What the parts of a protocol are; of `options` each is told by itself.
_PARTS = {
    "evaluator": "the evaluator",
    "version": "the evaluator's version",
    "condition": "the condition",
    "split": "the split",
    "dataset_revision": "the dataset's revision",
    "samples": "the samples asked",
    "labels": "the labels",
    "prompt_names": "the labels' names in prompts",
    "templates": "the templates",
    "task": "the task",
    "protocol_hash": "the protocol that they were exported with",
}
#: Those parts of `options` that no option of a spec has set.
_FOUND = {
    "prompts_sha256": "the prompts in prompts_file",
    "selected_on": "the samples that select templates",
    "shots": "the shots drawn",
}
#: Those of `options` that a spec sets by another name; they are told with their values.
_SET_BY_ANOTHER = {"shots_per_label": "the shots per label"}
_CHARACTERS = 40


def tell_differences(here: Protocol, there: Protocol) -> str:
    """In what two protocols differ; options are told with their values.

    >>> tell_differences({"split": "test", "options": {"k": 1}}, {"options": {"k": 2}})
    'option k (1 here, 2 there) and the split'
    """
    return listed([*_differences(here, there)])


def _differences(here: Protocol, there: Protocol) -> Iterator[str]:
    for key in _differing(here, there):
        if key == "options":
            yield from _options(here.get(key, {}), there.get(key, {}))
        else:
            yield _PARTS.get(key, key)


def _options(here: Protocol, there: Protocol) -> Iterator[str]:
    for key in _differing(here, there):
        if key == "learnt_from":
            yield from _learnt(here.get(key, {}), there.get(key, {}))
        elif key in _FOUND:
            yield _FOUND[key]
        else:
            name = _SET_BY_ANOTHER.get(key, f"option {key}")
            yield f"{name} ({_show(here.get(key))} here, {_show(there.get(key))} there)"


def _learnt(here: Protocol, there: Protocol) -> Iterator[str]:
    """What a probe learnt from: by split, the revision of the data and a hash of the samples."""
    for split in _differing(here, there):
        own, other = here.get(split), there.get(split)
        if own is None or other is None:
            yield f"whether {split} samples were learnt from"
        elif own[1] != other[1]:
            yield f"the {split} samples learnt from"
        else:
            yield f"the revision of the {split} samples learnt from"


def _differing(here: Protocol, there: Protocol) -> list[str]:
    """The keys whose values differ, in the order of their names, as hashes of protocols do."""
    return [
        key
        for key in sorted({*here, *there})
        if canonical_json(here.get(key)) != canonical_json(there.get(key))
    ]


def _show(value: object) -> str:
    if value is None:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 3] + "..."


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
    counts = Counter(plain.values())
    return {
        key: label if counts[label] == 1 else f"{label} #{key[1][:6]}"
        for key, label in plain.items()
    }


def _name(row: Mapping[str, Any], is_named: bool) -> str:
    is_needed = is_named or not row["cell"]
    name = " · ".join(filter(None, (row["experiment"] if is_needed else "", row["cell"])))
    return f"{name} (imported)" if row.get("origin") else name


def comparison_label(evaluation: str, condition: str, split: str) -> str:
    """What names a comparison: the evaluation, its condition where it has one, and the split."""
    return f"{evaluation} · {condition} · {split}" if condition else f"{evaluation} · {split}"
