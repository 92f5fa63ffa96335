"""From a sweep to the points it has: which settings, in which order, and what they are called.

The order is that of the file: the last axis changes fastest, then come the included points. Nothing
depends on anything but the document, so a sweep expands the same way everywhere.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mmlab.spec.document import Document, MissingTableError, assign
from mmlab.spec.faults import Fault, Where, dotted, show
from mmlab.spec.places import Place, Places
from mmlab.spec.positions import split_path
from mmlab.spec.tables import SweepTable

_DRAWS_PER_SAMPLE = 100
_POINTS = 100_000


@dataclass(frozen=True)
class Setting:
    """One value of one axis. `path` is as the axis names it, `places` are the value's.

    `origin` is where the value is written in the document.
    """

    path: str
    value: object
    origin: Where
    places: Places

    @property
    def names(self) -> tuple[str, ...]:
        """The parts of the path."""
        return split_path(self.path)[0]


Point = tuple[Setting, ...]
Axes = Sequence[Sequence[Setting]]
#: Parts of the path at which a member of an axis stands, or a setting of a point.
_ORIGIN = 4


class SweepError(Exception):
    """A sweep that cannot be expanded; `faults` say why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults)
        self.faults = list(faults)


def apply(bare: Document, point: Point) -> Document:
    """A document (without its sweep) at one point; what an axis sets is placed at the axis.

    Raises SweepError when a path leads nowhere.
    """
    for setting in point:
        path = bare.path_of(setting.names)
        try:
            bare = assign(bare, path, setting.value, setting.places)
        except MissingTableError as error:
            raise SweepError([_at_axis(error.fault, setting)]) from error
    return bare


def _at_axis(fault: Fault, setting: Setting) -> Fault:
    """A fault that an axis' path causes, moved to where the path is written."""
    is_axis = setting.origin[1] == "axes"
    named = dotted(fault.path)
    path = setting.origin[:-1] if is_axis else setting.origin
    return replace(fault, path=path, message=f"{named}: {fault.message}", at_key=True)


#: The places of what members of axes and points hold, by their origins: ("sweep", "axes", path, 3).
_Inside = Mapping[Where, Places]


def _inside_sweep(document: Document) -> _Inside:
    """All of them at once, for there may be thousands of members."""
    found: dict[Where, dict[Where, Place]] = {}
    for path, place in document.places.items():
        if path[0] == "sweep":
            found.setdefault(path[:_ORIGIN], {})[path[_ORIGIN:]] = place
    return found


def _setting(
    document: Document, inside: _Inside, path: str, value: object, origin: Where
) -> Setting:
    places = dict(inside[origin])
    # What is wrong with the key is wrong with the axis: it is told there, and once for all members.
    axis = origin if origin[1] == "include" else origin[:-1]
    places[()] = places[()]._replace(key=document.place(axis).key)
    return Setting(path, value, origin, places)


def _axes(document: Document, sweep: SweepTable) -> Axes:
    inside = _inside_sweep(document)
    return [
        [
            _setting(document, inside, path, member, ("sweep", "axes", path, position))
            for position, member in enumerate(members)
        ]
        for path, members in sweep.axes.items()
    ]


def _included(document: Document, sweep: SweepTable) -> list[Point]:
    inside = _inside_sweep(document)
    return [
        tuple(
            _setting(document, inside, path, value, ("sweep", "include", position, path))
            for path, value in settings.items()
        )
        for position, settings in enumerate(sweep.include)
    ]


def points_of(document: Document, sweep: SweepTable) -> list[Point]:
    """All points of a sweep, seeds aside. Raises SweepError when there are too many or none."""
    points = [*_chosen(document, sweep), *_included(document, sweep)]
    if not points:
        raise SweepError([_no_points()])
    if len(points) * len(sweep.seeds) > sweep.max_cells:
        raise SweepError([_too_many_cells(len(points) * len(sweep.seeds), sweep)])
    return points


def _chosen(document: Document, sweep: SweepTable) -> Iterable[Point]:
    """The points that the axes give, without those that are excluded."""
    axes = _axes(document, sweep)
    bare = document.without("sweep")
    size = math.prod(map(len, axes))
    if sweep.strategy == "random":
        _require_few(sweep, size)
        drawn = (_point_at(axes, index) for index in _draws(sweep, size))
        kept = (point for point in drawn if not is_excluded(bare, sweep, point))
        return _first(kept, sweep.samples or 0)
    if sweep.strategy == "zip":
        points: Iterable[Point] = _side_by_side(axes)
    elif size > max(_POINTS, sweep.max_cells):
        raise SweepError([_too_many_cells(size * len(sweep.seeds), sweep)])
    else:
        points = itertools.product(*axes)
    return [point for point in points if not is_excluded(bare, sweep, point)]


def _require_few(sweep: SweepTable, size: int) -> None:
    """Raise SweepError, before any is drawn, for more points than there may be, or are."""
    samples = sweep.samples or 0
    if samples * len(sweep.seeds) > max(_POINTS, sweep.max_cells):
        raise SweepError([_too_many_cells(samples * len(sweep.seeds), sweep)])
    if samples > max(_POINTS, size):
        raise SweepError([_too_few_points(samples, size)])


def _side_by_side(axes: Axes) -> list[Point]:
    longest = max(map(len, axes), default=0)
    uneven = [axis for axis in axes if len(axis) != longest]
    if uneven:
        raise SweepError([_uneven(axis, longest) for axis in uneven])
    return list(zip(*axes, strict=True)) if axes else [()]


def _first(points: Iterator[Point], count: int) -> list[Point]:
    found = list(itertools.islice(points, count))
    if len(found) < count:
        raise SweepError([_too_few_points(count, len(found))])
    return found


def _draws(sweep: SweepTable, size: int) -> Iterator[int]:
    """Different numbers below `size`, drawn by hash, so that every Python draws the same."""
    seen: set[int] = set()
    for number in range((sweep.samples or 0) * _DRAWS_PER_SAMPLE):
        index = _draw(sweep.seed, number) % size
        if index not in seen:
            seen.add(index)
            yield index


def _draw(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest())


def _point_at(axes: Axes, index: int) -> Point:
    settings = []
    for axis in reversed(axes):
        index, position = divmod(index, len(axis))
        settings.append(axis[position])
    return tuple(reversed(settings))


def is_excluded(bare: Document, sweep: SweepTable, point: Point) -> bool:
    """Whether a point has all the values of one of `[[sweep.exclude]]`."""
    if not sweep.exclude:
        return False
    there = apply(bare, point)
    return any(
        all(_matches(_value(there, path), value) for path, value in settings.items())
        for settings in sweep.exclude
    )


def _value(document: Document, path: str) -> object:
    return document.look_up(document.path_of(split_path(path)[0]))


def _matches(value: object, pattern: object) -> bool:
    """Equal; a table also matches when it has more keys than the pattern names."""
    if isinstance(pattern, Mapping) and isinstance(value, Mapping):
        return all(key in value and _matches(value[key], pattern[key]) for key in pattern)
    return type(value) is type(pattern) and value == pattern


def labels(points: Sequence[Point]) -> list[str]:
    """A short name of each point: `fusion=concat(image+text), train.lr=0.001`."""
    tables: dict[str, list[Mapping[str, object]]] = {}
    for setting in itertools.chain.from_iterable(points):
        if isinstance(setting.value, Mapping):
            tables.setdefault(setting.path, []).append(setting.value)
    return [
        ", ".join(f"{s.path}={_label(s.value, tables.get(s.path, []))}" for s in point)
        for point in points
    ]


def _label(value: object, tables: Sequence[Mapping[str, object]]) -> str:
    """A value in short; of a table its component, and the keys that set it apart from its like.

    `inputs` are always among them: a fusion of one input is a baseline, alone or not.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return show(value)
    use = value.get("use")
    alike = [table for table in tables if table.get("use") == use]
    apart = {
        key: item
        for key, item in value.items()
        if key == "inputs" or any(t.get(key) != item for t in alike)
    }
    inner = ", ".join(_inner(key, item) for key, item in apart.items())
    if not isinstance(use, str):
        return f"{{{inner}}}"
    return f"{use}({inner})" if inner else use


def _inner(key: str, value: object) -> str:
    """A key of a table and its value; the inputs of a fusion say by themselves what they are."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        names = "+".join(value)
        return names if key == "inputs" else f"{key}={names}"
    return f"{key}={_label(value, ())}"


def _no_points() -> Fault:
    return Fault(
        ("sweep", "exclude"),
        "every point of the sweep is excluded",
        found="0 points",
        allowed="at least 1",
        next_step="exclude fewer",
    )


def _too_many_cells(count: int, sweep: SweepTable) -> Fault:
    return Fault(
        ("sweep", "max_cells"),
        "the sweep has too many cells",
        found=f"{count:,} cells, {len(sweep.seeds)} seed(s) included",
        allowed=f"at most {sweep.max_cells:,}",
        next_step='use fewer members, strategy = "random", or a larger max_cells',
    )


def _uneven(axis: Sequence[Setting], longest: int) -> Fault:
    return Fault(
        axis[0].origin[:-1],
        "axes side by side have equally many members",
        found=f"{len(axis)} members",
        allowed=f"{longest}, as the longest axis",
        next_step='add or remove members, or use strategy = "grid"',
    )


def _too_few_points(samples: int, found: int) -> Fault:
    return Fault(
        ("sweep", "samples"),
        "the axes do not have so many different points",
        found=f"{samples} samples",
        allowed=f"{found}",
        next_step='draw fewer, or use strategy = "grid"',
    )
