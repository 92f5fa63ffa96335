"""A component that a cell names: found, its options checked, and what identifies it.

What a component says while it is made is shown where the spec asks for it; memory that was lacking
(OOM) is recognised here.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from mmlab.errors import (
    DataError,
    PluginError,
    RunError,
    SpecError,
    explain,
    message_of,
    shortened,
)
from mmlab.files import path_fault, said_of
from mmlab.metric import LOSS, Metric, find
from mmlab.plan.content import Content, hashed, map_paths, map_placed_paths, path_content, whole
from mmlab.plan.options import check_options, describe_options, supplied
from mmlab.plan.registry import OWN, ComponentEntry
from mmlab.spec.document import Document
from mmlab.spec.faults import Where, dotted
from mmlab.spec.places import describe, render_explained

#: Stands for a folder in the identity of a dataset.
FOLDER = "a folder, by its revision"


@dataclass(frozen=True)
class Resolved:
    """One component of a spec: its factory, where it comes from, and its options with defaults."""

    entry: ComponentEntry
    factory: Any  # factories differ by kind, and the contracts are protocols
    options: Mapping[str, object]
    #: of a dataset: the share of a split that may be left out unread; None where none may
    max_skipped: float | None = None
    #: of a dataset: whether splits that share something are refused
    is_strict: bool = False
    #: the spec and the table in it, for messages
    document: Document | None = None
    table: Where = ()

    def make(self, **given: object) -> Any:  # as above
        """Call the factory with those of the given values that it names, and its options.

        Raises SpecError, naming the table, where the component refuses them, RunError where the
        memory does not hold it, and DataError where a file that it reads cannot be.
        """
        wanted = [given[name] for name in supplied(self.factory)]
        map_placed_paths(self.options, self._require_readable)
        try:
            with oom_as_fault(name_table(self.document, self.table), f"this {self.entry.kind}"):
                return self.factory(*wanted, **self.options)
        except SpecError as error:
            raise SpecError(place_message(message_of(error), self.document, self.table)) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise self._unreadable((), said_of(error)) from error

    def _require_readable(self, path: Path, where: Where) -> None:
        """Raise DataError for a path at which nothing can be read; that nothing is there may be."""
        fault = path_fault(path)
        if fault is not None:
            raise self._unreadable(where, f"{path}: {fault}")

    def _unreadable(self, where: Where, found: str) -> DataError:
        message = explain(
            dotted((*self.table, *where)),
            "the file or folder cannot be read",
            found=shortened(found, 1024),
            allowed="a file or folder that this user may read; a path begins at the spec's folder",
            next_step="correct the path, or mend what is there",
        )
        if self.document is None:
            return DataError(message)
        return DataError(render_explained(self.document.place((*self.table, *where)), message))

    def declares(self, attribute: str) -> frozenset[str]:
        """A set of words that the factory carries: `reads` of fusions and losses, say.

        Raises PluginError where it is missing.
        """
        words = getattr(self.factory, attribute, None)
        if isinstance(words, frozenset):
            return words
        fault = f"`{attribute}` must be declared on the class"
        raise self._breach(fault, words, "a frozenset of words")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What a loss or an evaluator declares of its metrics; nothing where it declares none.

        Behind those of an evaluator stand those of the metrics that its options list. Every loss
        has a scalar "loss", which is minimised. Raises PluginError for anything but declarations,
        and for a "loss" that is better high.
        """
        declared = self._declared("metrics")
        if self.entry.kind != "loss":
            return tuple(dict.fromkeys([*declared, *self._asked_metrics()]))
        found = find(declared, LOSS.name)
        if found is not None and found[1].better != LOSS.better:
            raise self._breach('its scalar "loss" is minimised', found[1], 'better = "lower"')
        return declared if found else (LOSS, *declared)

    def _asked_metrics(self) -> Iterator[Metric]:
        """What the metrics declare that an evaluator's option `metrics` lists."""
        asked = self.options.get("metrics") if self.entry.kind == "evaluator" else None
        for part in asked if isinstance(asked, Sequence) else ():
            if isinstance(part, Part):
                yield from part.found.metrics

    @property
    def label_metrics(self) -> tuple[Metric, ...]:
        """What an evaluator declares of its metrics of single labels, as `metrics`."""
        return self._declared("label_metrics")

    def _declared(self, attribute: str) -> tuple[Metric, ...]:
        declared = getattr(self.factory, attribute, ())
        if isinstance(declared, tuple) and all(isinstance(one, Metric) for one in declared):
            return declared
        raise self._breach(f"`{attribute}` must declare metrics", declared, "a tuple of Metric")

    @property
    def input_range(self) -> tuple[int, float]:
        """How many inputs a fusion joins, at least and at most, as its class declares.

        Raises PluginError where it declares something else.
        """
        match getattr(self.factory, "input_range", (1, None)):
            case int(fewest), None:
                return fewest, math.inf
            case int(fewest), int(most):
                return fewest, most
            case found:
                raise self._breach("`input_range` must be two numbers", found, "(2, None), say")

    def _breach(self, fault: str, found: object, allowed: str) -> PluginError:
        return _breach(self.entry, fault, found, allowed)

    def content(self) -> dict[str, Content]:
        """What of this component decides a result: name, origin, and options (files by content).

        The origin is the distribution and `numerics`; its version or source without them. What is
        in a dataset's folders is left to its `revision`: they may hold millions of files.
        """
        return {
            "use": self.entry.name,
            "distribution": self.entry.distribution,
            **self._implementation(),
            "options": describe_options(self.factory, self.options, self._path),
        }

    def _implementation(self) -> dict[str, Content]:
        numerics = numerics_of(self.entry, self.factory)
        if numerics is not None:
            return {"numerics": numerics}
        return {"version": self.entry.version, "source": self.entry.source_hash}

    def _path(self, option: str, path: Path) -> str:
        if self.entry.kind == "dataset" and not os.path.isfile(path):  # nor where none can be
            return FOLDER
        return path_content(self.factory, option, path)

    def neutral_content(self, options: Mapping[str, object]) -> dict[str, object]:
        """Content of mmlab's own component of this name as it was first, with only these options.

        It is what a neutral value says of a whole component. Options that it leaves out are part of
        no equal content unless they were added later. Raises PluginError for options that the
        component does not take.
        """
        valid, faults = check_options(self.entry.kind, self.entry.name, self.factory, options)
        if faults:
            fault = f"a neutral value sets options that it does not take: {faults[0].message}"
            raise self._breach(fault, dict(options), "options of the component")
        given = {key: valid[key] for key in options}
        described = hashed(describe_options(self.factory, given, self._path))
        name = self.entry.name
        return {"use": name, "distribution": OWN, "numerics": 1, "options": described}

    def identity(self) -> dict[str, object]:
        """The content with nothing left out, as plain JSON."""
        plain: dict[str, object] = whole(self.content())
        return plain

    def locality(self) -> dict[str, object]:
        """The identity, and where on this machine its files and folders are."""
        return {**self.identity(), "places": map_paths(self.options, lambda p: str(p.absolute()))}


class Part(Mapping[str, object]):
    """A component among the options of another: as a mapping its table, with `make` to have it.

    `own` are the keys of its table that the other component reads.
    """

    def __init__(self, found: Resolved, own: Mapping[str, object]) -> None:
        self.found = found
        self.own = dict(own)

    def __getitem__(self, key: str) -> object:
        return {"use": self.found.entry.name, **self.own, **self.found.options}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("use", *self.own, *self.found.options))

    def __len__(self) -> int:
        return 1 + len(self.own) + len(self.found.options)

    def make(self, **given: object) -> Any:  # as of Resolved
        """The component; raises as `Resolved.make`."""
        return self.found.make(**given)

    def content(self) -> dict[str, Content]:
        """What of it decides a result."""
        return {**self.found.content(), **self.own}


def numerics_of(entry: ComponentEntry, factory: Any) -> int | None:  # Any: as of Resolved
    """The number that says what a component computes; None where nobody declared one.

    An evaluator's is the version of its protocol, and what mmlab itself has is 1 unless declared:
    `mmlab.NUMERICS` counts beside it. Raises PluginError unless it is a positive integer.
    """
    if entry.kind == "evaluator":
        number: object = factory.version
    else:
        number = declared_numerics(factory, 1 if entry.distribution == OWN else None)
    if number is None or is_numerics(number):
        return number
    raise _breach(entry, "`numerics` must be a positive integer", number, "1, 2, ...")


def declared_numerics(factory: object, unless: int | None = None) -> object:
    """What a factory declares as `numerics`, whatever that is.

    A subclass does not inherit it, for it may compute something else.
    """
    declared: object = getattr(factory, "__dict__", {}).get("numerics", unless)
    return declared


def is_numerics(number: object) -> TypeGuard[int]:
    """Whether it is a positive integer, which True is not."""
    return type(number) is int and number > 0


def _breach(entry: ComponentEntry, fault: str, found: object, allowed: str) -> PluginError:
    return PluginError(
        explain(
            f"{entry.kind} {entry.name!r} of {entry.distribution}",
            f"breaks its contract: {fault}",
            found=repr(found),
            allowed=f"{allowed}; see mmlab.plugin",
            next_step="tell the plugin's author; `mmlab.testing` checks this",
        )
    )


def name_table(document: Document | None, table: Where) -> str:
    """A table as messages name it: `file:line:column: table`."""
    if document is None:
        return dotted(table)
    return f"{describe(document.place(table))}: {dotted(table)}"


def place_message(message: str, document: Document | None, table: Where) -> str:
    """A component's message at its table, or at the option that it begins with, or a key of that.

    The option may follow the first word of the table: "losses.scale: ...", "losses.table.key: ...".
    """
    if document is None:
        return message
    rest = message.removeprefix(str(table[0]))
    if rest == message or rest[:1] not in (".", ":"):
        rest = f": {message}"
    option, dot, key = rest.lstrip(".: ").partition(": ")[0].partition(".")
    inside = (option, key) if dot else (option,)
    place = document.place((*table, *inside) if (*table, option) in document.places else table)
    return render_explained(place, f"{dotted(table)}{rest}", at_key=bool(dot))


#: What torch says, in words alone, where the CPU's memory or an integer for its size is too small.
_LACKING = ("can't allocate memory", "Storage size calculation overflowed")
_BYTES = re.compile(r"tried to allocate (\d+) bytes", re.IGNORECASE)
_SIZE = re.compile(r"tried to allocate [\d.]+ [KMGT]iB", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was lacking."""
    if isinstance(error, RuntimeError) and any(text in message_of(error) for text in _LACKING):
        return True
    # By name, since whoever checks a spec need not import torch.
    return isinstance(error, MemoryError) or "OutOfMemoryError" in (
        one.__name__ for one in type(error).__mro__
    )


def is_device_lost(error: BaseException) -> bool:
    """Whether a GPU failed so that this process cannot use it any more: its context is broken."""
    names = [one.__name__ for one in type(error).__mro__]  # as above
    return "AcceleratorError" in names and not is_out_of_memory(error)


def describe_request(error: BaseException) -> str:
    """What was asked for, without the allocator's own words.

    >>> describe_request(RuntimeError("can't allocate memory: you tried to allocate 1600 bytes."))
    'tried to allocate 1,600 bytes'
    """
    said = message_of(error)
    if found := _BYTES.search(said):
        return f"tried to allocate {int(found[1]):,} bytes"
    if found := _SIZE.search(said):
        return f"tried to allocate {found[0].split(' ', 3)[3]}"
    if "overflowed" in said:
        return "tried to allocate more bytes than 64 bits count"
    return said.strip().partition("\n")[0] or type(error).__name__


@contextmanager
def oom_as_fault(place: str, what: str) -> Iterator[None]:
    """Raises RunError, "oom", at this place of a spec where memory is lacking for `what`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(_not_held(place, what, describe_request(error)), "oom") from error


def _not_held(place: str, what: str, found: str) -> str:
    return explain(
        place,
        f"the memory does not hold {what}",
        found=found,
        allowed="what fits; mmlab never makes anything smaller by itself",
        next_step="set smaller widths or sizes there, or use a machine with more memory",
    )
