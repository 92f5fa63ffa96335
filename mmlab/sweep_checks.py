"""Whether every point of a sweep is a spec of its own; what is not is a fault at the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import to_json

from mmlab.canonical import digest
from mmlab.document import Document
from mmlab.faults import Fault
from mmlab.limits import tame
from mmlab.places import Place
from mmlab.spec_checks import check, sweep_contradictions
from mmlab.spec_tables import Spec, SweepTable
from mmlab.sweep import Point, Setting, SweepError, apply, path_faults, points_of

Located = tuple[Fault, Place]


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
    values = tame(document.values.get("sweep", {}))
    if not isinstance(values, Mapping) or any(sweep_contradictions(values)):
        return None
    try:
        return SweepTable.model_validate_json(to_json(values))
    except ValidationError:
        return None


def _require_paths(sweep: SweepTable) -> None:
    faults = list(path_faults(sweep))
    if faults:
        raise SweepError(faults)


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
