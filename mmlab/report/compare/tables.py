"""A comparison as titled tables of texts, which terminal, Markdown and HTML all show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mmlab.metric import SHARE
from mmlab.report.boards.words import counted, listed
from mmlab.report.compare.changes import Change
from mmlab.report.compare.comparison import Comparison
from mmlab.report.compare.labels import Details
from mmlab.report.compare.sides import Side
from mmlab.report.compare.verdicts import Verdict
from mmlab.statistics.differences import Difference
from mmlab.statistics.planning import MOST_CLUSTERS, MOST_SEEDS, Needed

T = TypeVar("T")

#: Rows of one table of details that are shown; JSON has all.
SHOWN = 12
#: Sides whose differences stand side by side.
_MOST_SIDES = 4


@dataclass(frozen=True)
class Section:
    """A table with its title: columns, rows of texts, and what is to be known of it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def is_number(self, place: int) -> bool:
        """Whether a column holds numbers, which stand at the right."""
        cells = [row[place] for row in self.rows if row[place] not in ("", "—")]
        return bool(cells) and all(cell[0] in "+-<.0123456789" for cell in cells)


def sections(comparison: Comparison) -> list[Section]:
    """The verdicts, what lies behind them where that was asked for, and what differs."""
    details = [
        section
        for place, found in comparison.details.items()
        for section in _details(comparison.verdicts[place], found)
    ]
    questions = dict.fromkeys(verdict.question.name for verdict in comparison.verdicts)
    boards = [_verdicts(comparison, name) for name in questions]
    return [*boards, *details, _changes(comparison.sides, comparison.changes)]


def summary(comparison: Comparison) -> list[str]:
    """What was found, in sentences: of many sides those of one verdict together."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in comparison.verdicts:
        found.setdefault((verdict.question.name, verdict.word), []).append(verdict)
    return [_sentence(verdicts) for verdicts in found.values()]


def _sentence(verdicts: Sequence[Verdict]) -> str:
    """What is the same of some sides, and for one of them by how much."""
    first, many = verdicts[0], len(verdicts) > 1
    names = listed([verdict.side for verdict in verdicts])
    if first.word == "cannot tell":
        text = f"cannot tell {names} from {first.baseline}"
        more = first.difference.reason
    elif first.word == "no difference shown":
        text = f"no difference shown between {first.baseline} and {'each of ' * many}{names}"
        more = _difference(first)
    else:
        text = f"{names} {'are' if many else 'is'} {first.word} than {first.baseline}"
        more = _difference(first)
    return f"{first.question.name}: {text}" + ("" if many or not more else f": {more}")


def _verdicts(comparison: Comparison, question: str) -> Section:
    verdicts = [one for one in comparison.verdicts if one.question.name == question]
    optional = {
        "p (McNemar, exact)": [_p(one.mcnemar_p) for one in verdicts],
        "p (ranks)": [_p(one.rank_p) for one in verdicts],
        "": [_remark(one) for one in verdicts],
    }
    shown = {
        name: cells for name, cells in optional.items() if any(c not in ("", "—") for c in cells)
    }
    rows = tuple(
        (
            verdict.side,
            _number(verdict, verdict.mean),
            _signed(verdict, verdict.difference.value),
            _interval(verdict),
            _p(verdict.adjusted_p),
            f"{verdict.chance:.2f}",
            "—" if verdict.effect is None else f"{verdict.effect:+.2f}",
            verdict.word,
            *(cells[row] for cells in shown.values()),
        )
        for row, verdict in enumerate(verdicts)
    )
    first = verdicts[0]
    title = f"{question}, beside {first.baseline} ({_number(first, first.baseline_mean)})"
    return Section(title, (*_COLUMNS, *shown), rows, tuple(_notes(comparison, verdicts)))


_COLUMNS = (
    "side",
    "value",
    "difference",
    "95% interval",
    "p (Holm)",
    "chance",
    "effect",
    "verdict",
)


def _remark(verdict: Verdict) -> str:
    """What marks a difference, and what would help."""
    return "; ".join(filter(None, (verdict.difference.reason, verdict.difference.advice)))


def _notes(comparison: Comparison, verdicts: Sequence[Verdict]) -> Iterator[str]:
    question = verdicts[0].question
    yield from dict.fromkeys(_covers(one.difference) for one in verdicts)
    if question.forced:
        yield f"FORCED: they were not asked alike: {question.forced}"
    if dropped := comparison.dropped.get(question.name):
        yield f"{counted(dropped, 'sample')} left out, which not all sides have a value of"
    if comparison.left_out:
        names = listed(comparison.left_out)
        yield f"left out, asked nothing that {comparison.sides[0].name} was: {names}"
    for side in comparison.sides:
        if side.lost:
            lost = [f"{count} {status}" for status, count in side.lost.items()]
            yield f"{side.name}: {counted(len(side.run_ids), 'run')} compared, {listed(lost)}"
    yield (
        "chance: how often the side does better on a sample, with a seed of each; ties half. "
        "effect: Cohen's d for pairs"
    )
    yield from _needs(verdicts)
    if any(one.rank_p is not None or one.mcnemar_p is not None for one in verdicts):
        yield "p (ranks), by permutation, and p (McNemar) are of these models, without other seeds"


def _needs(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What could have been shown, and for a single verdict what would show the difference."""
    known = [one for one in verdicts if one.detectable is not None]
    if not known:
        return
    least, most = (
        min(one.detectable or 0 for one in known),
        max(one.detectable or 0 for one in known),
    )
    sizes = [_size(verdicts[0], size) for size in (least, most)]
    shown = sizes[0] if sizes[0] == sizes[1] else " to ".join(sizes)
    yield f"a difference of {shown} would be shown four times in five"
    for one in known:
        if one.seeds_needed is not None and one.samples_needed is not None:
            size = _size(one, abs(one.difference.value))
            yield (
                f"to show {size}: {_needed(one.seeds_needed, 'seeds', MOST_SEEDS)}; "
                f"{_needed(one.samples_needed, 'samples', MOST_CLUSTERS)}"
            )


def _size(verdict: Verdict, value: float) -> str:
    is_share = verdict.question.unit == SHARE
    return f"{100 * value:.1f} points" if is_share else f"{value:.3g}"


def _needed(needed: Needed, what: str, most: int) -> str:
    if needed.likely is None:
        return f"more than {most:,} {what}" if needed.low else f"{what} alone cannot"
    if needed.low == needed.high or (needed.low is None and needed.high is None):
        return f"about {needed.likely:,} {what}"
    ends = [f"{end:,}" if end else f"more than {most:,}" for end in (needed.low, needed.high)]
    return f"about {needed.likely:,} {what} ({ends[0]} to {ends[1]})"


def _covers(difference: Difference) -> str:
    seeds, samples = difference.seeds, counted(difference.samples, "sample")
    shown = str(seeds[0]) if seeds[0] == seeds[1] else f"{seeds[1]} and {seeds[0]}"
    what = f"{samples}, {shown} seeds" if max(seeds) > 1 else f"{samples}, one seed each"
    told = {
        "seeds and samples": f"95% intervals over new samples and new seeds ({what})",
        "samples": f"95% intervals over new samples; another seed is not in them ({what})",
        "none": f"no interval ({what})",
    }
    return told[difference.covers]


def _details(verdict: Verdict, found: Details) -> Iterator[Section]:
    pair = f"{verdict.side} beside {verdict.baseline}"
    if found.labels:
        yield _labels(verdict, found, pair)
    if found.confusions:
        rows = tuple(
            (
                one.truth,
                one.predicted,
                f"{one.before:.3g}",
                f"{one.after:.3g}",
                f"{one.after - one.before:+.3g}",
            )
            for one in found.confusions[:SHOWN]
        )
        columns = ("truth", "taken for", "before", "after", "change")
        notes = _cut(len(found.confusions), "confusion")
        yield Section(f"Confusions that changed: {pair}", columns, rows, notes)
    if found.flips:
        rows = tuple(
            (one.sample, ", ".join(one.truths), one.first_before, one.first_after, _way(one.after))
            for one in _spread(found.flips)
        )
        columns = ("sample", "truth", "before", "after", "")
        notes = _cut(len(found.flips), "sample")
        yield Section(f"Samples that flipped: {pair}", columns, rows, notes)


def _labels(verdict: Verdict, found: Details, pair: str) -> Section:
    rows = tuple(
        (
            one.label,
            f"{one.samples:,}",
            _number(verdict, one.before),
            _number(verdict, one.after),
            _signed(verdict, one.difference.value),
            _limits(verdict, one.difference),
            _p(one.adjusted_p),
            "*" if one.is_marked else "",
        )
        for one in _spread(found.labels)
    )
    columns = ("label", "samples", "before", "after", "difference", "95% interval", "p (BH)", "")
    marked = sum(one.is_marked for one in found.labels)
    notes = (f"{counted(marked, 'label')} marked *: of these at most 5% are no change",)
    return Section(f"Labels: {pair}", columns, rows, (*notes, *_cut(len(found.labels), "label")))


def _spread(items: Sequence[T]) -> Sequence[T]:
    """Both ends of what is ordered, where it is too long to be shown."""
    if len(items) <= SHOWN:
        return items
    return [*items[: SHOWN // 2], *items[-(SHOWN // 2) :]]


def _cut(count: int, what: str) -> tuple[str, ...]:
    return (f"{SHOWN} of {counted(count, what)}; --json has all",) if count > SHOWN else ()


def _way(after: float) -> str:
    return "gained" if after >= 0.5 else "lost"


def _changes(sides: Sequence[Side], changes: Sequence[Change]) -> Section:
    if len(sides) > _MOST_SIDES:
        return Section("What differs", (), (), ("compare fewer sides to see it; --json has all",))
    rows = tuple((change.what, *change.values) for change in changes)
    notes = () if rows else ("nothing that is recorded differs",)
    return Section("What differs", ("", *(side.name for side in sides)), rows, notes)


# --- numbers ------------------------------------------------------------------------------------


def _number(verdict: Verdict, value: float) -> str:
    return f"{100 * value:.1f}%" if verdict.question.unit == SHARE else f"{value:.4g}"


def _signed(verdict: Verdict, value: float) -> str:
    return f"{100 * value:+.1f}" if verdict.question.unit == SHARE else f"{value:+.4g}"


def _interval(verdict: Verdict) -> str:
    return _limits(verdict, verdict.difference)


def _limits(verdict: Verdict, difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return difference.reason or "none"
    ends = [_signed(verdict, end) for end in (difference.low, difference.high)]
    return " to ".join(ends)


def _difference(verdict: Verdict) -> str:
    unit = " points" if verdict.question.unit == SHARE else ""
    return f"{_signed(verdict, verdict.difference.value)}{unit}, {_interval(verdict)}"


def _p(value: float | None) -> str:
    if value is None:
        return "—"
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
