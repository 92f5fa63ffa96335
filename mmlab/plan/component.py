"""A component that a cell names: found, its options checked, and what identifies it.

What a component says while it is made is shown where the spec asks for it; memory that was lacking
(OOM) is recognised here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmlab.errors import PluginError, RunError, SpecError, explain
from mmlab.metric import LOSS, Metric, find
from mmlab.plan.option_paths import hashed_options, map_paths
from mmlab.plan.options import supplied
from mmlab.plan.registry import ComponentEntry
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
    #: the spec and the table in it, for messages
    document: Document | None = None
    table: Where = ()

    def make(self, **given: object) -> Any:  # as above
        """Call the factory with those of the given values that it names, and its options.

        Raises SpecError, naming the table, where the component refuses them, and RunError where the
        memory does not hold it.
        """
        wanted = [given[name] for name in supplied(self.factory)]
        try:
            with oom_as_fault(name_table(self.document, self.table), f"this {self.entry.kind}"):
                return self.factory(*wanted, **self.options)
        except SpecError as error:
            raise SpecError(place_message(str(error), self.document, self.table)) from error

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

        Every loss has a scalar "loss", which is minimised. Raises PluginError for anything but
        declarations, and for a "loss" that is better high.
        """
        declared = self._declared("metrics")
        if self.entry.kind != "loss":
            return declared
        found = find(declared, LOSS.name)
        if found is not None and found[1].better != LOSS.better:
            raise self._breach('its scalar "loss" is minimised', found[1], 'better = "lower"')
        return declared if found else (LOSS, *declared)

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
        return PluginError(
            explain(
                f"{self.entry.kind} {self.entry.name!r} of {self.entry.distribution}",
                f"breaks its contract: {fault}",
                found=repr(found),
                allowed=f"{allowed}; see mmlab.plugin",
                next_step="tell the plugin's author; `mmlab.testing` checks this",
            )
        )

    def identity(self) -> dict[str, object]:
        """What of this component decides a result: name, origin, and options (files by content).

        What is in a dataset's folders is left to its `revision`: they may hold millions of files.
        """
        options = self.options
        if self.entry.kind == "dataset":
            options = map_paths(options, lambda path: path if path.is_file() else FOLDER)
        return {
            "use": self.entry.name,
            "distribution": self.entry.distribution,
            "version": self.entry.version,
            "options": hashed_options(self.factory, options),
        }

    def locality(self) -> dict[str, object]:
        """The identity, and where on this machine its files and folders are."""
        return {**self.identity(), "places": map_paths(self.options, lambda p: str(p.absolute()))}


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
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _LACKING):
        return True
    # By name, since whoever checks a spec need not import torch.
    return isinstance(error, MemoryError) or "OutOfMemoryError" in (
        one.__name__ for one in type(error).__mro__
    )


def describe_request(error: BaseException) -> str:
    """What was asked for, without the allocator's own words.

    >>> describe_request(RuntimeError("can't allocate memory: you tried to allocate 1600 bytes."))
    'tried to allocate 1,600 bytes'
    """
    said = str(error)
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
