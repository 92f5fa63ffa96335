"""What is wrong with the components of a file that is no valid spec: told with its other faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmlab.document import Document, Values
from mmlab.faults import Fault, Where
from mmlab.plan import Finder
from mmlab.registry import Registry
from mmlab.spec_tables import (
    Component,
    DatasetTable,
    EncoderTable,
    EvaluateTable,
    FusionTable,
    LossTable,
)
from mmlab.swept import is_varied_within, replacing_axis

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
    }
    for key, model in single.items():
        if isinstance(table := values.get(key), Mapping):
            yield key, model, (key,), table
    for where, table in _parts(values, "encoders"):
        yield "encoder", EncoderTable, where, table
    for where, table in _parts(values, "losses"):
        yield "loss", LossTable, where, table
    for where, table in _parts(values, "evaluate"):
        yield "evaluator", EvaluateTable, where, table
        if isinstance(own := table.get("dataset"), Mapping):
            yield "dataset", DatasetTable, (*where, "dataset"), own


def _parts(values: Values, key: str) -> Iterator[tuple[Where, Values]]:
    """The tables inside a table or an array."""
    found = values.get(key)
    named = found.items() if isinstance(found, Mapping) else ()
    listed = enumerate(found) if isinstance(found, list) else ()
    for name, table in (*named, *listed):
        if isinstance(table, Mapping):
            yield (key, name), table
