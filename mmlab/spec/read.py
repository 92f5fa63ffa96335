"""Reading spec files: within limits, with what they extend, and with every value's place.

`extends = ["other.toml"]` joins files, named relative to the file that says so. Tables merge key by
key, anything else replaces; a later file wins over an earlier one, the extending file over all.

Limits are checked before a file is parsed, so that nothing crafted takes long: tomllib recurses
once per level, takes seconds for long dotted keys, and accepts NUL escapes.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mmlab.errors import SpecError, storable, unstorable
from mmlab.files import open_file
from mmlab.spec.document import Document, merge
from mmlab.spec.faults import NOT_FINITE, Fault, Where, secret_fault, show
from mmlab.spec.places import Place, Places, SourceText, render_located
from mmlab.spec.positions import Located, Span, locate

#: Files that one spec may read through `extends`, each counted as often as it is named.
FILES = 64

_LINE_AND_COLUMN = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")
_LONG_INTEGER = re.compile(r"[0-9][0-9_]{4000,}")


def read_document(path: Path) -> Document:
    """A file merged with all it extends. Raises SpecError with what cannot be read in any."""
    reader = _Reader()
    document = reader.read(path, (), None)
    if document is None or reader.faults:
        raise SpecError(render_located(reader.faults))
    return document


def read_patch(path: Path) -> tuple[Document | None, list[tuple[Fault, Place]]]:
    """A file that changes a spec, or what is wrong with it; it extends nothing."""
    reader = _Reader()
    try:
        return _parse(_read_source(path)), []
    except _FileError as error:
        reader.note(error, path, None)
        return None, reader.faults


class _FileError(Exception):
    """A file that cannot be read. `source` is None where there is no text to point into."""

    def __init__(self, fault: Fault, source: SourceText | None = None, span: Span | None = None):
        super().__init__(fault)
        self.fault, self.source, self.span = fault, source, span or Span(0, 0)


class _Reader:
    """Reads a file and those it extends, keeping every fault for one report."""

    def __init__(self) -> None:
        self.faults: list[tuple[Fault, Place]] = []
        self.count = 0

    def read(self, path: Path, chain: tuple[Path, ...], asked: Place | None) -> Document | None:
        """A file with what it extends; `chain` are the files that led here, `asked` says where."""
        self.count += 1
        try:
            here = _resolve(path)
            if here in chain or self.count > FILES:
                raise _FileError(_circle([*chain, here]) if here in chain else _too_many_files())
            document = _parse(_read_source(path))
        except _FileError as error:
            self.note(error, path, asked)
            return None
        return self.extended(document, path, (*chain, here))

    def note(self, error: _FileError, path: Path, asked: Place | None) -> None:
        """Keep the fault of a file, at its place there, or else where the file was asked for."""
        if error.source is None and asked is not None:
            self.faults.append((error.fault, asked))
            return
        source = error.source or SourceText(str(path), "")
        self.faults.append((error.fault, Place(source, error.span, error.span)))

    def extended(self, document: Document, path: Path, chain: tuple[Path, ...]) -> Document:
        """The document, over the files that its `extends` names."""
        names = document.values.get("extends", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.faults.append((_not_names(names), document.places["extends",]))
            return document
        merged = Document(document.main, {}, {})
        for position, name in enumerate(names):
            place = document.places["extends", position]
            other = self.read(path.parent / name, chain, place)
            if other is not None:
                merged = merge(merged, other.without("extends"))
        return merge(merged, document)


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
        raise _FileError(_unreadable(path, str(error))) from error


def _read_source(path: Path) -> SourceText:
    """The text of a file. Line ends become newlines, as in tomllib."""
    try:
        with open_file(path) as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise _FileError(_unreadable(path, error.strerror or str(error))) from error
    if len(content) > FILE_BYTES:
        raise _FileError(_too_large())
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _undecodable(path, error) from error
    return SourceText(str(path), text.replace("\r\n", "\n"))


def _parse(source: SourceText) -> Document:
    limited = limit_fault(source.text)
    if limited is not None:
        raise _FileError(limited[0], source, limited[1])
    _require_no_secret(source, {})  # before anything of it is shown
    try:
        values = tomllib.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise _syntax_error(source, error) from error
    beyond = shape_fault(values)
    if beyond is not None:
        raise _FileError(beyond, source)
    _require_no_secret(source, values)  # also one that is written with escapes
    places = places_of(source, locate(source.text))
    return Document(source, values, places)


def _require_no_secret(source: SourceText, values: Mapping[str, object]) -> None:
    fault = secret_fault(source.text, values)
    if fault is not None:
        raise _FileError(fault, SourceText(source.name, ""))


def places_of(source: SourceText, located: dict[tuple[str | int, ...], Located]) -> Places:
    """Positions in a source as places."""
    return {path: Place(source, at.key, at.value) for path, at in located.items()}


def _syntax_error(source: SourceText, error: Exception) -> _FileError:
    """What tomllib said, at the place it said it of; it names the first fault only."""
    text, message = source.text, str(error)
    at = _LINE_AND_COLUMN.search(message)
    long_integer = _LONG_INTEGER.search(text)
    offset = len(text.rstrip())
    if at is not None and at[1]:
        lines = text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: int(at[1]) - 1]) + int(at[2]) - 1
    elif at is None and long_integer is not None:
        offset, message = long_integer.start(), "the integer is too large"
    # Most files are right, and need not wait for the list of what people write.
    from mmlab.spec.toml_mistakes import Mistake, find_mistake

    said = _LINE_AND_COLUMN.sub("", message)
    unusual = Mistake(said, "correct the file here, or just before", Span(offset, offset + 1))
    mistake = find_mistake(text, offset, said) or unusual
    fault = Fault(
        (),
        "not valid TOML: " + mistake.message,
        found=_found_at(text, mistake.span.start),
        allowed="TOML 1.0 (toml.io)",
        next_step=mistake.next_step,
    )
    return _FileError(fault, source, mistake.span)


def _found_at(text: str, offset: int) -> str:
    if offset >= len(text):
        return "the end of the file"
    following = text[offset : offset + 20].partition("\n")[0]
    return show(following) if following else "the end of the line"


def _undecodable(path: Path, error: UnicodeDecodeError) -> _FileError:
    before = error.object[: error.start].decode("utf-8-sig").replace("\r\n", "\n")
    source = SourceText(str(path), before + "\N{REPLACEMENT CHARACTER}")
    fault = Fault(
        (),
        "the file is not UTF-8 text",
        found=f"byte 0x{error.object[error.start]:02x}",
        allowed="UTF-8",
        next_step="save the file as UTF-8",
    )
    return _FileError(fault, source, Span(len(before), len(before) + 1))


def _unreadable(path: Path, reason: str) -> Fault:
    return Fault(
        (),
        "the file cannot be read",
        found=f"{path}: {reason}",
        allowed="a TOML file that exists",
        next_step="correct the path",
    )


def _too_large() -> Fault:
    return Fault(
        (),
        "the file is too large for a spec",
        found=f"more than {FILE_BYTES:,} bytes",
        allowed=f"at most {FILE_BYTES:,} bytes",
        next_step="keep data in a file of its own, and name that file in the spec",
    )


def _circle(chain: list[Path]) -> Fault:
    return Fault(
        (),
        "files extend each other in a circle",
        found=" -> ".join(path.name for path in chain),
        allowed="files that end in one that extends nothing",
        next_step="remove one `extends`",
    )


def _too_many_files() -> Fault:
    return Fault(
        (),
        "too many files extend each other",
        found=f"more than {FILES} files",
        allowed=f"at most {FILES}, each counted as often as it is named",
        next_step="join some of them",
    )


def _not_names(names: object) -> Fault:
    return Fault(
        ("extends",),
        "wrong type",
        found=show(names),
        allowed="an array of file names",
        next_step='write extends = ["other.toml"]',
    )


FILE_BYTES = 1024 * 1024
NESTING = 32
KEYS = 10_000
VALUES_PER_KEY = 5  # commas, that is: of arrays, which may hold thousands of labels

_INTEGERS = range(-(2**63), 2**63)

#: Strings and comments, skipped whole; then what can nest or begin a key. An unclosed string ends
#: with its line or the text, so that every text, valid or not, is passed over once.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*+(?:"{3,5}|\\?\Z)?'
    r"|'''(?:[^']|'{1,2}(?!'))*+(?:'{3,5})?"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+"
    r"|(?P<mark>[\[\]{}=.,\n])"
)


def limit_fault(text: str) -> tuple[Fault, Span] | None:
    """The first place where a text nests too deeply or holds too much, if there is one.

    Counts tokens without judging the text; tomllib does that. Every part of a dotted key counts.
    """
    brackets: list[str] = []
    dots = keys = values = 0
    previous, is_key = "\n", True
    for match in _TOKEN.finditer(text):
        mark = match["mark"] or ""
        is_header = mark == "[" and (brackets, previous) in (([], "\n"), (["["], "header"))
        keys += mark == "=" or (is_header and not brackets) or (mark == "." and is_key)
        values += mark == ","
        dots = dots + (mark == ".") if mark in (".", "") else 0
        is_key = _begins_key(mark, brackets) or (is_key and (mark in (".", "") or is_header))
        _follow(mark, brackets)
        if len(brackets) + dots > NESTING:
            return _nesting_fault(), Span(match.start(), match.end())
        if max(keys, values // VALUES_PER_KEY) > KEYS:
            return _keys_fault(), Span(match.start(), match.end())
        previous = "header" if is_header else mark
    return None


def _begins_key(mark: str, brackets: list[str]) -> bool:
    """Whether a key follows: on a new line, and in an inline table."""
    if mark == "\n":
        return not brackets
    return mark == "{" or (mark == "," and brackets[-1:] == ["{"])


def _follow(mark: str, brackets: list[str]) -> None:
    if mark in ("[", "{"):
        brackets.append(mark)
    elif mark in ("]", "}") and brackets:
        brackets.pop()


def shape_fault(values: Mapping[str, object]) -> Fault | None:
    """Whether parsed values, with the tables that dotted keys imply, are beyond the limits."""
    level: list[tuple[Where, object]] = [((), values)]
    keys = 0
    for _ in range(NESTING + 1):
        inner = [((*path, key), item) for path, table in level for key, item in _items(table)]
        keys += sum(isinstance(path[-1], str) for path, _ in inner)
        level = [(path, item) for path, item in inner if isinstance(item, (Mapping, list))]
        if keys > KEYS:
            return _keys_fault()
    return replace(_nesting_fault(), path=level[0][0][:1]) if level else None


def _items(container: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(container, Mapping):
        return container.items()
    return enumerate(container) if isinstance(container, list) else ()


def _nesting_fault() -> Fault:
    return Fault(
        (),
        "tables and arrays are nested too deeply",
        found=f"more than {NESTING} levels",
        allowed=f"at most {NESTING} levels",
        next_step="write it flatter",
    )


def _keys_fault() -> Fault:
    return Fault(
        (),
        "too many keys or values",
        found=f"more than {KEYS:,} keys, or more than {KEYS * VALUES_PER_KEY:,} values in arrays",
        allowed=f"at most {KEYS:,} keys, and {KEYS * VALUES_PER_KEY:,} values in arrays",
        next_step="keep data in a file of its own, and name that file in the spec",
    )


def value_faults(value: object, path: Where = ()) -> Iterator[Fault]:
    """Values that TOML allows and a spec does not: NaN, infinity, NUL, integers beyond 64 bits."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (replace(f, at_key=True) for f in value_faults(key, (*path, key)))
            yield from value_faults(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from value_faults(item, (*path, position))
    elif isinstance(value, str) and (character := unstorable(value)):
        yield _character_fault(path, character)
    elif isinstance(value, str) and _is_path(path) and (control := _CONTROL.search(value)):
        yield _escape_fault(path, value, control[0])
    elif isinstance(value, str) and _is_path(path) and not value.strip():
        yield _empty_path(path, value)
    elif isinstance(value, float) and not math.isfinite(value):
        found, allowed = show(value), "a finite number"
        yield Fault(path, NOT_FINITE, found, allowed, "set a number", is_vague=True)
    elif isinstance(value, int) and value not in _INTEGERS:
        yield Fault(
            path, "the integer is too large", show(value), "64 bits with sign", "set a smaller one"
        )


#: Controls that escapes stand for: "data\\names" holds a newline.
_CONTROL = re.compile(r"[\x07-\x0d\x1b]")
_PATH_KEY = re.compile(r"(?:^|_)(?:path|file|folder|dir|directory|root)s?$")


def _is_path(path: Where) -> bool:
    keys = [part for part in path if isinstance(part, str)]
    return bool(keys) and keys[0] != "meta" and _PATH_KEY.search(keys[-1]) is not None


def _empty_path(path: Where, value: str) -> Fault:
    return Fault(
        path,
        "an empty text names no file and no folder",
        found=show(value),
        allowed='a path; "." is the folder of this file',
        next_step="name the file or the folder, or remove the key",
    )


def _escape_fault(path: Where, value: str, control: str) -> Fault:
    name = control.encode("unicode_escape").decode()
    meant = value.translate({number: repr(chr(number))[1:-1] for number in range(32)})
    return Fault(
        path,
        f"a path holds a control character: in double quotes {name} is an escape",
        found=show(value),
        allowed="a path in single quotes, in which a backslash is a backslash",
        next_step=f"write '{meant}'",
    )


def _character_fault(path: Where, character: str) -> Fault:
    return Fault(
        path,
        "holds a character that no file name and no database can hold",
        found=f"U+{ord(character):04X}",
        allowed="any character but NUL, and no bytes that are not UTF-8",
        next_step="remove it",
    )


def without_unfit(value: object) -> object:
    """The value with something harmless for what `value_faults` refuses and JSON cannot hold."""
    if isinstance(value, Mapping):
        return {str(without_unfit(key)): without_unfit(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_unfit(item) for item in value]
    if isinstance(value, str):
        return storable(value, "_")
    if isinstance(value, float) and not math.isfinite(value):
        return 0.0
    return 0 if isinstance(value, int) and value not in _INTEGERS else value
