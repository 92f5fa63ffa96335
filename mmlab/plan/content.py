"""The content of an identity: every validated value, and which keys were added later.

Paths among the options of a component are changed wherever they are, or hashed by what is there.

A key that carries `Added(neutral)` is left out of what is hashed where its value is the neutral
one. Everything else counts, defaults too. What is compared and hashed is canonical JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mmlab.errors import DataError, explain
from mmlab.files import tree_sha256
from mmlab.hashing import canonical_json
from mmlab.spec.faults import Where

#: JSON whose objects may hold `Later` values.
Content = object
#: Stands in a difference for a key that one side does not have.
MISSING = "missing"


@dataclass(frozen=True)
class Later:
    """The content of a key that was added later, and its neutral content, which is plain JSON."""

    content: Content
    neutral: object


@runtime_checkable
class Described(Protocol):
    """A value that says itself what of it decides a result."""

    def content(self) -> Content:
        """That, as content."""


@dataclass(frozen=True)
class Difference:
    """A key with two values as JSON texts: what is stored, and what a cell has now."""

    key: str
    stored: str
    present: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.key} was {self.stored} and is {self.present}"


def whole(content: Content) -> Any:  # Any: JSON
    """Plain JSON of everything, nothing left out."""
    return _plain(content, lambda later: True)


def hashed(content: Content) -> Any:  # Any: JSON
    """Plain JSON of what is hashed: keys added later only where they are not neutral."""
    return _plain(content, lambda later: not is_neutral(later))


def is_neutral(later: Later) -> bool:
    """Whether a key's value is its neutral one; `1` is not `true`, and not `1.0` either."""
    return canonical_json(hashed(later.content)) == canonical_json(later.neutral)


def _plain(content: Content, counts: Callable[[Later], bool]) -> Any:  # Any: JSON
    if isinstance(content, Later):
        return _plain(content.content, counts)
    if isinstance(content, dict):
        return {
            key: _plain(value, counts)
            for key, value in content.items()
            if not isinstance(value, Later) or counts(value)
        }
    return [_plain(value, counts) for value in content] if isinstance(content, list) else content


def differences(stored: object, content: Content, key: str = "") -> Iterator[Difference]:
    """What differs between a stored whole content of equal hash and a present one.

    A key that is not stored is one added since: its value must be the neutral one. A key that is
    there no more was left out of the stored hash, so it was neutral then, and is no difference.
    """
    if isinstance(content, Later):
        yield from differences(stored, content.content, key)
    elif isinstance(stored, dict) and isinstance(content, dict):
        for name, value in content.items():
            inner = _inside(key, name)
            if name in stored:
                yield from differences(stored[name], value, inner)
            elif not isinstance(value, Later) or not is_neutral(value):
                yield Difference(inner, MISSING, canonical_json(whole(value)))
    elif isinstance(stored, list) and isinstance(content, list) and len(stored) == len(content):
        for position, (old, new) in enumerate(zip(stored, content, strict=True)):
            yield from differences(old, new, _inside(key, _name_of(new, position)))
    elif canonical_json(stored) != canonical_json(whole(content)):
        yield Difference(key, canonical_json(stored), canonical_json(whole(content)))


def merged(stored: Any, present: Any) -> Any:  # Any: JSON
    """Two whole contents without differences as one, with what either has alone.

    What is neutral for a stored run stays known after that: a neutral value that moves is noticed.
    """
    if isinstance(stored, dict) and isinstance(present, dict):
        both = {key: merged(stored[key], present[key]) for key in stored.keys() & present.keys()}
        return {**stored, **present, **both}
    if isinstance(stored, list) and isinstance(present, list) and len(stored) == len(present):
        return [merged(*members) for members in zip(stored, present, strict=True)]
    return present


def _inside(key: str, name: str) -> str:
    """A dotted key as a spec has it: options stand in the table of their component."""
    return key if name == "options" else f"{key}.{name}".lstrip(".")


def _name_of(member: Content, position: int) -> str:
    """A member of a list by its key or name, as encoders and losses have, or by its position."""
    known = member if isinstance(member, dict) else {}
    return str(known.get("key") or known.get("name") or position)


def path_content(factory: Callable[..., Any], key: str, path: Path) -> str:
    """What stands for a path among a factory's options: the sha256 of what is there.

    A folder's covers the names, sizes and bytes of all files in it. Raises DataError for a path
    that is not there or cannot be read.
    """
    try:
        return f"sha256:{tree_sha256(path)}"
    except OSError as error:
        name = getattr(factory, "__name__", str(factory))
        raise _unreadable(f"{name}, option {key!r}", path, error) from error


def map_paths(value: Any, change: Callable[[Path], object], kind: type[Any] = Path) -> Any:
    """A value with every path in it changed, in lists, tuples, sets and tables too."""
    return map_placed_paths(value, lambda path, where: change(path), kind)


def map_placed_paths(
    value: Any, change: Callable[[Path, Where], object], kind: type[Any] = Path, where: Where = ()
) -> Any:
    """As `map_paths`, the place of each path given too; members of a set have the set's."""
    if isinstance(value, kind):
        return change(Path(value.__fspath__()), where)  # `os.fspath` takes a str as it is
    if isinstance(value, Mapping):
        return {
            key: map_placed_paths(item, change, kind, (*where, key)) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        members = enumerate(value)
        return type(value)(map_placed_paths(v, change, kind, (*where, i)) for i, v in members)
    if isinstance(value, (set, frozenset)):
        return type(value)(map_placed_paths(item, change, kind, where) for item in value)
    return value


def _unreadable(place: str, path: Path, error: OSError) -> DataError:
    return DataError(
        explain(
            place,
            "the file cannot be read",
            found=f"{path}: {error.strerror}",
            allowed="a file or folder that exists; a path is relative to the file that names it",
            next_step="correct the path, or put the file there",
        )
    )
