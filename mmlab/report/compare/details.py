"""What lies behind differences as tables: by label, by sample and by dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmlab.report.boards.words import counted
from mmlab.report.cards import webp_uri
from mmlab.report.compare.labels import SHOWN, Details, spread
from mmlab.report.compare.numbers import interval, limits, number, p_text, signed
from mmlab.report.compare.verdicts import Verdict


@dataclass(frozen=True)
class Section:
    """A table with its title: columns, rows of texts, and what is to be known of it.

    `pictures` has a picture for each row as a `data:` URI, or None; pages show them.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    pictures: tuple[str | None, ...] = ()

    def is_number(self, place: int) -> bool:
        """Whether a column holds numbers, which stand at the right."""
        cells = [row[place] for row in self.rows if row[place] not in ("", "—")]
        return bool(cells) and all(cell[0] in "+-<.0123456789" for cell in cells)


def by_dataset(verdicts: Sequence[Verdict]) -> Iterator[Section]:
    """For each side a row for every evaluation, and for the mean over datasets of a suite."""
    for side in dict.fromkeys(verdict.side for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.side == side]
        rows = tuple(
            (
                verdict.question.name,
                f"{verdict.difference.samples:,}",
                number(verdict, verdict.baseline_mean),
                number(verdict, verdict.mean),
                signed(verdict),
                interval(verdict),
                p_text(verdict.adjusted_p),
                verdict.word,
            )
            for verdict in own
        )
        yield Section(f"By dataset: {side} beside {own[0].baseline}", _BY_DATASET, rows)


_BY_DATASET = (
    *("dataset and metric", "samples", "before", "after", "difference", "95% interval"),
    *("p (Holm)", "verdict"),
)


def by_label(verdict: Verdict, found: Details) -> Iterator[Section]:
    """Which labels rose and fell, and which confusions changed."""
    pair = f"{verdict.side} beside {verdict.baseline}"
    if found.labels:
        yield _labels(verdict, found, pair)
    else:
        yield Section(f"Labels: {pair}", (), (), ("its samples have no true label",))
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


def by_sample(verdict: Verdict, found: Details) -> Iterator[Section]:
    """Which samples flipped: those that most seeds get right on one side alone."""
    pair = f"{verdict.side} beside {verdict.baseline}"
    title, shown = f"Samples that flipped: {pair}", spread(found.flips)
    if not shown:
        yield Section(title, (), (), ("no sample that most seeds get right on one side alone",))
        return
    rows = tuple(
        (one.sample, ", ".join(one.truths), one.first_before, one.first_after, _way(one.after))
        for one in shown
    )
    columns = ("sample", "truth", "before", "after", "")
    notes = _cut(len(found.flips), "sample")
    pictures = tuple(webp_uri(found.pictures.get(one.sample)) for one in shown)
    yield Section(title, columns, rows, notes, pictures if any(pictures) else ())


def _labels(verdict: Verdict, found: Details, pair: str) -> Section:
    rows = tuple(
        (
            one.label,
            f"{one.samples:,}",
            number(verdict, one.before, one.difference),
            number(verdict, one.after, one.difference),
            signed(verdict, one.difference),
            limits(verdict, one.difference),
            p_text(one.adjusted_p),
            "*" if one.is_marked else "",
        )
        for one in spread(found.labels)
    )
    columns = ("label", "samples", "before", "after", "difference", "95% interval", "p (BH)", "")
    marked = sum(one.is_marked for one in found.labels)
    notes = (f"{counted(marked, 'label')} marked *: of these at most 5% are no change",)
    return Section(f"Labels: {pair}", columns, rows, (*notes, *_cut(len(found.labels), "label")))


def _cut(count: int, what: str) -> tuple[str, ...]:
    return (f"{SHOWN} of {counted(count, what)}; --json has all",) if count > SHOWN else ()


def _way(after: float) -> str:
    return "gained" if after >= 0.5 else "lost"
