"""Mixtures of generated manifests, and a plain reader that counts how often samples come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from support.fuzz.outcome import Told, Unclear

_label = st.sampled_from(["cat", "dog", "", "Cat"])
_text = st.sampled_from(["a", "", "é, b", 'say "hi"', "two\nlines"])
_number = st.sampled_from(["1", "2.5", "", "N/A"])
_row = st.tuples(_text, _label, _number, st.sampled_from(["train", "train", "test"]))


class Part(NamedTuple):
    """A manifest of columns `t`, `l`, `n` and `part`, its name in the mixture, and its weight."""

    name: str
    rows: Sequence[tuple[str, str, str, str]]
    weight: float | None
    target: str | None

    def of(self, split: str) -> list[Told]:
        """The samples of a split."""
        found = []
        for number, (text, label, value, part) in enumerate(self.rows, start=1):
            if part == split:
                captions = (text,) if text else ()
                labels = (label,) if label else None
                targets = (float(value) if value[:1].isdigit() else None,) if self.target else ()
                shown = ("text",) if text else ()
                found.append(Told(str(number), shown, captions, labels, targets))
        return found


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[Part], str]:
    """Parts, all with weights or none, now and then not; and the split that is read."""
    names = draw(st.lists(st.sampled_from(["a", "b", "c.d", "e-1"]), min_size=1, max_size=3))
    has_weights = draw(st.booleans())
    weights = st.sampled_from([1.0, 2.0, 0.5, 3.7] if has_weights else [None])
    parts = [
        Part(
            name,
            draw(st.lists(_row, min_size=1, max_size=6)),
            draw(weights if draw(st.integers(0, 9)) != 7 else st.sampled_from([None, 1.0])),
            draw(st.sampled_from([None, "n"])),
        )
        for name in (dict.fromkeys(names) if draw(st.integers(0, 9)) != 7 else names)
    ]
    return parts, draw(st.sampled_from(["train", "train", "test", "validation"]))


def read_plainly(parts: Sequence[Part], split: str) -> Counter[Told]:
    """The samples of a mixture, without what their ids say of how often they came before."""
    weights = [part.weight for part in parts]
    if max(Counter(part.name for part in parts).values()) > 1:
        raise Unclear("two parts of one name")
    if None in weights and any(weights):
        raise Unclear("some weights are missing")
    has_targets = any(part.target for part in parts)
    sizes = [len(part.of(split)) for part in parts]
    counts = sizes
    if split == "train" and None not in weights:
        if 0 in sizes:
            raise Unclear("a part with a weight and no samples")
        share = max(size / weight for size, weight in zip(sizes, weights, strict=True) if weight)
        counts = [max(s, round(share * (w or 0))) for s, w in zip(sizes, weights, strict=True)]
    expected: Counter[Any] = Counter()
    for part, size, count in zip(parts, sizes, counts, strict=True):
        expected[part.name] = count
        for sample in part.of(split):
            targets = sample.targets or ((None,) if has_targets else ())
            named = sample._replace(id=f"{part.name}/{sample.id}", targets=targets)
            expected[named] = count // size
    return expected
