"""Split hygiene (leakage): what two splits share before anything is trained, and unclean labels.

Ids, names of files and groups are compared always; the bytes of files only where sizes are equal,
and of a limited number. What was not looked at is told.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np

from mmlab.data.contents import File, Pairs, find_equal
from mmlab.data.samples import NamedSplit, Traces, alike_labels
from mmlab.errors import explain, visible
from mmlab.plugin import Traced

Kind = Literal["file", "content", "text", "group", "id", "label", "spelling"]
#: What a finding shows, at most, and characters of each.
EXAMPLES, CHARACTERS = 3, 150


@dataclass(frozen=True)
class Finding:
    """Something that splits should not have: how often, between which of them, and examples.

    `parts` are the names of all splits that it concerns.
    """

    kind: Kind
    fault: str
    count: int
    splits: Mapping[str, int]
    examples: tuple[str, ...]
    parts: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """One line.

        >>> print(Finding("id", "ids that two splits have", 2, {"train and test": 2}, ("a", "b")))
        ids that two splits have: 2 (2 in train and test), such as 'a', 'b'
        """
        where = ", ".join(f"{count:,} in {name}" for name, count in self.splits.items())
        shown = ", ".join(f"'{visible(example)}'" for example in self.examples)
        return f"{self.fault}: {self.count:,}{f' ({where})' if where else ''}, such as {shown}"


@dataclass(frozen=True)
class Hygiene:
    """What a comparison of splits found, what it compared, and what it did not look at.

    `repeats` counts, by split, files that are there again under their name or another.
    """

    findings: tuple[Finding, ...]
    repeats: Mapping[str, int]
    compared: str
    unseen: tuple[str, ...]

    def lines(self) -> list[str]:
        """The findings and what they rest on, one line each; none where nothing was found."""
        if not self.findings:
            return []
        unseen = f"; not looked at: {'; '.join(self.unseen)}" if self.unseen else ""
        return [*map(str, self.findings), f"the splits were compared by {self.compared}{unseen}"]

    def of(self, names: Collection[str]) -> list[Finding]:
        """The findings that concern any of these splits."""
        return [finding for finding in self.findings if finding.parts & set(names)]


def unclean(found: Sequence[Finding], table: str) -> str:
    """What is said where `strict_splits` of a dataset in this table refuses these findings."""
    return explain(
        f"{table}.strict_splits",
        "the splits share what they should not, or labels look alike",
        found="\n    ".join(map(str, found)),
        allowed="samples, files and groups of one split each, labels that training samples have",
        next_step="mend the data; without strict_splits this is told, and refused no longer",
    )


def compare(parts: Sequence[NamedSplit], *, closed_by: str | None = None) -> Hygiene:
    """Compare splits as `compare_traces` does, which has looked at all of their samples then."""
    return compare_traces([Traces.read(part) for part in parts], closed_by=closed_by)


def compare_traces(
    tables: Sequence[Traces], *, closed_by: str | None = None, repeats: bool = False
) -> Hygiene:
    """Compare splits of the first one's dataset with each other, and with those of other datasets.

    Of other datasets only what training or validation also has counts. `closed_by` is the split by
    whose samples a head learns its labels, and knows no others. `repeats` also looks for files that
    one split has twice.
    """
    parts = [table.part for table in tables]
    own = [number for number, part in enumerate(parts) if part.family == parts[0].family]
    others = [number for number in range(len(parts)) if number not in own]
    near = list(itertools.combinations(own, 2))
    far = [(n, other) for n in own if parts[n].name != "test" for other in others]
    within = [(n, n) for n in range(len(parts))] if repeats else []
    everywhere = _Contents(tables, [*near, *far, *within])
    found = [
        _shared("file", "files that two splits have", tables, near + far, "names", Traces.name),
        everywhere.finding(),
        _shared("text", "texts without a file that two splits have", tables, near, "texts", _text),
        _shared("group", "groups that two splits have", tables, near, "groups", Traces.group),
        _shared("id", "ids that two splits have", tables, near, "ids", _id),
        _unseen_labels([tables[number] for number in own], closed_by),
        *(_spellings(parts, family) for family in dict.fromkeys(part.family for part in parts)),
    ]
    return Hygiene(
        tuple(finding for finding in found if finding is not None),
        everywhere.repeats(),
        _compared(tables, everywhere.told),
        tuple(_unseen(tables, everywhere.told)),
    )


def _name(tables: Sequence[Traces], pair: tuple[int, int]) -> str:
    first, second = pair
    return f"{tables[first].part.name} and {tables[second].part.name}"


def _shared(
    kind: Kind,
    fault: str,
    tables: Sequence[Traces],
    pairs: Pairs,
    column: str,
    show: Callable[[Traces, int], str],
) -> Finding | None:
    """What two tables have in a column, anything but 0."""
    counts, shown, known, parts = dict[str, int](), dict[str, None](), set[int](), set[str]()
    for pair in pairs:
        first, second = (tables[number].column(column) for number in pair)
        both = np.intersect1d(first, second)
        both = both[both != 0]
        if not both.size:
            continue
        counts[_name(tables, pair)] = both.size
        known.update(both.tolist())
        parts.update(tables[number].part.name for number in pair)
        values, places = np.unique(first, return_index=True)
        places = np.sort(places[np.isin(values, both)])[:EXAMPLES]
        shown |= dict.fromkeys(show(tables[pair[0]], place) for place in places.tolist())
    if not known:
        return None
    examples = tuple(map(_shortened, shown))[:EXAMPLES]
    return Finding(kind, fault, len(known), counts, examples, frozenset(parts))


def _shortened(text: str) -> str:
    """The end of a long path, the beginning of another text."""
    if len(text) <= CHARACTERS:
        return text
    return f"...{text[-CHARACTERS:]}" if text.startswith("/") else f"{text[:CHARACTERS]}..."


def _id(table: Traces, row: int) -> str:
    return table.sample(row).id


def _text(table: Traces, row: int) -> str:
    text = table.sample(row).values["text"]
    return str(text[0] if isinstance(text, tuple) else text)


class _Contents:
    """Files of different names and the same bytes, between tables or within one."""

    def __init__(self, tables: Sequence[Traces], pairs: Pairs) -> None:
        self.tables = tables
        self.pairs = [pair for pair in pairs if pair[0] != pair[1]]
        self.groups, self.told = list[list[File]](), {"alike": 0, "read": 0, "unreadable": 0}
        if any(table.names for table in tables):
            names = [table.column("names") for table in tables]
            sizes = [table.column("sizes") for table in tables]
            self.groups, self.told = find_equal(names, sizes, pairs, self._open)

    def _open(self, file: File) -> BinaryIO:
        return self.tables[file[0]].open(file[1])

    def finding(self) -> Finding | None:
        """Those between tables; an example is two files."""
        counts, shown, parts = Counter[str](), list[str](), set[str]()
        found = 0
        for group in self.groups:
            first = {table: entry for table, entry in reversed(group)}
            pairs = [pair for pair in self.pairs if first.keys() >= set(pair)]
            counts.update(_name(self.tables, pair) for pair in pairs)
            parts.update(self.tables[number].part.name for pair in pairs for number in pair)
            found += bool(pairs)
            if pairs and len(shown) < EXAMPLES:
                names = (_shortened(self.tables[n].name(first[n])) for n in pairs[0])
                shown.append("' and '".join(names))
        fault = "contents that two splits have in files of different names"
        if not found:
            return None
        return Finding("content", fault, found, counts, tuple(shown), frozenset(parts))

    def repeats(self) -> dict[str, int]:
        """By split, the files whose name or bytes an earlier file of the split has."""
        found = dict[str, int]()
        for number, table in enumerate(self.tables):
            names = table.column("names")
            own = [sum(table == number for table, _ in group) for group in self.groups]
            equal = sum(count - 1 for count in own if count)
            found[table.part.name] = len(names) - len(np.unique(names)) + equal
        return found


def _unseen_labels(own: Sequence[Traces], closed_by: str | None) -> Finding | None:
    """Labels of other splits that no sample has from which a head learns."""
    learnt = next((t for t in own if t.part.name == closed_by and t.part.look), None)
    if learnt is None:
        return None
    missing = {
        t.part.name: {label for label in t.labels if not learnt.labels[label]}
        for t in own
        if t is not learnt
    }
    every = sorted(set[int]().union(*missing.values()))
    if not every:
        return None
    counts = {name: len(found) for name, found in missing.items() if found}
    shown = tuple(learnt.part.dataset.labels[label] for label in every[:EXAMPLES])
    fault = "labels that no training sample has, so that the head cannot learn them"
    return Finding("label", fault, len(every), counts, shown, frozenset(counts))


def _spellings(parts: Sequence[NamedSplit], family: str) -> Finding | None:
    """Labels of a dataset that differ in case or blanks alone."""
    own = [part for part in parts if part.family == family]
    groups = alike_labels(own[0].dataset.labels)
    if not groups:
        return None
    shown = tuple("' and '".join(labels[:EXAMPLES]) for labels in groups[:EXAMPLES])
    fault = "labels that differ from another in case or blanks alone"
    names = frozenset(part.name for part in own)
    return Finding("spelling", fault, sum(map(len, groups)), {}, shown, names)


def _compared(tables: Sequence[Traces], told: Mapping[str, int]) -> str:
    parts = {
        "ids and labels of {:,} samples": sum(len(table.ids) for table in tables),
        "names of {:,} files": sum(len(table.names) for table in tables),
        "bytes of {:,} files of equal size": told["read"],
    }
    return ", ".join(text.format(count) for text, count in parts.items() if count) or "nothing"


def _unseen(tables: Sequence[Traces], told: Mapping[str, int]) -> Iterator[str]:
    """What was not looked at, and why."""
    left = told["alike"] - told["read"]
    if left:
        yield f"the bytes of {left:,} more of {told['alike']:,} files of equal size"
    if told["unreadable"]:
        yield f"{told['unreadable']:,} files that cannot be read"
    untold = [t.part.name for t in tables if not isinstance(t.part.dataset, Traced)]
    if untold:
        yield f"files and groups of {', '.join(untold)}, which the dataset does not tell"
    unread = [t.part.name for t in tables if t.part.look is None]
    if unread:
        yield f"ids and labels of {', '.join(unread)}, which only read samples tell"
    if len(untold) < len(tables) and not any(any(t.groups) for t in tables):
        yield "groups, for none are named"
