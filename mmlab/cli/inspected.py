"""How `mmlab inspect` shows what it found, in tables and lines that fit a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mmlab.cli.output import table
from mmlab.errors import visible
from mmlab.files import size_text

if TYPE_CHECKING:
    from rich.console import Console

    from mmlab.data.box_facts import BoxFacts
    from mmlab.data.facts import Column, DrawnFacts, Range, TextLengths, Unreadable
    from mmlab.data.hygiene import Hygiene
    from mmlab.data.inspection import DataFacts, Shown

#: Labels that are shown: those of most and of fewest samples.
HEAD, TAIL = 6, 3
#: Columns of rows that are shown.
COLUMNS = 20
#: Modes and rates that are named, those of most first.
KINDS = 5

Lines = Iterator[str]


def show_data(out: Console, facts: DataFacts, lengths: Sequence[TextLengths]) -> None:
    """Print all that is known of some data."""
    _title(out, f"dataset {facts.dataset}, of {_counted(len(facts.cells), 'cell')}")
    names = [name.removeprefix("the data of ") for name in facts.splits]
    out.print(table(["samples", *names], [*_sample_rows(facts)], whole=["samples", *names]))
    if facts.labels:
        _section(out, _label_title(facts), _balance(facts))
        out.print(table(["label", *names], [*_label_rows(facts)], whole=names))
    _show_boxes(out, facts)
    if any(split.targets for split in facts.splits.values()):
        _title(out, "targets")
        columns = ["target", "split", "known", "minimum", "mean", "maximum"]
        out.print(table(columns, [*_target_rows(facts)], whole=columns[1:]))
    _show_drawn(out, facts.drawn, lengths)
    if facts.notes:
        _section(out, "how it was read", facts.notes)
    _section(out, "what splits share", _hygiene_lines(facts.hygiene))
    _title(out, f"{_counted(len(facts.samples), 'sample')}, drawn")
    for sample in facts.samples:
        _show_sample(out, sample)


def _title(out: Console, text: str) -> None:
    out.print(f"\n{visible(text)}", style="bold", markup=False)


def _section(out: Console, title: str, lines: Iterable[str]) -> None:
    _title(out, title)
    for line in filter(None, lines):
        _print(out, line)


def _print(out: Console, line: str) -> None:
    """A line, folded where it is long, all of it indented."""
    from rich.padding import Padding
    from rich.text import Text

    out.print(Padding(Text(visible(line)), (0, 0, 0, 2), expand=False))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- what is known of every sample ------------------------------------------------------------
def _sample_rows(facts: DataFacts) -> Iterator[list[str]]:
    """Samples by split, with and without each modality."""
    splits = facts.splits.values()
    yield ["all", *(f"{split.samples:,}" for split in splits)]
    for modality in dict.fromkeys(name for split in splits for name in split.present):
        have = [split.present.get(modality, 0) for split in splits]
        yield [f"with {modality}", *(f"{count:,}" for count in have)]
        lacking = [split.samples - count for split, count in zip(splits, have, strict=True)]
        if any(lacking):
            yield [f"without {modality}", *(f"{count:,}" for count in lacking)]
    if facts.labels:
        yield ["labelled", *(f"{split.labelled:,}" for split in splits)]
    if any(split.repeated_files for split in splits):
        yield ["files again", *(f"{split.repeated_files:,}" for split in splits)]


def _label_title(facts: DataFacts) -> str:
    each = "any number of them" if facts.is_multi_label else "one"
    return f"{_counted(len(facts.labels), 'label')}, {each} a sample"


def _balance(facts: DataFacts) -> Lines:
    """How unequal the labels of the first split with labels are, and which it lacks."""
    named = next(((n, s.labels) for n, s in facts.splits.items() if s.labels), None)
    if named is None:
        return
    name, counts = named
    most, least = max(counts.values()), min(counts.values())
    ratio = f", {most / least:,.1f} times as many" if most > least else ""
    yield f"in {name} a label has {least:,} to {most:,} samples{ratio}"
    if len(counts) < len(facts.labels):
        yield f"{_counted(len(facts.labels) - len(counts), 'label')} without a sample in {name}"


def _label_rows(facts: DataFacts) -> Iterator[list[str]]:
    """The labels of most samples, and of fewest."""
    return _most_and_fewest(facts.labels, [split.labels for split in facts.splits.values()])


def _most_and_fewest(
    labels: Sequence[str], counts: Sequence[Mapping[str, int]]
) -> Iterator[list[str]]:
    """Labels with their counts in each split: those of most, and of fewest."""
    names = dict.fromkeys([*labels, *(label for own in counts for label in own)])
    order = sorted(names, key=lambda name: [-own.get(name, 0) for own in counts])
    for position, name in enumerate(order):
        if len(order) > HEAD + TAIL + 1 and HEAD <= position < len(order) - TAIL:
            if position == HEAD:
                yield [f"... {len(order) - HEAD - TAIL:,} more", *("" for _ in counts)]
            continue
        yield [name, *(f"{own.get(name, 0):,}" for own in counts)]


def _show_boxes(out: Console, facts: DataFacts) -> None:
    """Boxes by split, by size and by label."""
    found = {name: split.boxes for name, split in facts.splits.items() if split.boxes is not None}
    if not found:
        return
    names = [name.removeprefix("the data of ") for name in found]
    _section(out, "boxes", _box_lines(found))
    boxes = found.values()
    rows = [["all", *(f"{each.boxes:,}" for each in boxes)]]
    rows += [
        [name, *(f"{each.sizes[name]:,}" for each in boxes)]
        for name in ("small", "medium", "large")
    ]
    rows.append(["crowd", *(f"{each.crowd:,}" for each in boxes)])
    rows.append(["difficult", *(f"{each.difficult:,}" for each in boxes)])
    rows.append(["pictures with some", *(f"{each.known - each.empty:,}" for each in boxes)])
    rows.append(["pictures with none", *(f"{each.empty:,}" for each in boxes)])
    out.print(table(["boxes", *names], rows, whole=["boxes", *names]))
    labels = [*_most_and_fewest(facts.labels, [each.labels for each in boxes])]
    out.print(table(["label of boxes", *names], labels, whole=names))


def _box_lines(found: Mapping[str, BoxFacts]) -> Lines:
    for name, boxes in found.items():
        sizes = filter(None, (_ranged("width", boxes.width), _ranged("height", boxes.height)))
        yield f"{name}: {'; '.join([*sizes]) or 'no boxes'}"
        yield from (f"{name}: {line}" for line in _failed(boxes.unreadable))


def _target_rows(facts: DataFacts) -> Iterator[list[str]]:
    for name in dict.fromkeys(name for split in facts.splits.values() for name in split.targets):
        for split, found in facts.splits.items():
            if target := found.targets.get(name):
                numbers = (target.minimum, target.mean, target.maximum)
                shown = ("" if number is None else f"{number:.5g}" for number in numbers)
                yield [name, split, f"{target.known:,}", *shown]


# --- what was drawn ---------------------------------------------------------------------------
def _show_drawn(out: Console, drawn: DrawnFacts, lengths: Sequence[TextLengths]) -> None:
    for name, texts in drawn.texts.items():
        own = (_length_line(length) for length in lengths if length.modality == name)
        facts = (_ranged("captions of a sample", texts.captions), _ranged("words", texts.words))
        _section(out, f"{name}: texts of {texts.drawn:,} samples, drawn", [*facts, *own])
    for name, pictures in drawn.pictures.items():
        sizes = _ranged("width", pictures.width), _ranged("height", pictures.height)
        kinds = _kinds("formats", pictures.formats), _kinds("modes", pictures.modes)
        lines = *sizes, _bytes(pictures.size_bytes), *kinds, *_failed(pictures.unreadable)
        _section(out, f"{name}: {pictures.drawn:,} pictures, drawn", lines)
    for name, sounds in drawn.sounds.items():
        kinds = _kinds("rates in Hz", sounds.rates), _kinds("channels", sounds.channels)
        lines = _ranged("seconds", sounds.seconds), *kinds, *_failed(sounds.unreadable)
        _section(out, f"{name}: {sounds.drawn:,} sounds, drawn", lines)
    for name, videos in drawn.videos.items():
        frames = _ranged("frames as read", videos.frames), _ranged("width", videos.width)
        lines = *frames, _ranged("height", videos.height), *_failed(videos.unreadable)
        _section(out, f"{name}: {videos.drawn:,} videos, drawn", lines)
    for name, unreadable in drawn.unreadable.items():
        _section(out, f"{name}: none of {unreadable.count:,}, drawn", _failed(unreadable))
    for name, columns in drawn.columns.items():
        _title(out, f"{name}: {_counted(len(columns), 'column')} of rows, drawn")
        rows = [_column_row(*column) for column in list(columns.items())[:COLUMNS]]
        out.print(table(["column", "kind", "missing", "distinct", "values"], rows, whole=["kind"]))


def _ranged(what: str, values: Range | None) -> str:
    """Numbers from the smallest to the largest."""
    if values is None:
        return ""
    if values.minimum == values.maximum:
        return f"{what}: {_number(values.minimum)}"
    ends = f"{_number(values.minimum)} to {_number(values.maximum)}"
    return f"{what}: {ends}, median {_number(values.median)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def _bytes(sizes: Range | None) -> str:
    if sizes is None:
        return ""
    return f"files: {size_text(int(sizes.minimum))} to {size_text(int(sizes.maximum))}"


def _kinds(what: str, counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({count:,})" for name, count in list(counts.items())[:KINDS]]
    more = [f"{len(counts) - KINDS} more"] if len(counts) > KINDS else []
    return f"{what}: {', '.join([*shown, *more])}" if counts else ""


def _failed(unreadable: Unreadable) -> Lines:
    if unreadable.count:
        yield f"cannot be read: {unreadable.count:,}; the first: {unreadable.first}"


def _length_line(length: TextLengths) -> str:
    """What a text encoder reads."""
    name = f"encoders.{length.encoder}"
    if length.error is not None:
        return f"{name}: not measured: {length.error}"
    part = length.cut / length.texts
    share = "under 0.1%" if 0 < part < 0.001 else f"{part:.1%}"
    share = f"{length.cut:,} of {_counted(length.texts, 'text')} ({share}) are cut"
    if length.length is None:
        return f"{name}: {share}"
    return f"{name} reads {length.length:,} ids, the longest text has {length.longest:,}: {share}"


def _column_row(name: str, column: Column) -> list[str]:
    found = ", ".join(f"{value!r} ({count:,})" for value, count in column.top.items())
    values = found or _ranged("", column.range).removeprefix(": ")
    return [name, column.kind, f"{column.missing:,}", f"{column.distinct:,}", values]


# --- what splits share, and samples ------------------------------------------------------------
def _hygiene_lines(hygiene: Hygiene) -> Lines:
    yield from (f"- {finding}" for finding in hygiene.findings)
    if not hygiene.findings:
        yield "nothing was found"
    yield f"compared by {hygiene.compared}"
    if hygiene.unseen:
        yield f"not looked at: {'; '.join(hygiene.unseen)}"


def _show_sample(out: Console, sample: Shown) -> None:
    labels = f": {', '.join(map(repr, sample.labels))}" if sample.labels else ""
    _print(out, f"{sample.split} {sample.id!r}{labels}")
    targets = {name: f"{value:g}" for name, value in sample.targets.items()}
    for name, text in {**sample.values, **targets}.items():
        _print(out, f"  {name}: {text}")
    if sample.error is not None:
        _print(out, f"  cannot be read: {sample.error}")
