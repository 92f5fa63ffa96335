"""Numbers as text, the same in every format: per cent for fractions, four digits for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmlab.report.statistics import is_fraction

#: What an interval varies over, in words.
INTERVAL_WORDS = {
    "seeds": "95% Student t over seeds",
    "draws": "95% Student t over draws of shots (one seed)",
    "wilson": "95% Wilson over samples (one seed)",
    "normal": "95% normal over samples (one seed)",
    "none": "no interval (one seed)",
}


def number(metric: str, value: float | None) -> str:
    """A metric's value.

    >>> number("top1", 0.1262), number("mean_rank", 12.3456), number("top1", None)
    ('12.6%', '12.35', '—')
    """
    if value is None:
        return "—"
    return f"{100 * value:.1f}%" if is_fraction(metric) else f"{value:.4g}"


def axis_number(metric: str, value: float) -> str:
    """A round value on an axis.

    >>> axis_number("top1", 0.4), axis_number("mean_rank", 2.5)
    ('40%', '2.5')
    """
    return f"{100 * value:.4g}%" if is_fraction(metric) else f"{value:.4g}"


def plus_minus(metric: str, row: Mapping[str, Any]) -> str:
    """A leaderboard row's mean and interval: as +- where it is symmetric, else as its two ends.

    >>> plus_minus("top1", {"mean": 0.5, "low": 0.4, "high": 0.6})
    '50.0 ± 10.0%'
    """
    mean, low, high = row["mean"], row["low"], row["high"]
    if mean is None or low is None or high is None:
        return number(metric, mean)
    if abs((high - mean) - (mean - low)) > 1e-9:
        return f"{number(metric, mean)} [{_plain(metric, low)}, {_plain(metric, high)}]"
    unit = "%" if is_fraction(metric) else ""
    return f"{_plain(metric, mean)} ± {_plain(metric, high - mean)}{unit}"


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

    >>> interval_notes({"r2": ["none"], "mse": ["normal"], "mae": ["none"]})
    ('r2: no interval (one seed)', 'mse: 95% normal over samples (one seed)')
    """
    main = next(iter(kinds))
    others: dict[str, list[str]] = {}
    for name, found in kinds.items():
        for kind in found:
            if kind != "none" and kind not in kinds[main]:
                others.setdefault(kind, []).append(name)
    prefix = f"{main}: " if others else ""
    return (
        *(f"{prefix}{INTERVAL_WORDS[kind]}" for kind in kinds[main]),
        *(f"{', '.join(names)}: {INTERVAL_WORDS[kind]}" for kind, names in others.items()),
    )


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
    """What names a comparison: "zero_shot", "retrieval, image to text", and the split."""
    return f"{evaluation} · {condition} · {split}" if condition else f"{evaluation} · {split}"


def _plain(metric: str, value: float) -> str:
    return f"{100 * value:.1f}" if is_fraction(metric) else f"{value:.4g}"
