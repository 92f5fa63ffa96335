"""Settings given on the command line, over whatever a spec says.

`--set-file FILE` is a patch, merged like what extends a file: tables merge, arrays replace.
`--set PATH=VALUE` sets one key, and wins over every patch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmlab.spec.document import Document, MissingTableError, assign, missing_table, patch
from mmlab.spec.faults import Fault, Where, secret_fault, show
from mmlab.spec.places import Place, Places, SourceText
from mmlab.spec.positions import Located, Span, locate, split_path
from mmlab.spec.read import limit_fault, read_patch

#: What `--set` is given, as text, or `--set-file`, as path.
Override = str | Path


class _OverrideError(Exception):
    def __init__(self, fault: Fault, span: Span, *, is_hidden: bool = False) -> None:
        super().__init__(fault)
        self.fault, self.span, self.is_hidden = fault, span, is_hidden


@dataclass(frozen=True)
class Overridden:
    """A document with its overrides set, the patches that were read, and what cannot be set."""

    document: Document
    patches: tuple[SourceText, ...]
    faults: list[tuple[Fault, Place]]


def apply_overrides(document: Document, overrides: Sequence[Override]) -> Overridden:
    """The document with all patches merged in order, and then each `--set` in order.

    The value of a `--set` is TOML where it can be read as that, and otherwise a string.
    """
    faults: list[tuple[Fault, Place]] = []
    patches: list[SourceText] = []
    for path in [override for override in overrides if isinstance(override, Path)]:
        found, unread = read_patch(path)
        faults += unread
        if found is not None:
            patches.append(found.main)
            faults += _stray(document, found)
            document = patch(document, _fitting(document, found))
    texts = [override for override in overrides if isinstance(override, str)]
    for number, text in enumerate(texts, start=1):
        source = SourceText(f"--set #{number}", text, is_override=True)
        try:
            document = _apply(document, source)
        except _OverrideError as error:
            shown = replace(source, text="") if error.is_hidden else source
            faults.append((error.fault, Place(shown, error.span, error.span)))
    return Overridden(document, tuple(patches), faults)


def _stray(document: Document, found: Document) -> Iterator[tuple[Fault, Place]]:
    """What a patch may not hold: `extends`, and settings of an encoder that there is not."""
    if "extends" in found.values:
        fault = replace(_not_settable(), at_key=True)
        yield fault, found.place(("extends",))
    for key in _strange_encoders(document, found):
        where = ("encoders", key)
        yield missing_table(where, _encoders(document)), found.place(where)


def _fitting(document: Document, found: Document) -> Document:
    """A patch without what it may not hold."""
    strange = _strange_encoders(document, found)
    found = found.without("extends")
    if not strange:
        return found
    kept = {key: table for key, table in _encoders(found).items() if key not in strange}
    return replace(found, values={**found.values, "encoders": kept})


def _strange_encoders(document: Document, found: Document) -> list[str]:
    """Encoders of which a patch sets something, that are neither in the document nor made by it."""
    return [
        key
        for key, table in _encoders(found).items()
        if key not in _encoders(document) and isinstance(table, Mapping) and "use" not in table
    ]


def _encoders(document: Document) -> Mapping[str, object]:
    table = document.values.get("encoders")
    return table if isinstance(table, Mapping) else {}


def _apply(document: Document, source: SourceText) -> Document:
    _require_no_secret(source.text, {})  # before anything of it is shown
    names, equals = _split(source)
    value, places = _read_value(source, equals + 1, Span(0, len(source.text[:equals].rstrip())))
    _require_no_secret("", {names[-1]: value})
    if names[0] == "extends":
        raise _OverrideError(_not_settable(), Span(0, equals))
    try:
        return assign(document, document.path_of(names), value, places)
    except MissingTableError as error:
        raise _OverrideError(error.fault, Span(0, equals)) from error


def _require_no_secret(text: str, values: Mapping[str, object]) -> None:
    fault = secret_fault(text, values)
    if fault is not None:
        raise _OverrideError(fault, Span(0, 0), is_hidden=True)


def _split(source: SourceText) -> tuple[tuple[str, ...], int]:
    """The names of an override's path, and where its equals sign is."""
    try:
        names, end = split_path(source.text)
    except ValueError:
        names, end = (), 0
    if source.text[end : end + 1] == "=" and names and limit_fault(source.text[:end]) is None:
        return names, end
    fault = Fault(
        (),
        "an override is PATH=VALUE",
        found=show(source.text),
        allowed='dotted keys and a value: train.lr=1e-3, sweep.axes."train.lr"=[1e-3, 1e-4]',
        next_step="write --set PATH=VALUE",
    )
    raise _OverrideError(fault, Span(0, len(source.text)))


def _read_value(source: SourceText, start: int, key: Span) -> tuple[object, Places]:
    """The value that begins at `start`, and the places of its parts, relative to the value."""
    written = source.text[start:]
    whole = Place(source, key, Span(start, len(source.text)))
    limited = limit_fault(written)
    if limited is not None:
        raise _OverrideError(limited[0], whole.value)
    try:
        value = tomllib.loads(f"v={written}")
    except (ValueError, RecursionError):
        return written, {(): whole}
    if list(value) != ["v"]:  # the text held a newline and further keys
        return written, {(): whole}
    return value["v"], _places(source, locate(f"v={written}"), start - 2)


def _places(source: SourceText, located: dict[Where, Located], shift: int) -> Places:
    """Positions in `v=VALUE` as places of the override; the value's key is the override's path."""
    places = {
        path[1:]: Place(source, _shifted(at.key, shift), _shifted(at.value, shift))
        for path, at in located.items()
    }
    whole = places[()]
    path_end = len(source.text[: whole.value.start].rstrip().removesuffix("=").rstrip())
    return {**places, (): Place(source, Span(0, path_end), whole.value)}


def _shifted(span: Span, shift: int) -> Span:
    return Span(span.start + shift, span.end + shift)


def _not_settable() -> Fault:
    return Fault(
        ("extends",),
        "files are joined before overrides are set",
        found="extends",
        allowed="any other key",
        next_step="write `extends` in a file",
    )
