"""A comparison as titled tables of texts, which terminal, Markdown and HTML all show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from mmlab.metric import SHARE
from mmlab.report.boards.words import counted, listed
from mmlab.report.boards.words import number as plain_number
from mmlab.report.compare.changes import Change
from mmlab.report.compare.comparison import Comparison
from mmlab.report.compare.details import Section, by_dataset, by_label, by_sample
from mmlab.report.compare.numbers import (
    difference_text,
    interval,
    limits,
    number,
    p_text,
    plain_difference,
    signed,
)
from mmlab.report.compare.published import Published
from mmlab.report.compare.ranks import Ranks
from mmlab.report.compare.sides import Side
from mmlab.report.compare.tradeoff_tables import trade_off_section
from mmlab.report.compare.verdicts import Verdict
from mmlab.statistics.differences import Difference
from mmlab.statistics.planning import MOST_CLUSTERS, MOST_SEEDS, Needed

#: By what differences are taken apart.
By = Literal["label", "sample", "dataset"]
#: Sides whose differences stand side by side.
_MOST_SIDES = 4


def sections(comparison: Comparison, by: By | None = None) -> list[Section]:
    """The verdicts, ranks, costs, published figures, what lies behind the verdicts, what differs.

    With `by` that alone of what lies behind them; without, all that was read of it.
    """
    questions = dict.fromkeys(verdict.question.name for verdict in comparison.verdicts)
    boards = [_verdicts(comparison, name) for name in questions]
    return [
        *boards,
        *_ranks(comparison.ranks),
        *map(trade_off_section, comparison.trade_offs),
        *map(_published, comparison.published),
        *_behind(comparison, by),
        _changes(comparison.sides, comparison.changes),
    ]


def _behind(comparison: Comparison, by: By | None) -> Iterator[Section]:
    if by == "dataset":
        yield from by_dataset(comparison.verdicts)
    for place, found in comparison.details.items():
        verdict = comparison.verdicts[place]
        if by == "label" or (by is None and (found.labels or found.confusions)):
            yield from by_label(verdict, found)
        if by == "sample" or (by is None and found.flips):
            yield from by_sample(verdict, found)


def summary(comparison: Comparison) -> list[str]:
    """What was found, in sentences: of many sides those of one verdict together."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in comparison.verdicts:
        found.setdefault((verdict.question.name, verdict.word), []).append(verdict)
    said = [_sentence(verdicts) for verdicts in found.values()]
    return [*said, *(_told(one) for one in comparison.published)]


def _told(published: Published) -> str:
    names = listed([one.side for one in published.values if one.is_published])
    return f"{published.name}: published of {names}, as values without samples: nothing is tested"


def _sentence(verdicts: Sequence[Verdict]) -> str:
    """What is the same of some sides, and for one of them by how much."""
    first, many = verdicts[0], len(verdicts) > 1
    names = listed([verdict.side for verdict in verdicts])
    if first.word == "cannot tell":
        text = f"cannot tell {names} from {first.baseline}"
        more = first.difference.reason
    elif first.word == "no difference shown":
        text = f"no difference shown between {first.baseline} and {'each of ' * many}{names}"
        more = difference_text(first)
    else:
        text = f"{names} {'are' if many else 'is'} {first.word} than {first.baseline}"
        more = difference_text(first)
    return f"{first.question.name}: {text}" + ("" if many or not more else f": {more}")


def _verdicts(comparison: Comparison, question: str) -> Section:
    verdicts = [one for one in comparison.verdicts if one.question.name == question]
    optional = {
        "p (McNemar, exact)": [p_text(one.mcnemar_p) for one in verdicts],
        "p (ranks)": [p_text(one.rank_p) for one in verdicts],
        "": [_remark(one) for one in verdicts],
    }
    shown = {
        name: cells for name, cells in optional.items() if any(c not in ("", "—") for c in cells)
    }
    has_joint = any(one.joint is not None for one in verdicts)
    rows = tuple(
        (
            verdict.side,
            number(verdict, verdict.mean),
            signed(verdict),
            interval(verdict),
            *([limits(verdict, verdict.difference)] if has_joint else []),
            p_text(verdict.adjusted_p),
            f"{verdict.chance:.2f}",
            "—" if verdict.effect is None else f"{verdict.effect:+.2f}",
            verdict.word,
            *(cells[row] for cells in shown.values()),
        )
        for row, verdict in enumerate(verdicts)
    )
    first = verdicts[0]
    title = f"{question}, beside {first.baseline} ({number(first, first.baseline_mean)})"
    columns = (*_COLUMNS[:3], *(_JOINT if has_joint else _ALONE), *_COLUMNS[3:], *shown)
    return Section(title, columns, rows, tuple(_notes(comparison, verdicts)))


_COLUMNS = ("side", "value", "difference", "p (Holm)", "chance", "effect", "verdict")
_ALONE, _JOINT = ("95% interval",), ("95%, all together", "95%, this one alone")


def _ranks(found: Sequence[Ranks]) -> Iterator[Section]:
    """A row a side, and a column for each question that three sides or more answered."""
    if not found:
        return
    sides = list(dict.fromkeys(side for one in found for side in one.sides))
    rows = tuple((side, *(_rank(one, side) for one in found)) for side in sides)
    notes = [
        "ranks are 95% intervals, over new samples and new seeds, that hold for all sides together",
        "*: tied for first; each side that is truly the best is among these with 95%",
        *(f"{one.question}: {one.standing.words}" for one in found),
    ]
    columns = ("side", *(one.question for one in found))
    yield Section("Ranks", columns, rows, tuple(notes))


def _rank(found: Ranks, side: str) -> str:
    if side not in found.sides:
        return "—"
    place, standing = found.sides.index(side), found.standing
    low, high = standing.low[place], standing.high[place]
    mark = "*" if standing.tied[place] else ""
    return f"{low}{mark}" if low == high else f"{low}-{high}{mark}"


def _published(found: Published) -> Section:
    """Values of which some are published: a table apart, with neither intervals nor verdicts."""
    rows = tuple(
        (
            one.side,
            plain_number(found.unit, one.value),
            "—" if one.difference is None else plain_difference(found.unit, one.difference),
            "published" if one.is_published else "asked here",
        )
        for one in found.values
    )
    note = (
        "published figures are values without their samples: there is no interval, no test and no "
        "verdict, and what else differs (data, prompts, precision) is not known"
    )
    return Section(f"Published: {found.name}", ("side", "value", "difference", ""), rows, (note,))


def _remark(verdict: Verdict) -> str:
    """What marks a difference, and what would help."""
    return "; ".join(filter(None, (verdict.difference.reason, verdict.difference.advice)))


def _notes(comparison: Comparison, verdicts: Sequence[Verdict]) -> Iterator[str]:
    question = verdicts[0].question
    yield from dict.fromkeys(_covers(one.difference) for one in verdicts)
    if not question.evaluations:
        yield "a mean over datasets is of these datasets, each weighing the same"
    if question.forced:
        yield f"FORCED: they were not asked alike: {question.forced}"
    if dropped := comparison.dropped.get(question.name):
        yield f"{counted(dropped, 'sample')} left out, which not all sides have a value of"
    for name, why in comparison.lacking.get(question.name, {}).items():
        yield f"{name} has no mean, it {why}: a mean over fewer datasets is of something else"
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


def _changes(sides: Sequence[Side], changes: Sequence[Change]) -> Section:
    if len(sides) > _MOST_SIDES:
        return Section("What differs", (), (), ("compare fewer sides to see it; --json has all",))
    rows = tuple((change.what, *change.values) for change in changes)
    notes = () if rows else ("nothing that is recorded differs",)
    return Section("What differs", ("", *(side.name for side in sides)), rows, notes)
