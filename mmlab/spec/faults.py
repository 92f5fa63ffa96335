"""What is wrong with a spec: faults with the five parts of a message, before they have a place."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from itertools import islice
from typing import TYPE_CHECKING

from mmlab.errors import secret_in

if TYPE_CHECKING:
    from mmlab.spec.synonyms import Synonym

#: Where something is in a spec: keys of tables and positions in arrays.
Where = tuple[str | int, ...]

#: What is said of NaN and of infinity.
NOT_FINITE = "not a finite number"

_SHOWN_CHARACTERS = 60
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


@dataclass(frozen=True)
class Fault:
    """One fault of a spec. `at_key` points at the key (an unknown one, say), not at its value.

    One that `is_vague` gives way to another of the same place, by whoever knows the component.
    """

    path: Where
    message: str
    found: str
    allowed: str
    next_step: str
    at_key: bool = False
    is_vague: bool = False

    def under(self, *where: str | int) -> Fault:
        """The same fault, of a table that is itself at `where`."""
        return replace(self, path=(*where, *self.path))


#: Keys whose text is a secret, whatever it is; a `key` or a `token` alone may be no secret.
_SECRET_KEY = re.compile(
    r"(?:\w*_)?(?:password|passwd|passphrase|pwd|secret|api_?key|secret_?key|private_?key|credentials?"
    r"|(?:access|api|auth|bearer|hf|refresh)_?token)\Z",
    re.IGNORECASE,
)


def secret_fault(text: str, values: Mapping[str, object]) -> Fault | None:
    """A secret in a file of a spec, or None. Specs are stored whole, shown and handed on.

    `values` are what the text holds. The fault shows nothing of it, and no line of the file.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if found := secret_in(line):
            return _holds_secret(f"{found}, in line {number:,}")
    found = next(_secrets(values, ""), None)
    return None if found is None else _holds_secret(found)


def _secrets(value: object, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _secrets(str(name), "")
            yield from _secrets(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, key)
    elif isinstance(value, str):
        if found := secret_in(value):
            yield found
        elif value and _SECRET_KEY.match(key):
            yield f"a text for the key {key}"


def _holds_secret(found: str) -> Fault:
    return Fault(
        (),
        "a spec holds no password, token or key: it is stored whole, shown in reports and exported",
        found=f"{found}; not shown",
        allowed="a URL without; the password in PGPASSWORD, ~/.pgpass, a libpq service or ~/.netrc",
        next_step="remove it, and let whoever needs it read it from the environment or such a file",
    )


def dotted(path: Where) -> str:
    """A path as `--set` takes it.

    >>> dotted(("sweep", "axes", "train.lr", 0))
    'sweep.axes."train.lr".0'
    """
    return ".".join(part if _BARE.match(part) else show(part) for part in map(str, path))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, if any is like it at all; of equals the first by alphabet.

    >>> nearest("dmi", ["rank", "dim"]), nearest("topp", ["top5", "top1"])
    ('dim', 'top1')
    """
    matches = difflib.get_close_matches(name, list(known), n=3)

    def unlike(other: str) -> float:
        return -difflib.SequenceMatcher(None, other, name).ratio()

    return min(sorted(matches), key=unlike, default=None)


def show(value: object) -> str:
    """A value as TOML writes it, cut to a length that fits a line.

    >>> show({"use": "concat", "dim": [1, 2.5, True]})
    '{ use = "concat", dim = [1, 2.5, true] }'
    """
    text = _toml(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def _toml(value: object) -> str:
    """A value as TOML, of which only the beginning has to be right."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value[:_SHOWN_CHARACTERS], ensure_ascii=False)
    if isinstance(value, Mapping):
        pairs = [f"{key} = {_toml(item)}" for key, item in islice(value.items(), _SHOWN_CHARACTERS)]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value[:_SHOWN_CHARACTERS])) + "]"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write very long ones
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def meant_by(table: str, name: str) -> Synonym | None:
    """What another tool's name is here, see `mmlab.spec.synonyms`; None for any other name."""
    # Most specs have none, and need not wait for the table.
    from mmlab.spec.synonyms import synonym

    return synonym(table, name)


def unknown_name(
    path: Where, what: str, known: Iterable[str], *, table: str = "", also: Iterable[str] = ()
) -> Fault:
    """The fault of a key that nobody reads. `also` are suggested, but not listed.

    `table` is where other tools' names are looked up: see `mmlab.spec.synonyms`.
    """
    name, names = str(path[-1]), list(known)
    found = name[:_SHOWN_CHARACTERS] or show("")
    allowed = ", ".join(names) or "nothing"
    meant = meant_by(table, name)
    if meant is not None:
        message, step = f"unknown {what}: this is {meant.meaning}", meant.next_step
        return Fault(path, message, found, allowed, step, at_key=True)
    suggestion = nearest(name, [*names, *also])
    hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
    return Fault(
        path,
        f"unknown {what}{hint}",
        found=found,
        allowed=allowed,
        next_step=f'rename it to "{suggestion}", or remove it' if suggestion else "remove it",
        at_key=True,
    )
