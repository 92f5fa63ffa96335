"""A cell with its components found and their options checked: what will be built, and its identity.

Needs no data and no device; `mmlab validate` and `mmlab run --dry-run` stop here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmlab.component_messages import name_table, place_message
from mmlab.document import Document
from mmlab.errors import PluginError, SpecError, explain
from mmlab.faults import Fault, Where
from mmlab.memory import making
from mmlab.option_paths import hashed_options, map_paths, map_placed_paths
from mmlab.options import check_options, supplied
from mmlab.places import Place, describe, render_explained, render_located
from mmlab.plan_checks import contradictions
from mmlab.records import Match
from mmlab.registry import ComponentEntry, Registry
from mmlab.spec import Cell, Component, DatasetTable, EvaluateTable, LossTable, Spec

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
            with making(name_table(self.document, self.table), f"this {self.entry.kind}"):
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


@dataclass(frozen=True)
class Plan:
    """A cell whose every component is known to exist, with options known to be valid.

    Losses and evaluators are keyed by their names in the spec, encoders by their keys; encoders
    that nothing reads are left out.
    `evaluate_datasets` holds the dataset of each evaluation that names one of its own. `match` says
    how a budget of parameters was met, once it is known.
    """

    cell: Cell
    dataset: Resolved
    encoders: Mapping[str, Resolved]
    fusion: Resolved
    head: Resolved | None
    losses: Mapping[str, Resolved]
    evaluators: Mapping[str, Resolved]
    evaluate_datasets: Mapping[str, Resolved]
    match: Match | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Encoder keys in the fusion's order."""
        return tuple(self.cell.spec.fusion.inputs or self.encoders)

    @property
    def loss_tables(self) -> dict[str, LossTable]:
        """The spec's loss tables by name."""
        return {table.name or table.use: table for table in self.cell.spec.losses}

    @property
    def evaluate_tables(self) -> dict[str, EvaluateTable]:
        """The spec's evaluate tables by name."""
        return {table.name or table.use: table for table in self.cell.spec.evaluate}

    @property
    def reads(self) -> frozenset[str]:
        """What the fusion and the losses read of the encoders: "pooled", "tokens"."""
        read: set[str] = set(self.fusion.declares("reads"))
        for loss in self.losses.values():
            read |= loss.declares("reads")
        return frozenset(read & {"tokens"} | {"pooled"})

    @property
    def needs_similarity(self) -> bool:
        """Whether a loss asks for the scores of pairs; whoever else does gets what it trained."""
        return any("similarity" in loss.declares("reads") for loss in self.losses.values())

    @property
    def predicts_targets(self) -> bool:
        """Whether the head has an output for each of the dataset's targets, not for each label."""
        return any("targets" in loss.declares("reads") for loss in self.losses.values())

    @property
    def width_option(self) -> str | None:
        """The option that sets the fusion's width: what its class declares, else `dim`."""
        option = getattr(self.fusion.factory, "width_option", "dim")
        return option if option in self.fusion.options else None

    def modality(self, key: str) -> str:
        """The modality that an encoder reads: its own setting, or its key."""
        return self.cell.spec.encoders[key].modality or key

    def place(self, *where: str) -> str:
        """A part of the spec, as messages name it: `file:line:column: table.key`."""
        return f"{describe(self._written(where))}: {'.'.join(where)}"

    def explain(self, where: Sequence[str], fault: str, **parts: Any) -> str:
        """As `mmlab.errors.explain`, with the line of the spec; evaluations go by their names."""
        return render_explained(self._written(where), explain(".".join(where), fault, **parts))

    def _written(self, where: Sequence[str]) -> Place:
        path: Where = tuple(where)
        if where[0] == "evaluate":
            path = ("evaluate", list(self.evaluators).index(where[1]), *where[2:])
        return self.cell.source.document.place(path)

    def components(self) -> Iterator[tuple[Where, Resolved]]:
        """Every component of the plan, with the place of its table in the spec."""
        yield ("dataset",), self.dataset
        yield from ((("encoders", key), encoder) for key, encoder in self.encoders.items())
        yield ("fusion",), self.fusion
        if self.head is not None:
            yield ("head",), self.head
        yield from ((("losses", i), loss) for i, loss in enumerate(self.losses.values()))
        for position, (name, evaluator) in enumerate(self.evaluators.items()):
            yield ("evaluate", position), evaluator
            if name in self.evaluate_datasets:
                yield ("evaluate", position, "dataset"), self.evaluate_datasets[name]


def prepare(cell: Cell, registry: Registry) -> Plan:
    """Find every component of a cell and check all options.

    Raises SpecError with every fault of the cell at once, or PluginError when all that is wrong is
    that components are unknown or broken.
    """
    finder = Finder(cell.source.path, cell.source.document, registry)
    found = _find_all(finder, cell.spec)
    finder.raise_faults()
    used = _used(found["encoders"], cell.spec.fusion.inputs, found["losses"])
    plan = Plan(cell=cell, **{**found, "encoders": used})
    finder.faults += contradictions(plan)
    finder.raise_faults()
    return plan


def _find_all(finder: Finder, spec: Spec) -> dict[str, Any]:  # Any: the fields of a Plan
    """Every component of a spec, by the field of the plan that holds it."""
    evaluate = [(table.name or table.use, i, table) for i, table in enumerate(spec.evaluate)]
    return {
        "dataset": finder.find("dataset", spec.dataset, "dataset"),
        "encoders": {
            key: finder.find("encoder", table, "encoders", key)
            for key, table in spec.encoders.items()
        },
        "fusion": finder.find("fusion", spec.fusion, "fusion"),
        "head": finder.find("head", spec.head, "head") if spec.head else None,
        "losses": {
            table.name or table.use: finder.find("loss", table, "losses", i)
            for i, table in enumerate(spec.losses)
        },
        "evaluators": {
            name: finder.find("evaluator", table, "evaluate", i) for name, i, table in evaluate
        },
        "evaluate_datasets": {
            name: finder.find("dataset", table.dataset, "evaluate", i, "dataset")
            for name, i, table in evaluate
            if table.dataset is not None
        },
    }


def _used(
    encoders: Mapping[str, Resolved],
    inputs: Sequence[str] | None,
    losses: Mapping[str, Resolved],
) -> dict[str, Resolved]:
    """The encoders that something reads: a unimodal baseline neither builds nor runs the others."""
    if inputs is None or any("features" in loss.declares("reads") for loss in losses.values()):
        return dict(encoders)
    return {key: encoder for key, encoder in encoders.items() if key in inputs}


class Finder:
    """Finds components, keeping every fault for one report."""

    def __init__(self, path: Path, document: Document, registry: Registry) -> None:
        self.path = path
        self.document = document
        self.registry = registry
        self.faults: list[Fault] = []
        self._plugin_faults = 0

    def find(self, kind: str, component: Component, *where: str | int) -> Any:
        """The component, or None after noting why not; `raise_faults` then ends it all."""
        try:
            factory = self.registry.resolve(kind, component.use)
            options, faults = check_options(kind, component.use, factory, component.options)
        except PluginError as error:
            self._plugin_faults += 1
            self.faults.append(Fault((*where, "use"), str(error), "", "", ""))
            return None
        self.faults += [fault.under(*where) for fault in faults]
        share = None
        if isinstance(component, DatasetTable) and component.on_error == "skip":
            share = component.max_skipped
        entry = self.registry.entry(kind, component.use)
        options = map_placed_paths(options, partial(self._placed, where))
        return Resolved(entry, factory, options, share, self.document, where)

    def _placed(self, table: Where, path: Path, where: Where) -> Path:
        """A path of a component's options, below the folder of the file that writes it."""
        return self.document.folder((*table, *where)) / path

    def raise_faults(self) -> None:
        """Raise one error with all faults noted so far, if any."""
        if not self.faults:
            return
        places = [(fault, self.document.place(fault.path)) for fault in self.faults]
        message = render_located(places)
        if self._plugin_faults == len(self.faults):
            raise PluginError(message)
        raise SpecError(message)
