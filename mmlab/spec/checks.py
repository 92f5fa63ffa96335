"""Whether a document is a spec: its tables one by one, then what they say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeGuard, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from mmlab.spec.document import Document, Values
from mmlab.spec.faults import Fault, Where, nearest, show
from mmlab.spec.read import value_faults, without_unfit
from mmlab.spec.tables import Spec, Table
from mmlab.spec.validation import ranged, validation_faults

T = TypeVar("T", bound=Table)


def check(document: Document) -> tuple[Spec | None, list[Fault]]:
    """The spec that a document holds (None when its tables are invalid), and every fault."""
    spec, faults = check_tables(document, Spec)
    return spec, [*faults, *_purposeless(document.values)]


def check_tables(document: Document, model: type[T]) -> tuple[T | None, list[Fault]]:
    """The tables of a document as a model (None when they are invalid), and every fault."""
    values = document.values
    faults = [*value_faults(values)]
    spec = None
    try:
        # Strict JSON has arrays for tuples and strings for paths; strict Python refuses them.
        spec = model.model_validate_json(to_json(without_unfit(values) if faults else values))
    except ValidationError as error:
        known = {fault.path for fault in faults}
        found = validation_faults(error, values, model.model_json_schema())
        faults += [fault for fault in found if fault.path not in known]
    if faults:
        schema = model.model_json_schema()
        faults = [ranged(fault, schema) for fault in faults]
    faults += _contradictions(values)
    return spec, faults


def check_part(document: Document, part: type[T]) -> tuple[Spec | T | None, list[Fault]]:
    """As `check_tables`, for a whole spec of which a part counts, or for this part alone."""
    if "encoders" in document.values:
        return check_tables(document, Spec)
    return check_tables(document, part)


def _contradictions(values: Values) -> Iterator[Fault]:
    """What is wrong between keys that may each be valid.

    Anything of the wrong type was reported before. Reads plain values, because a table with one
    invalid key is no table of the model.
    """
    yield from _unknown_inputs(values)
    for table in ("losses", "evaluate"):
        yield from _repeated_names(values, table)
    yield from _two_data(values)
    yield from _uneven_parts(_table(values, "train"))
    for key, encoder in _table(values, "encoders").items():
        if not isinstance(encoder, Mapping):
            continue
        if isinstance(encoder.get("weights"), Mapping):
            yield from _weights_sources(encoder["weights"], ("encoders", key, "weights"))
        if encoder.get("freeze") is True and "lora" in encoder:
            yield _frozen_adapters(("encoders", key, "freeze"))
    source = _table(values, "generator").get("weights")
    if isinstance(source, Mapping):
        yield from _weights_sources(source, ("generator", "weights"))
    yield from sweep_contradictions(_table(values, "sweep"))


def _table(values: Values, key: str) -> Values:
    """A table, or an empty one where there is none."""
    table = values.get(key)
    return table if isinstance(table, Mapping) else {}


def _array(values: Values, key: str) -> list[object]:
    array = values.get(key)
    return array if isinstance(array, list) else []


def _purposeless(values: Values) -> Iterator[Fault]:
    """Training that minimises nothing or never ends, and a spec that asks for nothing."""
    if "train" in values and not values.get("losses"):
        yield Fault(
            ("losses",),
            "missing: a spec with [train] has something to minimise",
            found="no [[losses]]",
            allowed="at least one [[losses]]",
            next_step="add [[losses]], or remove [train] to evaluate only",
        )
    if "train" in values and not {"epochs", "max_steps"} & _table(values, "train").keys():
        yield Fault(
            ("train", "epochs"),
            "missing: [train] does not say when training ends",
            found="neither epochs nor max_steps",
            allowed="epochs, max_steps, or both",
            next_step="add epochs = ...",
        )
    if "train" not in values and not values.get("evaluate"):
        yield Fault(
            (),
            "there is nothing to do",
            found="neither [train] nor [[evaluate]]",
            allowed="one of them, or both",
            next_step="add [train] with [[losses]], or [[evaluate]]",
        )


def _uneven_parts(train: Values) -> Iterator[Fault]:
    """Parts that do not add up to a batch."""
    size, part = train.get("batch_size"), train.get("microbatch")
    if not (_is_positive(size) and _is_positive(part)) or size % part == 0:
        return
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    close = min(divisors, key=lambda n: abs(n - part))
    yield Fault(
        ("train", "microbatch"),
        "does not divide train.batch_size",
        found=f"microbatch {part}, batch_size {size}",
        allowed=f"divisors of {size}",
        next_step=f"set microbatch = {close}",
    )


def _is_positive(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and value > 0


def _frozen_adapters(path: Where) -> Fault:
    return Fault(
        path,
        "an encoder of which nothing is trained has nothing to adapt",
        found="freeze = true and a table `lora`",
        allowed="one of them; with `lora` all else of the encoder is frozen anyway",
        next_step="remove freeze = true, or the table",
    )


def _weights_sources(weights: Values, path: Where) -> Iterator[Fault]:
    """Initial weights that come from nowhere, or from two places."""
    has_run, has_file = "run" in weights, "file" in weights
    if has_run != has_file:
        return
    yield Fault(
        (*path, "file") if has_run else path,
        "names two sources" if has_run else "names no source",
        found="run and file" if has_run else "neither run nor file",
        allowed="one of run, file",
        next_step="remove one of them" if has_run else "add run = ... or file = ...",
    )


def sweep_contradictions(sweep: Values) -> Iterator[Fault]:
    """Seeds that repeat, and samples or a budget that nothing asks for, or that are asked for."""
    for position, seed in _repeated(_array(sweep, "seeds")):
        where = ("sweep", "seeds", position)
        yield Fault(where, "named twice", show(seed), "different seeds", "remove it")
    is_random = sweep.get("strategy") == "random"
    if is_random != ("samples" in sweep):
        yield Fault(
            ("sweep", "samples"),
            "a random sweep needs samples" if is_random else "only a random sweep draws samples",
            found="none" if is_random else show(sweep["samples"]),
            allowed='samples together with strategy = "random"',
            next_step="add samples = ..." if is_random else "remove samples",
        )
    has_match = "match" in sweep
    if has_match != ("budget" in sweep):
        yield Fault(
            ("sweep", "budget"),
            "matching needs a budget" if has_match else "only matching has a budget",
            found="none" if has_match else show(sweep["budget"]),
            allowed='budget together with match = "parameters"',
            next_step="add budget = ..." if has_match else 'add match = "parameters"',
        )


def _unknown_inputs(values: Values) -> Iterator[Fault]:
    """Inputs of the fusion that are no encoder, or are named twice."""
    encoders, inputs = _table(values, "encoders"), _array(_table(values, "fusion"), "inputs")
    allowed = ", ".join(encoders)
    for position, key in enumerate(inputs):
        if isinstance(key, str) and key not in encoders:
            suggestion = nearest(key, encoders)
            hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
            yield Fault(
                ("fusion", "inputs", position),
                f"there is no such encoder{hint}",
                show(key),
                allowed,
                f"add [encoders.{key}], or name one that is there",
            )
    for position, key in _repeated(inputs):
        where = ("fusion", "inputs", position)
        yield Fault(where, "named twice", show(key), allowed, "remove the repetition")


def _two_data(values: Values) -> Iterator[Fault]:
    """Evaluations that name one dataset and a suite of them."""
    for position, table in enumerate(_array(values, "evaluate")):
        if isinstance(table, Mapping) and {"dataset", "datasets"} <= table.keys():
            yield Fault(
                ("evaluate", position, "datasets"),
                "an evaluation has one dataset, or a suite of them",
                found="dataset and datasets",
                allowed="one of them",
                next_step="move `dataset` into `datasets`, under a name of its own",
            )


def _repeated(items: list[object]) -> Iterator[tuple[int, object]]:
    """Elements of an array that occur before, and where."""
    seen: set[str] = set()
    for position, item in enumerate(items):
        if repr(item) in seen:
            yield position, item
        seen.add(repr(item))


def _repeated_names(values: Values, table: str) -> Iterator[Fault]:
    """Tables of an array that would be reported under one name."""
    names = [
        item.get("name", item.get("use")) if isinstance(item, Mapping) else None
        for item in _array(values, table)
    ]
    for position, name in _repeated(names):
        if isinstance(name, str):
            yield Fault(
                (table, position, "name"),
                "two of these tables have one name",
                found=show(name),
                allowed="different names; without `name`, the name after `use` counts",
                next_step="add name = ...",
            )
