"""Whether a document is a spec: its tables one by one, then what they say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError
from pydantic_core import to_json

from mmlab.document import Document, Values
from mmlab.faults import Fault, nearest, show, validation_faults
from mmlab.limits import tame, value_faults
from mmlab.spec_tables import Spec


def check(document: Document) -> tuple[Spec | None, list[Fault]]:
    """The spec that a document holds (None when its tables are invalid), and every fault."""
    values = document.values
    faults = [*value_faults(values)]
    spec = None
    try:
        # Strict JSON has arrays for tuples and strings for paths; strict Python refuses them.
        spec = Spec.model_validate_json(to_json(tame(values) if faults else values))
    except ValidationError as error:
        known = {fault.path for fault in faults}
        found = validation_faults(error, values, Spec.model_json_schema())
        faults += [fault for fault in found if fault.path not in known]
    faults += _contradictions(values)
    return spec, faults


def _contradictions(values: Values) -> Iterator[Fault]:
    """What is wrong between tables. Anything of the wrong type was reported before."""
    yield from _unknown_inputs(values)
    for table in ("losses", "evaluate"):
        yield from _repeated_names(values, table)
    if "train" in values and not values.get("losses"):
        yield Fault(
            ("losses",),
            "missing: a spec with [train] has something to minimise",
            found="no [[losses]]",
            allowed="at least one [[losses]]",
            next_step="add [[losses]], or remove [train] to evaluate only",
        )
    if "train" not in values and not values.get("evaluate"):
        yield Fault(
            (),
            "there is nothing to do",
            found="neither [train] nor [[evaluate]]",
            allowed="one of them, or both",
            next_step="add [train] with [[losses]], or [[evaluate]]",
        )


def _unknown_inputs(values: Values) -> Iterator[Fault]:
    """Inputs of the fusion that are no encoder, or are named twice."""
    fusion, encoders = values.get("fusion"), values.get("encoders")
    inputs = fusion.get("inputs") if isinstance(fusion, Mapping) else None
    if not isinstance(inputs, list) or not isinstance(encoders, Mapping):
        return
    for position, key in enumerate(inputs):
        path = ("fusion", "inputs", position)
        allowed = ", ".join(encoders)
        if isinstance(key, str) and key not in encoders:
            suggestion = nearest(key, encoders)
            hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
            step = f"add [encoders.{key}], or name one that is there"
            yield Fault(path, f"there is no such encoder{hint}", show(key), allowed, step)
        elif key in inputs[:position]:
            yield Fault(path, "named twice", show(key), allowed, "remove the repetition")


def _repeated_names(values: Values, table: str) -> Iterator[Fault]:
    """Tables of an array that would be reported under one name."""
    tables = values.get(table)
    seen: set[object] = set()
    for position, item in enumerate(tables if isinstance(tables, list) else ()):
        name = item.get("name", item.get("use")) if isinstance(item, Mapping) else None
        if isinstance(name, str) and name in seen:
            yield Fault(
                (table, position, "name" if "name" in item else "use"),
                "two of these tables have one name",
                found=show(name),
                allowed="different names; without `name`, the name after `use` counts",
                next_step="add name = ...",
            )
        seen.add(name) if isinstance(name, str) else None
