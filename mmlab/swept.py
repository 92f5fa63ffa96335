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
