"""What the points of a sweep set anew, each of them: what is written there is in no cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmlab.document import Document
from mmlab.faults import Fault, Where, dotted, show
from mmlab.locate import split_path
from mmlab.places import Place, Source


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
    paths = [axis for _, axis in _paths(document, axes)]
    return any(axis[: len(path)] == path != axis for axis in paths)


def lost_settings(document: Document, patches: Sequence[Source]) -> list[tuple[Fault, Place]]:
    """Overrides that no cell would have, each at its place on the command line or in its patch.

    An axis that itself comes later on the command line, or in the same patch, is what is wanted.
    """
    lost: dict[tuple[str, str], tuple[Fault, Place]] = {}
    for path, place in _overridden(document, patches):
        axis = replacing_axis(document, path)
        if axis is None:
            continue
        by = document.place(("sweep", "axes", axis)).source
        if _turn(by, patches) >= _turn(place.source, patches):
            continue
        fault = _lost(document, path, axis)
        lost.setdefault((place.source.name, axis), (fault, place))
    return list(lost.values())


def _overridden(document: Document, patches: Sequence[Source]) -> Iterator[tuple[Where, Place]]:
    """Every path outside the sweep that the command line set, outer ones first."""
    for path, place in sorted(document.places.items(), key=lambda item: len(item[0])):
        if _turn(place.source, patches) > 0 and path[:1] != ("sweep",):
            yield path, place


def _turn(source: Source, patches: Sequence[Source]) -> int:
    """When the command line sets what a source says: 0 for files, then patches, then `--set`."""
    if source.is_override:
        return len(patches) + int(source.name.rpartition("#")[2])
    return patches.index(source) + 1 if source in patches else 0


def _setting(document: Document, path: Where, settings: object) -> str | None:
    """The dotted path among those of an axes table or a point that leads to, or around, a path."""
    found = (name for name, where in _paths(document, settings) if path[: len(where)] == where)
    return next(found, None)


def _paths(document: Document, settings: object) -> Iterable[tuple[str, Where]]:
    """The dotted paths that a table has as keys; what is none is reported elsewhere."""
    for name in settings if isinstance(settings, Mapping) else ():
        try:
            names, _ = split_path(name)
        except ValueError:
            continue
        yield name, document.path_of(names)


def _lost(document: Document, path: Where, axis: str) -> Fault:
    members = f"sweep.axes.{axis if '.' not in axis else show(axis)}=[...]"
    return Fault(
        path,
        f'the axis "{axis}" of the sweep sets this again in every cell, so that it would be lost',
        found=f"{dotted(path)} = {show(document.look_up(path))}",
        allowed="paths that no axis sets",
        next_step=f"name the axis' members with --set '{members}', or remove all axes with "
        "--set 'sweep.axes={}'",
        at_key=True,
    )
