"""A spec as plain values, each with its place: merging and setting keep the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmlab.spec.faults import Fault, Where, dotted, nearest, show
from mmlab.spec.places import Place, Places, SourceText
from mmlab.spec.positions import Span

Values = Mapping[str, object]

#: Tables that a setting may begin: `--set train.epochs=3` where a file has no [train].
OPTIONAL_TABLES: frozenset[Where] = frozenset(
    {
        ("meta",),
        ("train",),
        ("train", "optimizer"),
        ("train", "schedule"),
        ("sweep",),
        ("head",),
        ("generator",),
    }
)


class MissingTableError(Exception):
    """A setting leads through something that is not there; `fault` says what."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True)
class Document:
    """Values of a spec and their places. `main` is the file that was asked for."""

    main: SourceText
    values: Values
    places: Places

    def place(self, path: Where) -> Place:
        """Where a path is written, or the innermost table around it, or else the file's start."""
        for length in range(len(path), 0, -1):
            place = self.places.get(path[:length])
            if place is not None:
                return place if length == len(path) else place._replace(key=place.value)
        return Place(self.main, Span(0, 0), Span(0, 0))

    def folder(self, path: Where) -> Path:
        """Where a relative path written there begins: at its file's folder; of `--set`, main's."""
        source = self.place(path).source
        return Path(self.main.name if source.is_override else source.name).parent

    def without(self, key: str) -> Document:
        """The document without one of its top-level keys."""
        values = {name: value for name, value in self.values.items() if name != key}
        places = {path: place for path, place in self.places.items() if path[0] != key}
        return replace(self, values=values, places=places)

    def look_up(self, path: Where) -> object:
        """The value at a path, or None (which TOML cannot say) where there is none."""
        here: object = self.values
        for part in path:
            here = _inside(here, part)
        return here

    def path_of(self, names: tuple[str, ...]) -> Where:
        """Names as a path: those that lead into arrays become positions (losses.0.weight)."""
        path: list[str | int] = []
        here: object = self.values
        for name in names:
            is_position = isinstance(here, list) and name.isdecimal() and len(name) < 9
            path.append(int(name) if is_position else name)
            here = _inside(here, path[-1])
        return tuple(path)


def _inside(container: object, part: str | int) -> object:
    if isinstance(container, Mapping):
        return container.get(part)
    if isinstance(container, list) and isinstance(part, int) and part < len(container):
        return container[part]
    return None


def merge(under: Document, over: Document) -> Document:
    """Tables of both merged key by key; where not both are tables, `over` replaces."""
    replaced = set[Where]()
    values = _merged(under.values, over.values, (), replaced)
    kept = {
        path: place
        for path, place in under.places.items()
        if not any(path[:length] in replaced for length in range(1, len(path) + 1))
    }
    return Document(over.main, values, {**kept, **over.places})


def _merged(under: Values, over: Values, path: Where, replaced: set[Where]) -> Values:
    """The merged values; the paths of those that are replaced are noted."""
    values = dict(under)
    for key, value in over.items():
        present = values.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            values[key] = _merged(present, value, (*path, key), replaced)
        else:
            replaced.add((*path, key))
            values[key] = value
    return values


def _forget(places: dict[Where, Place], path: Where) -> None:
    for known in [known for known in places if known[: len(path)] == path]:
        del places[known]


def patch(under: Document, over: Document) -> Document:
    """As `merge`, but a table of both, where something may be missing, stays where it was."""
    merged = merge(under, over)
    tables = {
        path: place
        for path, place in under.places.items()
        if all(isinstance(part, str) for part in path)  # arrays are replaced
        and isinstance(under.look_up(path), Mapping)
        and isinstance(over.look_up(path), Mapping)
    }
    return Document(under.main, merged.values, {**merged.places, **tables})


def assign(document: Document, path: Where, value: object, places: Places) -> Document:
    """The document with one setting more; `places` are the value's, relative to it.

    Raises MissingTableError when a table on the way to it is missing.
    """
    values = _assigned(document.values, path, 0, value)
    assert isinstance(values, Mapping), "the root of a document is a table"
    known = dict(document.places)
    if document.look_up(path) is not None:
        _forget(known, path)
    for length in range(1, len(path)):
        known.setdefault(path[:length], places[()])
    known |= {(*path, *inner): place for inner, place in places.items()}
    return Document(document.main, values, known)


def _assigned(container: object, path: Where, depth: int, value: object) -> object:
    if depth == len(path):
        return value
    part, so_far = path[depth], path[: depth + 1]
    if isinstance(container, list):
        if not isinstance(part, int) or part >= len(container):
            raise MissingTableError(_missing_element(so_far, container))
        inner = _assigned(container[part], path, depth + 1, value)
        return [*container[:part], inner, *container[part + 1 :]]
    if not isinstance(container, Mapping):
        raise MissingTableError(_not_a_table(path[:depth], container))
    is_last = depth + 1 == len(path)
    if part not in container and not is_last and so_far not in OPTIONAL_TABLES:
        raise MissingTableError(missing_table(so_far, container))
    inner = _assigned(container.get(part, {}), path, depth + 1, value)
    return {**container, str(part): inner}


def _missing_element(path: Where, array: list[object]) -> Fault:
    return Fault(
        path,
        "there is no such element",
        found=str(path[-1]),
        allowed=f"0 to {len(array) - 1}, counted from 0" if array else "nothing: it is empty",
        next_step="name an element by its position",
        at_key=True,
    )


def _not_a_table(path: Where, value: object) -> Fault:
    return Fault(
        path,
        "is not a table, so nothing can be set inside it",
        found=show(value),
        allowed="a table",
        next_step=f"set {dotted(path)} itself",
        at_key=True,
    )


def missing_table(path: Where, container: Values) -> Fault:
    """The fault of a setting inside a table that its container does not have."""
    known = [key for key, value in container.items() if isinstance(value, (Mapping, list))]
    suggestion = nearest(str(path[-1]), known)
    return Fault(
        path,
        "there is no such table" + (f' (did you mean "{suggestion}"?)' if suggestion else ""),
        found=str(path[-1]) or show(""),
        allowed=", ".join(known) or "nothing: there are no tables here",
        next_step=f'write "{suggestion}"' if suggestion else "add the table to the spec",
        at_key=True,
    )
