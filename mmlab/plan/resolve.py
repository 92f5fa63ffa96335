"""From spec files to checked plans, in the order in which they are to be executed.

Every component is found and its options are checked against its signature; what is wrong with the
components of a file that is no valid spec is told with its other faults. A cell is executed after
those whose weights it starts from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mmlab.errors import MmlabError, PluginError, SpecError, explain
from mmlab.plan.checks import contradictions, new_contradictions, too_many_workers
from mmlab.plan.component import Part, Resolved, numerics_of
from mmlab.plan.content import map_placed_paths
from mmlab.plan.options import check_options, nested_options
from mmlab.plan.plan import Plan, where_of
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plugin import GENERATED, Nested
from mmlab.spec import (
    Cell,
    Component,
    DatasetTable,
    Override,
    SourceTable,
    Spec,
    SpecFile,
    asked_of,
    expand,
    load_spec,
)
from mmlab.spec.document import Document, Values
from mmlab.spec.faults import Fault, Where
from mmlab.spec.places import render_located
from mmlab.spec.sweep_checks import is_varied_within, replacing_axis
from mmlab.spec.tables import EncoderTable, EvaluateTable, FusionTable, GeneratorTable, LossTable
from mmlab.spec.validation import other_use

S = TypeVar("S")
T = TypeVar("T")


def plan_specs(paths: Sequence[Path], overrides: Sequence[Override]) -> list[Plan]:
    """Every cell of every file, checked. Raises one error that holds the faults of all of them."""
    registry, errors = Registry.discover(BUILTINS), list[MmlabError]()

    def read(path: Path) -> list[SpecFile]:
        return [load_spec(path, overrides, partial(component_faults, registry, path))]

    files = [file for path in paths for file in _collect(read, path, errors)]
    for file in files:
        with _keeping(errors):
            check_replaced(registry, file.path, file.document)
    cells = [cell for file in files for cell in _collect(expand, file, errors)]
    plans = [
        plan
        for cell in cells
        for plan in _collect(lambda cell: [prepare(cell, registry, is_new=True)], cell, errors)
    ]
    if errors:
        worst = next((e for e in errors if isinstance(e, SpecError)), errors[0])
        raise type(worst)("\n\n".join(_paragraphs(errors)))
    return in_order(plans)


@contextmanager
def _keeping(errors: list[MmlabError]) -> Iterator[None]:
    """Go on after an error, which is kept."""
    try:
        yield
    except MmlabError as error:
        errors.append(error)


def _collect(make: Callable[[S], list[T]], source: S, errors: list[MmlabError]) -> list[T]:
    """What is made of a source, or nothing after keeping the error."""
    with _keeping(errors):
        return make(source)
    return []


def _paragraphs(errors: Sequence[MmlabError]) -> list[str]:
    """Each fault once: cells of one spec share most of theirs."""
    return list(dict.fromkeys(part for error in errors for part in str(error).split("\n\n")))


def prepare(cell: Cell, registry: Registry, *, is_new: bool = False) -> Plan:
    """Find every component of a cell and check all options; of a new cell more than of a stored.

    Raises SpecError with every fault of the cell at once, or PluginError when all that is wrong is
    that components are unknown or broken.
    """
    finder = Finder(cell.source.path, cell.source.document, registry)
    found = _find_all(finder, cell.spec)
    finder.raise_faults()
    used = _used(found["encoders"], cell.spec.fusion.inputs, found["losses"])
    unread = {key: encoder for key, encoder in found["encoders"].items() if key not in used}
    plan = Plan(cell=cell, **{**found, "encoders": used}, unread=unread)
    finder.faults += contradictions(plan)
    finder.faults += new_contradictions(plan) if is_new else []
    finder.raise_faults()
    return plan


def check_machine(plan: Plan, registry: Registry) -> None:
    """Raise SpecError where a stored cell asks for more than this machine has; another may."""
    finder = Finder(plan.cell.source.path, plan.cell.source.document, registry)
    finder.faults += too_many_workers(plan)
    finder.raise_faults()


def _find_all(finder: Finder, spec: Spec) -> dict[str, Any]:  # Any: the fields of a Plan
    """Every component of a spec, by the field of the plan that holds it."""
    asked, train = asked_of(spec.evaluate), spec.train
    written = [
        finder.find("evaluator", table, "evaluate", i) for i, table in enumerate(spec.evaluate)
    ]
    return {
        "dataset": finder.find("dataset", spec.dataset, "dataset"),
        "encoders": {
            key: finder.find("encoder", table, "encoders", key)
            for key, table in spec.encoders.items()
        },
        "fusion": finder.find("fusion", spec.fusion, "fusion"),
        "head": finder.find("head", spec.head, "head") if spec.head else None,
        "generator": spec.generator and finder.find("generator", spec.generator, "generator"),
        "losses": {
            table.name or table.use: finder.find("loss", table, "losses", i)
            for i, table in enumerate(spec.losses)
        },
        "optimizer": train and finder.find("optimizer", train.optimizer, "train", "optimizer"),
        "schedule": train and finder.find("schedule", train.schedule, "train", "schedule"),
        "evaluators": {one.name: written[one.position] for one in asked},
        "evaluate_datasets": {
            one.name: finder.find("dataset", one.table.dataset, *one.data)
            for one in asked
            if one.table.dataset is not None
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

    def find(
        self,
        kind: str,
        component: Component,
        *where: str | int,
        beside: Sequence[str] | None = None,
    ) -> Any:
        """The component, or None after noting why not; `raise_faults` then ends it all.

        `beside` are the keys that others read of its table, as `check_options` has them.
        """
        try:
            factory = self.registry.resolve(kind, component.use)
            options, faults = check_options(kind, component.use, factory, component.options, beside)
            entry = self.registry.entry(kind, component.use)
            numerics_of(entry, factory)  # is read later, and told here
        except PluginError as error:
            self._plugin_faults += 1
            self.faults.append(Fault((*where, "use"), str(error), "", "", ""))
            self.faults += self._of_the_likely(kind, component, where)
            return None
        self.faults += [fault.under(*where) for fault in faults]
        share, is_strict = None, False
        if isinstance(component, DatasetTable):
            share = component.max_skipped if component.on_error == "skip" else None
            is_strict = component.strict_splits
        options = map_placed_paths(options, partial(self._placed, where))
        for option, nested in nested_options(factory).items() if options else ():
            options[option] = self._find_parts(nested, options[option], (*where, option))
        return Resolved(entry, factory, options, share, is_strict, self.document, where)

    def _find_parts(self, nested: Nested, tables: Any, where: Where) -> list[Part]:
        """The components that an option lists; those that are at fault are noted and left out."""
        parts = []
        for position, table in enumerate(tables):
            own = {
                key: value
                for key in type(table).model_fields
                if (value := getattr(table, key)) is not None
            }
            options = {"use": own.pop("use"), **(table.model_extra or {})}
            beside = [key for key in type(table).model_fields if key != "use"]
            component = Component.model_validate(options)
            found = self.find(nested.kind, component, *where, position, beside=beside)
            if found is not None:
                parts.append(Part(found, own))
        return parts

    def _of_the_likely(self, kind: str, component: Component, where: Where) -> list[Fault]:
        """What is wrong with the options of the component that a misspelt name probably means."""
        likely = self.registry.likely(kind, component.use)
        if likely is None:
            return []
        try:
            factory = self.registry.resolve(kind, likely)
            _, faults = check_options(kind, likely, factory, component.options)
        except PluginError:  # which nobody asked for
            return []
        return [fault.under(*where) for fault in faults]

    def lacks_use(self, kind: str, table: Values, where: Where) -> None:
        """Note that a table names no component, and which there are."""
        known = ", ".join(self.registry.names(kind)) or f"nothing: no {kind} is installed"
        fault = Fault((*where, "use"), "missing", "no such key", known, "add use = ...")
        self.faults.append(other_use(fault, table))

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


#: Kind, model, place and content of a component's table.
Placed = tuple[str, type[Component], Where, Values]


def component_faults(registry: Registry, path: Path, document: Document) -> list[Fault]:
    """Unknown components, and options that they do not take, of every table that names one.

    A valid spec is asked the same by `prepare`, cell by cell.
    """
    finder = Finder(path, document, registry)
    _find(finder, _tables(document.values))
    return finder.faults


def check_replaced(registry: Registry, path: Path, document: Document) -> None:
    """Check components that a valid file writes and an axis replaces: `prepare` sees cells alone.

    Raises SpecError or PluginError as `prepare` does.
    """
    finder = Finder(path, document, registry)
    tables = [
        (kind, model, where, table)
        for kind, model, where, table in _tables(document.values)
        if replacing_axis(document, where) and not is_varied_within(document, where)
    ]
    _find(finder, tables)
    finder.raise_faults()


def _find(finder: Finder, tables: Iterable[Placed]) -> None:
    """Look for a component where its table names one; the finder keeps what is wrong."""
    for kind, model, where, table in tables:
        use = table.get("use")
        if "use" not in table:
            finder.lacks_use(kind, table, where)
        if not isinstance(use, str) or not use:
            continue
        options = {key: value for key, value in table.items() if key not in model.model_fields}
        finder.find(kind, Component.model_validate({"use": use, **options}), *where)


def _tables(values: Values) -> Iterator[Placed]:
    """Every table of a component, whatever else is wrong."""
    single: dict[str, type[Component]] = {
        "dataset": DatasetTable,
        "fusion": FusionTable,
        "head": Component,
        "generator": GeneratorTable,
    }
    for key, model in single.items():
        if isinstance(table := values.get(key), Mapping):
            yield key, model, (key,), table
    for (_, name), table in _parts(values, "train"):
        if name in ("optimizer", "schedule"):
            yield str(name), Component, ("train", name), table
    for where, table in _parts(values, "encoders"):
        yield "encoder", EncoderTable, where, table
    for where, table in _parts(values, "losses"):
        yield "loss", LossTable, where, table
    for where, table in _parts(values, "evaluate"):
        yield "evaluator", EvaluateTable, where, table
        if isinstance(own := table.get("dataset"), Mapping):
            yield "dataset", DatasetTable, (*where, "dataset"), own
        for path, suite in _parts(table, "datasets"):
            yield "dataset", DatasetTable, (*where, *path), suite


def _parts(values: Values, key: str) -> Iterator[tuple[Where, Values]]:
    """The tables inside a table or an array."""
    found = values.get(key)
    named = found.items() if isinstance(found, Mapping) else ()
    listed = enumerate(found) if isinstance(found, list) else ()
    for name, table in (*named, *listed):
        if isinstance(table, Mapping):
            yield (key, name), table


def in_order(plans: Sequence[Plan]) -> list[Plan]:
    """The plans, each after those whose weights it starts from; otherwise in the given order.

    Raises SpecError when experiments wait for each other.
    """
    names = {plan.cell.experiment for plan in plans}
    waiting, ordered, finished = list(plans), [], set[str]()
    while waiting:
        ready = [plan for plan in waiting if (weights_needed(plan) & names) <= finished]
        if not ready:
            raise _circle(waiting)
        ordered += ready
        waiting = [plan for plan in waiting if plan not in ready]
        finished = names - {plan.cell.experiment for plan in waiting}
    return ordered


def weights_needed(plan: Plan) -> set[str]:
    """The experiments and runs whose weights a cell starts from."""
    spec = plan.cell.spec
    tables: list[SourceTable | None] = [table.weights for table in spec.encoders.values()]
    if spec.generator is not None:
        tables.append(spec.generator.weights)
    return {table.run for table in tables if table is not None and table.run is not None}


def _circle(plans: Sequence[Plan]) -> SpecError:
    names = ", ".join(sorted({plan.cell.experiment for plan in plans}))
    return SpecError(
        explain(
            waiting_place(plans[0]),
            "experiments wait for each other's weights",
            found=names,
            allowed="an order in which every experiment comes after those it starts from",
            next_step="remove one of the `weights = { run = ... }`",
        )
    )


def waiting_place(plan: Plan) -> str:
    """The place in a spec that waits for another experiment's weights."""
    spec = plan.cell.spec
    tables: dict[str, EncoderTable | GeneratorTable] = {**spec.encoders}
    if spec.generator is not None:
        tables[GENERATED] = spec.generator
    key = next(key for key, table in tables.items() if table.weights and table.weights.run)
    return plan.place(*where_of(key), "weights", "run")
