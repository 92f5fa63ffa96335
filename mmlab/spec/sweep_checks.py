"""Whether every point of a sweep is a spec of its own; what is not is a fault at the axis.

What every point sets anew is told too: what is written there is in no cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import to_json

from mmlab.hashing import digest
from mmlab.spec.checks import check, sweep_contradictions
from mmlab.spec.document import Document
from mmlab.spec.faults import Fault, Where, dotted, meant_by, nearest, show
from mmlab.spec.places import Place, SourceText
from mmlab.spec.positions import split_path
from mmlab.spec.read import without_unfit
from mmlab.spec.sweep import Point, Setting, SweepError, apply, points_of
from mmlab.spec.tables import Spec, SweepTable, TrainTable

Located = tuple[Fault, Place]

#: Tables of which an axis may vary something.
SWEPT_TABLES = (
    "dataset",
    "encoders",
    "fusion",
    "head",
    "generator",
    "losses",
    "train",
    "evaluate",
)


@dataclass(frozen=True)
class CheckedPoint:
    """A point of a sweep, and the document and spec that it gives."""

    settings: Point
    document: Document
    spec: Spec


def check_points(
    document: Document, known: Sequence[Fault]
) -> tuple[list[CheckedPoint], list[Located]]:
    """The valid points of a document's sweep, and the faults of the others at their axes.

    `known` are the faults of the document itself, which its points share and do not repeat.
    """
    sweep = _sweep(document)
    if sweep is None:
        return [], []
    try:
        _require_paths(sweep)
        points = points_of(document, sweep)
    except SweepError as error:
        return [], [(fault, document.place(fault.path)) for fault in error.faults]
    return _check_all(document, points, {(fault.path, fault.message) for fault in known})


def _sweep(document: Document) -> SweepTable | None:
    """The sweep of a document; None when it is invalid, which is reported elsewhere."""
    values = without_unfit(document.values.get("sweep", {}))
    if not isinstance(values, Mapping) or any(sweep_contradictions(values)):
        return None
    try:
        return SweepTable.model_validate_json(to_json(values))
    except ValidationError:
        return None


def _require_paths(sweep: SweepTable) -> None:
    faults = list(_path_faults(sweep))
    if faults:
        raise SweepError(faults)


def _path_faults(sweep: SweepTable) -> Iterator[Fault]:
    """Paths of axes and points that are no paths, or lead to what cannot be swept."""
    for where, path in _paths(sweep):
        try:
            names, end = split_path(path)
        except ValueError:
            names, end = (), -1
        if end != len(path) or names[0] not in SWEPT_TABLES:
            yield _unswept(where, path, names)
        elif where[1] == "exclude" and not any(_meets(path, axis) for axis in sweep.axes):
            yield _unvaried(where, path, sweep)


def _paths(sweep: SweepTable) -> Iterator[tuple[Where, str]]:
    """Every dotted path that a sweep writes, and where."""
    for path in sweep.axes:
        yield ("sweep", "axes", path), path
    for table, points in (("exclude", sweep.exclude), ("include", sweep.include)):
        for position, settings in enumerate(points):
            yield from ((("sweep", table, position, path), path) for path in settings)


def _meets(path: str, axis: str) -> bool:
    """Whether one of two paths leads to, or into, what the other names."""
    return f"{path}.".startswith(f"{axis}.") or f"{axis}.".startswith(f"{path}.")


def _unvaried(where: Where, path: str, sweep: SweepTable) -> Fault:
    suggestion = nearest(path, sweep.axes)
    hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
    return Fault(
        where,
        f"no axis varies this, so it excludes all points or none{hint}",
        found=show(path),
        allowed=", ".join(sweep.axes) or "nothing: there are no axes",
        next_step="name an axis, or something inside one",
        at_key=True,
    )


def _unswept(where: Where, path: str, names: tuple[str, ...]) -> Fault:
    first = names[0] if names else path
    suggestion = nearest(first, SWEPT_TABLES)
    next_step = f'did you mean "{suggestion}"?' if suggestion else "name something in these tables"
    if first in TrainTable.model_fields or meant_by("train", first):
        next_step = f'write "train.{path}"'
    if "seed" in path:
        next_step = "set seeds = [...] in [sweep]"
    return Fault(
        where,
        "a sweep cannot vary this",
        found=show(path),
        allowed=f"a dotted path into {', '.join(SWEPT_TABLES)}; seeds are not an axis",
        next_step=next_step,
        at_key=True,
    )


def _check_all(
    document: Document, points: Sequence[Point], known: set[tuple[object, str]]
) -> tuple[list[CheckedPoint], list[Located]]:
    bare = document.without("sweep")
    checked: list[CheckedPoint] = []
    located: dict[tuple[object, ...], Located] = {}
    seen: set[str] = set()
    for point in points:
        try:
            there = apply(bare, point)
        except SweepError as error:
            new = [(fault, document.place(fault.path)) for fault in error.faults]
        else:
            spec, faults = check(there)
            new = [
                _at_axis(fault, point, there, document)
                for fault in faults
                if (fault.path, fault.message) not in known
            ]
            if spec is not None and not new:
                checked.append(CheckedPoint(point, there, spec))
                new = _repeated(point, spec, document, seen)
        located |= {(place, fault.path, fault.message): (fault, place) for fault, place in new}
    return checked, list(located.values())


def _at_axis(fault: Fault, point: Point, there: Document, document: Document) -> Located:
    """A fault of a point at the value that caused it: inside a member, or else the member."""
    if any(_sets(setting, fault, there) for setting in point):
        return fault, there.place(fault.path)
    return fault, document.place(point[0].origin) if point else there.place(fault.path)


def _sets(setting: Setting, fault: Fault, there: Document) -> bool:
    path = there.path_of(setting.names)
    return fault.path[: len(path)] == path


def _repeated(point: Point, spec: Spec, document: Document, seen: set[str]) -> list[Located]:
    """The fault of a point that is the same as an earlier one."""
    identity = digest(spec.model_dump(mode="json", exclude={"meta", "extends"}))
    if identity not in seen:
        seen.add(identity)
        return []
    origin = point[-1].origin if point else ("sweep",)
    fault = Fault(
        origin,
        "this gives a cell that the sweep already has",
        found="twice the same cell",
        allowed="points that differ",
        next_step="remove the repetition",
    )
    return [(fault, document.place(origin))]


def replacing_axis(document: Document, path: Where) -> str | None:
    """The axis that sets a path, or what it lies in, in every point of the sweep; if one does.

    An included point keeps what it does not set.
    """
    sweep = document.values.get("sweep")
    if not isinstance(sweep, Mapping):
        return None
    included = sweep.get("include", [])
    points = included if isinstance(included, list) else []
    if not all(_setting(document, path, point) for point in points):
        return None
    return _setting(document, path, sweep.get("axes"))


def is_varied_within(document: Document, path: Where) -> bool:
    """Whether an axis sets something below a path."""
    sweep = document.values.get("sweep")
    axes = sweep.get("axes") if isinstance(sweep, Mapping) else None
    paths = [axis for _, axis in _set_paths(document, axes)]
    return any(axis[: len(path)] == path != axis for axis in paths)


def lost_settings(document: Document, patches: Sequence[SourceText]) -> list[tuple[Fault, Place]]:
    """Overrides that some cell would not have, at their places on the command line or in a patch.

    What the sweep sets later on the command line, or in the same patch, is what is wanted.
    """
    lost: dict[tuple[str, Where], tuple[Fault, Place]] = {}
    for path, place in _overridden(document, patches):
        for setter in _setters(document, path):
            if _turn(document.place(setter).source, patches) < _turn(place.source, patches):
                fault = _lost(document, path, setter)
                lost.setdefault((place.source.name, setter), (fault, place))
                break
    return list(lost.values())


def _setters(document: Document, path: Where) -> Iterator[Where]:
    """Where the sweep sets a path, or what it lies in: an axis, and a path of included points."""
    sweep = document.values.get("sweep")
    tables = sweep if isinstance(sweep, Mapping) else {}
    if axis := _setting(document, path, tables.get("axes")):
        yield "sweep", "axes", axis
    included = tables.get("include", [])
    for position, point in enumerate(included if isinstance(included, list) else []):
        if name := _setting(document, path, point):
            yield "sweep", "include", position, name


def _overridden(document: Document, patches: Sequence[SourceText]) -> Iterator[tuple[Where, Place]]:
    """Every path outside the sweep that the command line set, outer ones first."""
    for path, place in sorted(document.places.items(), key=lambda item: len(item[0])):
        if _turn(place.source, patches) > 0 and path[:1] != ("sweep",):
            yield path, place


def _turn(source: SourceText, patches: Sequence[SourceText]) -> int:
    """When the command line sets what a source says: 0 for files, then patches, then `--set`."""
    if source.is_override:
        return len(patches) + int(source.name.rpartition("#")[2])
    return patches.index(source) + 1 if source in patches else 0


def _setting(document: Document, path: Where, settings: object) -> str | None:
    """The dotted path among those of an axes table or a point that leads to, or around, a path."""
    found = (name for name, where in _set_paths(document, settings) if path[: len(where)] == where)
    return next(found, None)


def _set_paths(document: Document, settings: object) -> Iterable[tuple[str, Where]]:
    """The dotted paths that a table has as keys; what is none is reported elsewhere."""
    for name in settings if isinstance(settings, Mapping) else ():
        try:
            names, _ = split_path(name)
        except ValueError:
            continue
        yield name, document.path_of(names)


def _lost(document: Document, path: Where, setter: Where) -> Fault:
    kind, name = setter[1], setter[-1]
    is_axis = kind == "axes"
    who = f'the axis "{name}"' if is_axis else f'included point {setter[2]} ("{name}")'
    cells = "every cell of the axes" if is_axis and _has(document, "include") else "every cell"
    value = "[...]" if is_axis else "..."
    return Fault(
        path,
        f"{who} of the sweep sets this again in {cells if is_axis else 'its cell'}, so that it "
        f"would be lost{'' if is_axis else ' there'}",
        found=f"{dotted(path)} = {show(document.look_up(path))}",
        allowed="paths that no axis and no included point sets",
        next_step=f"set {'the axis members' if is_axis else 'it there'} with "
        f"--set '{dotted(setter)}={value}', or remove all points of the sweep with "
        f"{_removal(document)}",
        at_key=True,
    )


def _removal(document: Document) -> str:
    """The overrides that leave one cell, the spec itself."""
    empty = {"axes": "{}", "include": "[]"}
    return " ".join(f"--set 'sweep.{key}={e}'" for key, e in empty.items() if _has(document, key))


def _has(document: Document, key: str) -> bool:
    sweep = document.values.get("sweep")
    return isinstance(sweep, Mapping) and bool(sweep.get(key))
