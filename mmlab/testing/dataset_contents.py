"""Whether a dataset gives the same content every time, in one split alone, and does no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import torch

from mmlab.errors import MmlabError
from mmlab.plan.options import json_schema
from mmlab.plugin import Dataset, Sample
from mmlab.testing.claims import breach
from mmlab.testing.side_effects import side_effects
from mmlab.testing.tools import BUILD, Factory, ambient, build
from mmlab.testing.untouched import fingerprint

#: What of a sample is its content.
PARTS = ("values", "labels", "targets", "boxes")
#: As many samples are compared where options are changed.
COMPARED = 64
_READING = "__getitem__"


def content(sample: Sample) -> tuple[str, ...]:
    """The fingerprints of a sample's parts, in the order of `PARTS`."""
    return tuple(fingerprint(getattr(sample, part)) for part in PARTS)


@contextmanager
def reading(split: str) -> Iterator[None]:
    """Require that what reads samples in the block draws nothing, prints nothing, writes nothing.

    It runs inside `ambient`.
    """
    before, seed = torch.default_generator.get_state(), torch.random.initial_seed()
    with side_effects() as effects:
        yield
    is_seeded = torch.random.initial_seed() != seed  # which `ambient` tells
    if not is_seeded and not torch.equal(before, torch.default_generator.get_state()):
        breach(
            "a sample is the same at every reading: what is drawn is drawn by encoders and losses",
            _READING,
            f"reading the split {split!r} draws from torch's generator",
            "decide it once from the sample's index, or let an encoder's `transform` draw it",
        )
    if effects.printed:
        breach(
            "reading a sample prints nothing: it happens in worker processes, and `--json` is read "
            "by programs",
            _READING,
            f"{effects.printed.strip()[:80]!r} while the split {split!r} is read",
            "give `notes`, or use `logging` in `__init__`",
        )
    if effects.written:
        breach(
            "reading a sample writes no file: many processes read at the same time",
            _READING,
            f"{effects.written[0]} is written while the split {split!r} is read",
            "write what is kept once, in `__init__`, with `mmlab.plugin.atomic_file`",
        )


def require_same(
    ids: Sequence[str], first: Sequence[Sequence[str]], again: Sequence[Sequence[str]], when: str
) -> None:
    """Require that samples have the content that they had at the first reading."""
    for name, a, b in zip(ids, first, again, strict=True):
        parts = [part for part, x, y in zip(PARTS, a, b, strict=True) if x != y]
        if parts:
            breach(
                "a sample is the same at every reading, in every process",
                _READING,
                f"{name}: its {' and '.join(parts)} differ {when}",
                "draw nothing, keep nothing between readings, and sort what comes from sets and "
                "folders",
            )


def require_disjoint(contents: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Require that no sample's values are those of a sample of another split.

    `contents` has by split and id the fingerprints of the parts.
    """
    owners: dict[str, tuple[str, str]] = {}
    for split, by_id in contents.items():
        for name, parts in by_id.items():
            other, twin = owners.setdefault(parts[0], (split, name))
            if other != split:
                breach(
                    "a sample is in one split alone, or what is tested was trained on",
                    _READING,
                    f"{name} of the split {split!r} has the values of {twin} of {other!r}",
                    "leave one of the two out; where they were published so, tell why in "
                    '`expected_failed_checks={"disjoint_contents": "..."}`',
                )


def check_revision(factory: Factory, options: Mapping[str, object], first: Dataset) -> None:
    """Content that differs because an option does has another revision."""
    known = _head(first)
    for name, value in _other_options(factory, options):
        try:
            other = build(factory, {**options, name: value}, BUILD, split="train")
            found = _head(other)
        except (MmlabError, OSError, ValueError):  # not every value of an option can be built
            continue
        if other.revision == first.revision and found != known:
            breach(
                "content that differs has another revision, or a run on other data is `done`",
                "revision",
                f"with {name} = {value!r} instead of {options[name]!r} the samples are others, and "
                f"the revision is {first.revision!r:.60} all the same",
                "make `revision` a hash of the index, the sizes of the files and the options",
            )


def _head(dataset: Dataset) -> list[tuple[str, ...]]:
    """The size and the first samples, by content."""
    with ambient(BUILD):
        samples = [dataset[index] for index in range(min(len(dataset), COMPARED))]
    size = (str(len(dataset)), *dataset.labels)
    return [size, *((sample.id, *content(sample)) for sample in samples)]


def _other_options(factory: Factory, options: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Each option with another value, where one can be thought of: a switch, a count, a choice."""
    properties = cast(Mapping[str, Mapping[str, object]], json_schema(factory)["properties"])
    for name, value in options.items():
        choices = properties.get(name, {}).get("enum")
        if isinstance(value, bool):
            yield name, not value
        elif isinstance(value, int):
            yield name, value + 1
        elif isinstance(choices, list):
            yield from ((name, choice) for choice in choices if choice != value)
